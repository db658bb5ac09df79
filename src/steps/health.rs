//! `health`: waits until the application answers as it should, and no longer than it makes sense to wait.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::guard::{Guard, UserProgram};
use crate::host::network::{HttpWish, Probe};
use crate::host::{Answer, Facts, Host};
use crate::step::fields::{AbsolutePath, Span};
use crate::step::{Finding, Patience, Proof, Step, Thing, Touches};

/// How much of a dead unit's journal the error shows.
const TAIL: usize = 40;

/// Waits until the application is healthy: exactly one of `http`, `tcp`, `socket` and `command`.
///
/// A refused connection or a wrong answer means "not yet", until `ready_within` is over. With `unit`, a unit that is dead or
/// dies again and again ends the wait at once, with the tail of its journal.
///
/// With `rollback`, the step is the judge of a `git` step with `releases`: the release that it sees healthy is the one to go back
/// to. Where a newer one fails, here or already at the start of `unit`, the last healthy release is linked and `unit` restarted, the
/// run fails and says both why and whether the old one is healthy again; nothing else is undone. A candidate that ran in a slot
/// is stopped instead, and the live release stays. The revision that failed is not deployed again until the branch moves, or `agent
/// run --retry-revision` asks for it; `agent status` shows it.
///
/// ```yaml
/// - health: { http: http://localhost:8000/health, unit: app.service, rollback: code }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// A URL that must answer 2xx or 3xx. Redirects are not followed, proxies not used; `localhost` is tried as IPv4 and IPv6.
    #[serde(default)]
    http: Option<String>,
    /// The one status that `http` must answer with.
    #[serde(default)]
    status: Option<u16>,
    /// Text that the page at `http` must hold.
    #[serde(default)]
    contains: Option<String>,
    /// `host:port` that must accept a connection.
    #[serde(default)]
    tcp: Option<String>,
    /// The path of a unix socket that must accept a connection.
    #[serde(default)]
    socket: Option<AbsolutePath>,
    /// A program and its arguments: 0 is healthy, 1 is not yet, anything else is an error.
    #[serde(default)]
    command: Option<Vec<String>>,
    /// Who runs `command`.
    #[serde(default)]
    run_as: Option<String>,
    /// The unit that is being waited for.
    #[serde(default)]
    unit: Option<String>,
    /// The id of the `git` step whose release is on trial here; `unit` is what runs it.
    #[serde(default)]
    rollback: Option<String>,
    /// How long it may take until it is healthy; 60 seconds unless told.
    #[serde(default)]
    ready_within: Option<Span>,
    /// How long one try may take; 2 seconds unless told.
    #[serde(default)]
    request_timeout: Option<Span>,
    /// How long it must then stay healthy; one healthy answer is enough unless told, and where no step that it waited for has changed
    /// anything.
    #[serde(default)]
    healthy_for: Option<Span>,
    /// Time from one try to the next; 100 milliseconds unless told (a second for `command`).
    #[serde(default)]
    every: Option<Span>,
}

/// The one change there is: to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    what: String,
    within: Span,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wait until {} (at most {})", self.what, self.within)
    }
}

impl Health {
    fn ready_within(&self) -> Span {
        self.ready_within.unwrap_or(Span(Duration::from_mins(1)))
    }

    fn request_timeout(&self) -> Duration {
        self.request_timeout.map_or(Duration::from_secs(2), |span| span.0)
    }

    fn unit(&self) -> Option<String> {
        let name = self.unit.as_ref()?;
        Some(if name.contains('.') { name.clone() } else { format!("{name}.service") })
    }

    fn what(&self) -> String {
        match (&self.http, &self.tcp, &self.socket, &self.command) {
            (Some(url), ..) => format!("`{url}` answers"),
            (_, Some(address), ..) => format!("`{address}` accepts connections"),
            (_, _, Some(path), _) => format!("`{path}` accepts connections"),
            (.., command) => format!("`{}` says so", command.iter().flatten().next().map_or("", String::as_str)),
        }
    }

