//! A block of the playbook that is typed when somebody asks for it: `lifecycle`, `logs`, `env`.

use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::evaluate::{Evaluator, Without};
use super::frame::{Frame, Halt};
use super::node::Node;
use super::shape::Shape;
use super::{Problem, Problems, Scope};
use crate::error::{Error, Kind, Result};

/// A block as it is written, and the type it has.
pub struct Block<T> {
    node: Node,
    frame: Arc<Frame>,
    typed: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Block<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Block").field(&self.node.mark).finish()
    }
}

impl<T: DeserializeOwned + JsonSchema> Block<T> {
    /// Checks what can be checked before the run; the block can be kept all the same.
    pub fn new(node: &Node, frame: &Arc<Frame>, problems: &mut Vec<Problem>) -> Self {
        frame.check_expressions(node, &[], problems);
        let mut value = frame.unevaluated(node);
        let shape = Shape::of::<T>();
        match frame.fit(&shape, &mut value) {
            Err(found) => problems.extend(found.0),
            Ok(()) if value.is_pending() => {}
            Ok(()) => problems.extend(frame.read::<T>(&shape, value).err().map(|found| found.0).unwrap_or_default()),
        }
        Self { node: node.clone(), frame: Arc::clone(frame), typed: PhantomData }
    }

    /// The block with its expressions evaluated.
    ///
    /// # Errors
    /// When an expression fails, has the wrong type, or depends on something that is not known here.
    pub fn render(&self, scope: &Scope) -> Result<T> {
        let evaluator = Evaluator::new(scope, &self.frame.declared, Without::Unknown);
        match self.frame.evaluated(&self.node, &evaluator) {
            Ok(value) => self.frame.read(&Shape::of::<T>(), value).map_err(Error::from),
            Err(Halt::Unknown(why)) => {
                Err(Error::new(Kind::Missing, format!("{}: {why}", self.frame.source.position(self.node.mark))))
            }
            Err(Halt::Wrong(problem)) => Err(Problems::from(*problem).into()),
        }
    }
}
