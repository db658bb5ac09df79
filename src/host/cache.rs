//! Facts that cost a program to find out are asked once, until somebody writes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Kind, Result};

/// Answers by question.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

impl Cache {
    /// The answer to this question, asked only if nobody has since the last write. Failures are not remembered.
    ///
    /// # Errors
    /// Whatever `ask` says.
    pub fn get<T: Send + Sync + 'static>(&self, question: &str, ask: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(question).cloned();
        let answer = if let Some(answer) = known {
            answer
        } else {
            let answer: Arc<dyn Any + Send + Sync> = Arc::new(ask()?);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(question.to_owned(), answer.clone());
            answer
        };
        answer.downcast().map_err(|_| Error::new(Kind::Bug, format!("two questions share the name `{question}`")))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