    /// One look. Not knowing is an answer of a dry-run's guards.
    fn probe(&self, facts: &Facts) -> Result<Answer<Probe>> {
        let seen = if let Some(url) = &self.http {
            let (status, contains) = (self.status, self.contains.clone());
            facts.probe_http(&HttpWish { url: url.clone(), status, contains, timeout: self.request_timeout() })?
        } else if let Some(address) = &self.tcp {
            facts.probe_tcp(address, self.request_timeout())?
        } else if let Some(path) = &self.socket {
            facts.probe_socket(path)
        } else {
            let program = UserProgram {
                argv: self.command.clone().unwrap_or_default(),
                user: self.run_as.clone(),
                timeout: Some(self.request_timeout.map_or(Duration::from_secs(10), |span| span.0)),
                shown: true,
                ..UserProgram::default()
            };
            match facts.guard_holds(&Guard::new(program))? {
                Answer::Known(true) => Probe::Healthy,
                Answer::Known(false) => Probe::NotYet("the command said no (1)".into()),
                Answer::Unknown(why) => return Ok(Answer::Unknown(why)),
            }
        };
        Ok(Answer::Known(seen))
    }

    /// What keeps the unit from ever becoming healthy.
    fn give_up(&self, facts: &Facts) -> Result<()> {
        let Some(name) = self.unit() else { return Ok(()) };
        let unit = match facts.unit(&name) {
            Ok(unit) => unit,
            // Without systemd the probe alone has to do; a run that needed the unit has failed before.
            Err(error) if error.kind() == Kind::Missing => return Ok(()),
            Err(error) => return Err(error),
        };
        let why = match unit.trouble() {
            Some(why) => why,
            None if unit.load_state == "not-found" => {
                return Err(Error::new(Kind::Missing, format!("there is no unit `{name}`")));
            }
            None if unit.is_active() || unit.active_state == "activating" => return Ok(()),
            None => format!("it is not running (`{}`)", unit.active_state),
        };
        Err(Error::new(Kind::Failed, why).doing(format!("waiting for `{name}`")).tail(facts.journal_tail(&name, TAIL)))
    }
}

