//! What is wrong is said once when it begins and once when it is over, however often it is met in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Says one sentence to whoever follows the run.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The standing complaints, by what they are about. Clones are the same ones.
#[derive(Clone)]
pub struct Complaints {
    say: Say,
    standing: Arc<Mutex<BTreeMap<String, String>>>,
    mentioned: Arc<Mutex<BTreeSet<String>>>,
}

impl Complaints {
    /// None yet; this says them.
    #[must_use]
    pub fn new(say: Say) -> Self {
        Self { say, standing: Arc::default(), mentioned: Arc::default() }
    }

    /// Something is wrong about this. Said if it was not wrong before; whoever asks for the trouble hears the latest.
    pub fn raise(&self, about: &str, sentence: &str) {
        let known = self.lock().insert(about.to_owned(), sentence.to_owned());
        if known.is_none() {
            (self.say)(sentence);
        } else {
            tracing::debug!(about, sentence, "still");
        }
    }

    /// It is over. Said if it was wrong.
    pub fn settle(&self, about: &str, sentence: &str) {
        let known = self.lock().remove(about);
        if known.is_some() {
            (self.say)(sentence);
        }
    }

    /// Something to know about this, which is no trouble that could be over. Said the first time.
    pub fn mention(&self, about: &str, sentence: &str) {
        if self.mentioned.lock().unwrap_or_else(PoisonError::into_inner).insert(about.to_owned()) {
            (self.say)(sentence);
        }
    }

    /// One sentence about what is wrong, if something is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().values().next().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_once_and_its_end_too() {
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let ears = said.clone();
        let complaints = Complaints::new(Arc::new(move |sentence| ears.lock().unwrap().push(sentence.to_owned())));
        complaints.settle("a", "a is over");
        complaints.raise("a", "a is wrong");
        complaints.raise("a", "a is worse");
        complaints.raise("b", "b is wrong");
        assert_eq!(complaints.trouble().as_deref(), Some("a is worse"));
        complaints.settle("a", "a is over");
        complaints.settle("a", "a is over");
        complaints.settle("b", "b is over");
        complaints.mention("a", "a is odd");
        complaints.mention("a", "a is still odd");
        assert_eq!(complaints.trouble(), None);
        complaints.raise("a", "a is wrong again");
        let expected = ["a is wrong", "b is wrong", "a is over", "b is over", "a is odd", "a is wrong again"];
        assert_eq!(*said.lock().unwrap(), expected);
    }
}
