//! Auto Scaling, as far as an instance has a say: who holds me, until when, and my answer.

use std::time::Duration;

use super::Aws;
use super::errors::explain;
use crate::error::{Error, Result};

/// What is said about the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// It goes into service.
    Continue,
    /// The group replaces it.
    Abandon,
}

impl Verdict {
    /// The word that Auto Scaling knows.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }
}

/// Where the instance stands in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group's name.
    pub group: String,
    /// Such as `Pending:Wait` or `InService`.
    pub state: String,
}

/// A hook on launching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchHook {
    /// Its name.
    pub name: String,
    /// How long it waits after the last sign of life.
    pub timeout: Duration,
}

/// What Auto Scaling says to a heartbeat or a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Taken,
    /// "No active Lifecycle Action found": too early, too late, or no such hook.
    NoActiveAction,
}

/// The four calls. One try each: whoever calls has its own idea of when to try again.
pub trait AutoScaling: Send + Sync {
    /// Where the instance stands; `None` when it belongs to no group.
    ///
    /// # Errors
    /// When the service cannot be asked.
    fn membership(&self, instance: &str) -> Result<Option<Membership>>;

    /// The group's hooks on launching.
    ///
    /// # Errors
    /// When the service cannot be asked.
    fn launch_hooks(&self, group: &str) -> Result<Vec<LaunchHook>>;

    /// "Still at work": the hook's clock starts again.
    ///
    /// # Errors
    /// When the service cannot be told.
    fn heartbeat(&self, group: &str, hook: &str, instance: &str) -> Result<Answer>;

    /// The answer the hook waits for.
    ///
    /// # Errors
    /// When the service cannot be told.
    fn complete(&self, group: &str, hook: &str, instance: &str, verdict: Verdict) -> Result<Answer>;
}

impl AutoScaling for Aws {
    fn membership(&self, instance: &str) -> Result<Option<Membership>> {
        let answer = self.attempt(&async |clients: &super::Clients| {
            let request = clients.groups.describe_auto_scaling_instances().instance_ids(instance);
            request.send().await.map_err(|error| explain(&error).doing("describing this instance's Auto Scaling group"))
        })?;
        let details = answer.auto_scaling_instances().iter().find(|details| details.instance_id() == Some(instance));
        Ok(details.map(|details| Membership {
            group: details.auto_scaling_group_name().unwrap_or_default().to_owned(),
            state: details.lifecycle_state().unwrap_or_default().to_owned(),
        }))
    }

    fn launch_hooks(&self, group: &str) -> Result<Vec<LaunchHook>> {
        let answer = self.attempt(&async |clients: &super::Clients| {
            let request = clients.groups.describe_lifecycle_hooks().auto_scaling_group_name(group);
            request.send().await.map_err(|error| explain(&error).doing(format!("describing the hooks of group `{group}`")))
        })?;
        let launching = |transition: Option<&str>| transition == Some("autoscaling:EC2_INSTANCE_LAUNCHING");
        let hooks = answer.lifecycle_hooks().iter().filter(|hook| launching(hook.lifecycle_transition()));
        Ok(hooks
            .map(|hook| LaunchHook {
                name: hook.lifecycle_hook_name().unwrap_or_default().to_owned(),
                timeout: Duration::from_secs(hook.heartbeat_timeout().and_then(|s| u64::try_from(s).ok()).unwrap_or(3600)),
            })
            .collect())
    }

    fn heartbeat(&self, group: &str, hook: &str, instance: &str) -> Result<Answer> {
        let told = self.attempt(&async |clients: &super::Clients| {
            let request = clients.groups.record_lifecycle_action_heartbeat();
            let request = request.auto_scaling_group_name(group).lifecycle_hook_name(hook).instance_id(instance);
            request
                .send()
                .await
                .map(|_| ())
                .map_err(|error| explain(&error).doing(format!("sending a heartbeat to hook `{hook}`")))
        });
        taken(told)
    }

    fn complete(&self, group: &str, hook: &str, instance: &str, verdict: Verdict) -> Result<Answer> {
        let told = self.attempt(&async |clients: &super::Clients| {
            let request = clients.groups.complete_lifecycle_action();
            let request = request.auto_scaling_group_name(group).lifecycle_hook_name(hook).instance_id(instance);
            let sent = request.lifecycle_action_result(verdict.word()).send().await;
            sent.map(|_| ()).map_err(|error| explain(&error).doing(format!("telling hook `{hook}` to {}", verdict.word())))
        });
        taken(told)
    }
}

/// The one answer that is an error for the service and news for us. It has no code of its own, only its words.
fn taken(told: Result<()>) -> Result<Answer> {
    match told {
        Ok(()) => Ok(Answer::Taken),
        Err(error) if is_no_active_action(&error) => Ok(Answer::NoActiveAction),
        Err(error) => Err(error),
    }
}

fn is_no_active_action(error: &Error) -> bool {
    error.causes().any(|cause| cause.contains("No active Lifecycle Action found"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn no_active_action_is_news_and_every_other_error_stays_one() {
        let said = Error::new(Kind::Failed, "`ValidationError`: No active Lifecycle Action found with instance ID i-1");
        assert_eq!(taken(Err(said)).unwrap(), Answer::NoActiveAction);
        assert!(taken(Err(Error::new(Kind::Denied, "`AccessDenied`"))).is_err());
        assert_eq!(taken(Ok(())).unwrap(), Answer::Taken);
    }
}
