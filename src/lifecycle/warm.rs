//! Between the two passes of a warm pool: the instance is prepared, and is told by its target state that it is wanted.
//!
//! A stopped instance boots again and begins a new run; a hibernated or running one goes on right here.

use std::time::Duration;

use crate::error::Result;
use crate::host::clock::Clock;

/// Between two looks; the metadata service is local and asked for one line.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long there may be no target state, or no answer, before we stop watching.
const ABSENT_FOR: Duration = Duration::from_mins(10);

/// What the watch ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// The instance is wanted in service: the second pass begins.
    Wanted,
    /// It is not going to be, for this reason.
    Gone(String),
}

/// Watches the target state until the instance is wanted. Ends by itself when the instance leaves the pool for good.
pub fn wait_for_service(clock: &dyn Clock, target: &dyn Fn() -> Result<Option<String>>) -> Service {
    let mut absent_since = None;
    loop {
        match target() {
            Ok(Some(state)) if state.contains("Terminat") => return Service::Gone(format!("its target state is `{state}`")),
            Ok(Some(state)) if !state.starts_with("Warmed:") => return Service::Wanted,
            Ok(Some(_)) => absent_since = None,
            // Right after hibernation the service may take a while; without any bound a lost instance would be watched for ever.
            Ok(None) | Err(_) => {
                let since = *absent_since.get_or_insert_with(|| clock.now());
                if clock.now().saturating_duration_since(since) >= ABSENT_FOR {
                    return Service::Gone("it has had no target state for 10 minutes".to_owned());
                }
            }
        }
        clock.sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::error::{Error, Kind};
    use crate::host::clock::FakeClock;

    /// Each state for this many looks, the last one for ever.
    fn watch(states: &[(Option<&str>, usize)]) -> Service {
        let mut script: Vec<Option<String>> = Vec::new();
        for (state, times) in states {
            script.extend(std::iter::repeat_n(state.map(str::to_owned), *times));
        }
        script.reverse();
        let script = RefCell::new(script);
        let last = states.last().and_then(|(state, _)| state.map(str::to_owned));
        let target = || {
            script
                .borrow_mut()
                .pop()
                .unwrap_or_else(|| last.clone())
                .map_or_else(|| Err(Error::new(Kind::Unreachable, "nobody answers")), |state| Ok(Some(state)))
        };
        wait_for_service(&*FakeClock::shared(), &target)
    }

    #[test]
    fn it_waits_while_the_pool_keeps_the_instance() {
        assert_eq!(watch(&[(Some("Warmed:Running"), 5000), (Some("InService"), 1)]), Service::Wanted);
        assert_eq!(watch(&[(Some("Warmed:Hibernated"), 3), (None, 20), (Some("InService"), 1)]), Service::Wanted);
    }

    #[test]
    fn it_ends_when_the_instance_leaves_for_good() {
        assert!(matches!(watch(&[(Some("Warmed:Stopped"), 3), (Some("Warmed:Terminated"), 1)]), Service::Gone(_)));
        assert!(matches!(watch(&[(Some("Warmed:Running"), 3), (Some("Terminated"), 1)]), Service::Gone(_)));
    }

    #[test]
    fn silence_has_a_bound() {
        assert!(matches!(watch(&[(Some("Warmed:Running"), 1), (None, 1)]), Service::Gone(why) if why.contains("10 minutes")));
    }
}