impl Step for Health {
    const KIND: &'static str = "health";
    const SHORTHAND: Option<&'static str> = Some("http");
    const EXAMPLE: &'static str = "steps:
  - health: { http: http://localhost:8000/healthcheck, unit: app.service, ready_within: 3m }
";
    type Change = Wait;

    fn touches(&self) -> Touches {
        let named: Vec<String> = self.rollback.iter().cloned().collect();
        let mut touches = Touches::nothing().read_user(self.run_as.as_deref()).after(&named);
        if let Some(unit) = self.unit() {
            touches = touches.read(Thing::Unit(unit));
        }
        if let Some(path) = &self.socket {
            touches = touches.read_path(path.as_path());
        }
        if self.command.is_some() { touches.read(Thing::Programs) } else { touches }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let kinds = [self.http.is_some(), self.tcp.is_some(), self.socket.is_some(), self.command.is_some()];
        if kinds.iter().filter(|given| **given).count() != 1 {
            problems.push("exactly one of `http`, `tcp`, `socket` and `command` says what is waited for".into());
        }
        if self.http.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            problems.push("`http` must start with `http://` or `https://`".into());
        }
        if self.http.is_none() && (self.status.is_some() || self.contains.is_some()) {
            problems.push("`status` and `contains` belong to `http`".into());
        }
        if self.tcp.as_ref().is_some_and(|address| {
            address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
        }) {
            problems.push("`tcp` must be `host:port`".into());
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            problems.push("`command` names no program".into());
        }
        if self.run_as.is_some() && self.command.is_none() {
            problems.push("`run_as` belongs to `command`".into());
        }
        if self.rollback.is_some() && self.unit.is_none() {
            problems.push("`rollback` needs `unit`: the unit that is restarted with the last healthy release".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<Wait>> {
        let missing = match self.probe(facts)? {
            Answer::Known(Probe::Healthy) => return Ok(Finding::done().with_fingerprint(&[self.what().as_bytes()])),
            Answer::Known(Probe::NotYet(missing)) => missing,
            Answer::Unknown(why) => return Ok(Finding::unknown(why)),
        };
        self.give_up(facts)?;
        let mut finding = Finding::done();
        finding.change(Wait { what: self.what(), within: self.ready_within() });
        finding.not_yet = Some(missing);
        Ok(finding)
    }

    /// Waiting is the engine's business: it checks again, for as long as `patience` says.
    fn apply(&self, _: &Wait, _: &Host) -> Result<()> {
        Ok(())
    }

    fn patience(&self) -> Patience {
        let every = Duration::from_millis(if self.command.is_some() { 1000 } else { 100 });
        Patience {
            within: self.ready_within().0,
            every: self.every.map_or(every, |span| span.0.max(Duration::from_millis(10))),
            hold: self.healthy_for.map_or(Duration::ZERO, |span| span.0),
        }
    }

    fn proves(&self) -> Option<Proof> {
        Some(Proof { of: self.rollback.clone()?, unit: self.unit()? })
    }

    fn evidence(&self, facts: &Facts) -> Vec<String> {
        self.unit().map(|unit| facts.journal_tail(&unit, TAIL)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    const UP: &str = "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\nType=simple\n";

    fn step(yaml: &str) -> Health {
        serde_yaml::from_str(yaml).unwrap()
    }

    /// A port that nobody listens on.
    fn closed() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn a_refused_connection_is_not_yet() {
        let machine = Machine::new().program("systemctl", UP);
        let found = step(&format!("{{ tcp: 'localhost:{}', unit: app }}", closed())).check(&machine.facts()).unwrap();
        assert_eq!(found.not_yet.as_deref(), Some("connection refused"));
        assert!(found.changes[0].change.to_string().ends_with("accepts connections (at most 1m)"));
    }

    #[test]
    fn a_healthy_application_needs_no_unit() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let machine = Machine::new();
        let found = step(&format!("{{ tcp: 'localhost:{port}', unit: app }}")).check(&machine.facts()).unwrap();
        assert!(found.is_done());
        assert!(machine.calls().is_empty());
    }

    #[test]
    fn a_dead_unit_ends_the_wait_with_its_journal() {
        for state in [
            "LoadState=loaded\nActiveState=failed\nSubState=failed\nExecMainStatus=3\nExecMainCode=1\n",
            "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nNRestarts=4\nExecMainStatus=3\n",
            "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=1\nExecMainStatus=3\n",
            "LoadState=loaded\nActiveState=inactive\nSubState=dead\n",
        ] {
            let machine =
                Machine::new().program("systemctl", state).program("journalctl", "ImportError: no module named `main`\n");
            let error = step(&format!("{{ tcp: 'localhost:{}', unit: app }}", closed())).check(&machine.facts()).unwrap_err();
            assert_eq!(error.kind(), Kind::Failed, "{state}");
            assert_eq!(error.last_lines(), ["ImportError: no module named `main`"]);
        }
    }

    #[test]
    fn a_command_is_a_guard() {
        let wish = step("command: [pg_isready]");
        let says = |code| Machine::new().program_ends("pg_isready", code, "", "no such option");
        assert!(wish.check(&says(0).facts()).unwrap().is_done());
        assert_eq!(wish.check(&says(1).facts()).unwrap().not_yet.as_deref(), Some("the command said no (1)"));
        let error = wish.check(&says(127).facts()).unwrap_err();
        assert!(error.to_string().contains("127"), "{error}");
        let mut silent = says(0);
        silent.guards = false;
        assert!(wish.check(&silent.facts()).unwrap().unknown.is_some());
        assert!(silent.calls().is_empty());
    }

    #[test]
    fn exactly_one_thing_is_waited_for() {
        assert!(step("http: http://localhost:8000/").problems().is_empty());
        for wrong in [
            "unit: app",
            "{ http: 'http://a/', tcp: 'a:1' }",
            "http: ftp://a/",
            "tcp: 8000",
            "{ tcp: 'a:1', status: 200 }",
            "command: []",
            "{ tcp: 'a:1', run_as: bob }",
            "{ tcp: 'a:1', rollback: code }",
        ] {
            assert!(!serde_yaml::from_str::<Health>(wrong).is_ok_and(|step| step.problems().is_empty()), "{wrong}");
        }
    }

    #[test]
    fn a_judge_comes_after_what_it_judges() {
        let judge = step("{ tcp: 'localhost:1', unit: app, rollback: code }");
        assert_eq!(Step::touches(&judge).after, ["code"]);
        assert_eq!(Step::proves(&judge), Some(Proof { of: "code".into(), unit: "app.service".into() }));
        assert_eq!(Step::proves(&step("{ tcp: 'localhost:1', unit: app }")), None);
    }

    #[test]
    fn the_wait_is_short_steps_within_the_ramp_up() {
        let patience = step("{ http: 'http://localhost/', ready_within: 3m, healthy_for: 5s }").patience();
        assert_eq!((patience.within, patience.every), (Duration::from_mins(3), Duration::from_millis(100)));
        assert_eq!(patience.hold, Duration::from_secs(5));
    }
}
