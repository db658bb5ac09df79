//! Saying the verdict. "No active Lifecycle Action found" has three meanings; one Describe tells which it is.

use std::time::{Duration, Instant};

use super::{Hook, Line};
use crate::error::{Error, Result};
use crate::host::aws::{Answer, Verdict};
use crate::host::retry::jitter;

/// Between two tries while it is too early, growing up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What became of the verdict.
#[derive(Debug, Clone)]
pub enum Told {
    /// Auto Scaling took it.
    Taken,
    /// Somebody answered before us, or the hook's time was over and its default result let the instance in.
    AlreadyAnswered {
        /// The instance's state by then.
        state: String,
    },
    /// The hook's time was over, and the group is replacing the instance.
    BeingReplaced {
        /// The instance's state by then.
        state: String,
    },
    /// The group has no such hook.
    NoSuchHook {
        /// Those that it has.
        known: Vec<String>,
    },
    /// Nobody to tell, for this reason.
    Nobody(String),
    /// It was still too early when we gave up.
    TooEarly,
    /// It could not be said; the next run tries again.
    NotSent(Error),
}

impl Told {
    /// Whether nothing is left to be said.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::NotSent(_) | Self::TooEarly)
    }

    /// One sentence for whoever follows the run.
    #[must_use]
    pub fn sentence(&self, verdict: Verdict) -> String {
        let word = verdict.word();
        match self {
            Self::Taken => format!("told Auto Scaling to {word}"),
            Self::AlreadyAnswered { state } => {
                format!("nobody waits for {word} any more: the hook was answered before or its time was over (state `{state}`)")
            }
            Self::BeingReplaced { state } => {
                format!("too late for {word}: the hook's time was over and the instance is being replaced (state `{state}`)")
            }
            Self::NoSuchHook { known } if known.is_empty() => {
                format!("nobody to tell {word}: the group has no such hook, and no other")
            }
            Self::NoSuchHook { known } => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                format!("nobody to tell {word}: the group has no such hook; it has {}", known.join(", "))
            }
            Self::Nobody(why) => format!("nobody to tell: {why}"),
            Self::TooEarly => format!("the instance was not waiting for {word} yet; the next run says it again"),
            Self::NotSent(error) => format!("{word} could not be said, the next run says it again: {error}"),
        }
    }
}

/// Says the verdict, again and again until `limit`. A failure to say CONTINUE stays a failure to say CONTINUE.
pub fn report(line: &Line, hook: &Hook, verdict: Verdict, limit: Instant) -> Told {
    let clock = line.retry.clock();
    let mut pause = FIRST_PAUSE;
    for tries in 1.. {
        match line.retry.run(limit, || line.service.complete(&hook.group, &hook.name, &line.instance, verdict)) {
            Ok(Answer::Taken) => return Told::Taken,
            Ok(Answer::NoActiveAction) => {}
            Err(error) => return Told::NotSent(error),
        }
        let last = line.now() + pause >= limit;
        // The first time may be a matter of a second; asking costs the whole fleet's quota. While it is too early, asking again
        // would tell nothing new before the end.
        if tries == 2 || last {
            match meaning(line, hook, limit) {
                Ok(None) if last => return Told::TooEarly,
                Ok(None) => {}
                Ok(Some(told)) => return told,
                Err(error) => return Told::NotSent(error),
            }
        }
        clock.sleep(pause / 2 + jitter(pause / 2));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Told::TooEarly
}

/// What "no active action" means now; `None`: it is too early.
fn meaning(line: &Line, hook: &Hook, limit: Instant) -> Result<Option<Told>> {
    // Asking must be possible even when the last try used up the time.
    let limit = limit.max(line.now() + LONGEST_PAUSE);
    let Some(membership) = line.retry.run(limit, || line.service.membership(&line.instance))? else {
        return Ok(Some(Told::Nobody("this instance belongs to no Auto Scaling group".to_owned())));
    };
    if membership.group != hook.group {
        return Ok(Some(Told::Nobody(format!("this instance belongs to group `{}`, not to `{}`", membership.group, hook.group))));
    }
    let state = membership.state;
    if state.contains("Terminat") {
        return Ok(Some(Told::BeingReplaced { state }));
    }
    if state == "Pending" || state == "Warmed:Pending" {
        return Ok(None);
    }
    let known: Vec<String> =
        line.retry.run(limit, || line.service.launch_hooks(&hook.group))?.into_iter().map(|hook| hook.name).collect();
    if known.contains(&hook.name) { Ok(Some(Told::AlreadyAnswered { state })) } else { Ok(Some(Told::NoSuchHook { known })) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::scripted::Scripted;

    fn hook() -> Hook {
        Hook { group: "g".to_owned(), name: "h".to_owned(), timeout: Duration::from_secs(450) }
    }

    fn say(scripted: &Scripted, verdict: Verdict) -> Told {
        let line = scripted.line();
        report(&line, &hook(), verdict, line.now() + Duration::from_mins(5))
    }

    #[test]
    fn a_hook_that_waits_takes_it() {
        let scripted = Scripted::new().active("h");
        assert!(matches!(say(&scripted, Verdict::Continue), Told::Taken));
        assert_eq!(scripted.calls(), ["complete h CONTINUE"]);
    }

    #[test]
    fn too_early_is_tried_again_until_it_is_time() {
        let scripted = Scripted::new().member("g", "Pending").hook("h", 450).active_after("h", Duration::from_secs(70));
        assert!(matches!(say(&scripted, Verdict::Continue), Told::Taken));
        let describes = scripted.calls().iter().filter(|call| *call == "membership").count();
        assert_eq!(describes, 1);
    }

    #[test]
    fn too_early_for_ever_ends() {
        let scripted = Scripted::new().member("g", "Pending").hook("h", 450);
        assert!(matches!(say(&scripted, Verdict::Continue), Told::TooEarly));
    }

    #[test]
    fn one_describe_tells_what_no_action_means() {
        for (state, hooks, expected) in [
            ("InService", ["h"], "nobody waits"),
            ("Pending:Wait", ["h"], "nobody waits"),
            ("Pending:Wait", ["other"], "no such hook; it has `other`"),
            ("InService", ["other"], "no such hook"),
            ("Terminating:Wait", ["h"], "being replaced"),
            ("Warmed:Stopped", ["h"], "nobody waits"),
        ] {
            let scripted = Scripted::new().member("g", state).hook(hooks[0], 450);
            let told = say(&scripted, Verdict::Continue);
            assert!(told.is_settled());
            let sentence = told.sentence(Verdict::Continue);
            assert!(sentence.contains(expected), "{state}: {sentence}");
            assert_eq!(scripted.calls().iter().filter(|call| *call == "membership").count(), 1);
        }
        assert!(matches!(say(&Scripted::new(), Verdict::Continue), Told::Nobody(_)));
        assert!(matches!(say(&Scripted::new().member("another", "Pending:Wait"), Verdict::Continue), Told::Nobody(_)));
    }

    #[test]
    fn a_minute_of_throttling_is_survived() {
        let scripted = Scripted::new().active("h").throttled_for(Duration::from_mins(1));
        assert!(matches!(say(&scripted, Verdict::Continue), Told::Taken));
    }

    #[test]
    fn an_error_on_continue_never_becomes_abandon() {
        let scripted = Scripted::new().active("h").denied();
        let told = say(&scripted, Verdict::Continue);
        assert!(matches!(&told, Told::NotSent(_)) && !told.is_settled());
        assert!(scripted.calls().iter().all(|call| !call.contains("ABANDON")));
    }
}
