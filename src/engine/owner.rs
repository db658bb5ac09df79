//! Whose state this is. State found in an image belongs to the instance that was imaged: set aside and reported, never used.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::host::state::StateFolder;

const RECORD: &str = "owner.json";
const VERSION: u32 = 1;

/// Who wrote the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    version: u32,
    /// The EC2 instance; `None` off EC2.
    instance: Option<String>,
}

/// Makes the state ours: what belongs to another instance is set aside first. Says so, if so.
///
/// # Errors
/// When the state cannot be read, moved or written.
pub fn claim(state: &StateFolder, instance: Option<&str>) -> Result<Option<String>> {
    let found = state.read(RECORD)?;
    let owner = found.as_deref().map(|bytes| serde_json::from_slice::<Owner>(bytes).ok());
    let ours = Owner { version: VERSION, instance: instance.map(str::to_owned) };
    let notice = match owner {
        Some(Some(owner)) if owner == ours => return Ok(None),
        // The metadata service is silent today: the instance is still the one it was.
        Some(Some(Owner { version: VERSION, instance: Some(_) })) if instance.is_none() => return Ok(None),
        // State without an owner was made by somebody who crashed before saying so, or by hand.
        None if state.names("")?.iter().all(|name| name == crate::host::state::LOCK_FILE) => None,
        other => {
            let whom = other.flatten().map_or("unknown".to_owned(), |owner| owner.instance.unwrap_or("no-instance".to_owned()));
            let place = state.set_aside(&whom)?;
            Some(format!("the state found here belongs to `{whom}`; it was set aside in `{}` and is not used", place.display()))
        }
    };
    let content = serde_json::to_vec(&ours).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    state.write(RECORD, &content)?;
    Ok(notice)
}

/// Whether the state was written by this very instance.
#[must_use]
pub fn is_ours(state: &StateFolder, instance: Option<&str>) -> bool {
    let found = state.read(RECORD).ok().flatten();
    let owner = found.and_then(|bytes| serde_json::from_slice::<Owner>(&bytes).ok());
    owner.is_some_and(|owner| owner.instance.as_deref() == instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateFolder) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path().join("state"));
        (outer, state)
    }

    #[test]
    fn our_own_state_stays() {
        let (_outer, state) = state();
        assert_eq!(claim(&state, Some("i-1")).unwrap(), None);
        state.write("runs/1.jsonl", b"").unwrap();
        assert_eq!(claim(&state, Some("i-1")).unwrap(), None);
        assert_eq!(claim(&state, None).unwrap(), None, "the metadata service is silent");
        assert_eq!(claim(&state, Some("i-1")).unwrap(), None);
        assert_eq!(state.names("runs").unwrap(), ["1.jsonl"]);
    }

    #[test]
    fn state_of_another_instance_is_set_aside_and_reported() {
        for before in [Some("i-1"), None] {
            let (_outer, state) = state();
            claim(&state, before).unwrap();
            state.write("runs/1.jsonl", b"").unwrap();
            let notice = claim(&state, Some("i-2")).unwrap().unwrap();
            assert!(notice.contains("set aside"), "{notice}");
            assert!(state.names("runs").unwrap().is_empty());
            assert_eq!(claim(&state, Some("i-2")).unwrap(), None);
        }
    }

    #[test]
    fn state_that_nobody_can_read_is_not_trusted() {
        let (_outer, state) = state();
        state.write("owner.json", b"{\"version\":").unwrap();
        assert!(claim(&state, Some("i-1")).unwrap().is_some());
        let (_outer, state) = self::state();
        state.write("starts.json", b"{}").unwrap();
        assert!(claim(&state, Some("i-1")).unwrap().unwrap().contains("unknown"));
    }
}
