//! Follows the boot run from outside: its run record says what happens, systemd says when it is over. The record is read as it
//! grows, so that what user-data shows is what the run itself shows, whatever becomes of the journal.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::units::BOOT;
use crate::cli::terminal;
use crate::engine::event::{Event, Listener};
use crate::engine::record::Record;
use crate::error::{Error, Kind, Result};
use crate::host::state::StateFolder;
use crate::host::systemd::UnitFacts;
use crate::host::{Host, process};

/// How often the record is read.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often systemd is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A service that lives on this long after its run said its last word has something else to do (a warm pool's second pass).
const LINGER: Duration = Duration::from_secs(10);
/// How much of the journal is shown when there is no record to show.
const TAIL: usize = 40;

/// Reads one boot run's record.
pub struct Follower {
    state: StateFolder,
    /// Records that were there before: not ours.
    known: Vec<String>,
    /// What systemd calls the boot service's last start; empty when it is running already.
    started_before: Option<String>,
    /// The record of the run, once it is known.
    record: Option<String>,
    heard: usize,
    /// When the run said its last word, and whether it was a good one.
    finished: Option<(Instant, bool)>,
}

impl Follower {
    /// Remembers which runs are not the one that is about to start; one that is under way will do.
    ///
    /// # Errors
    /// When the state folder cannot be read, or systemd not asked.
    pub fn before_the_start(state: &Path, host: &Host) -> Result<Self> {
        let unit = host.unit(BOOT)?;
        let under_way = unit.is_active() || unit.active_state == "activating";
        let follower = Self::after_all_in(state, under_way)?;
        Ok(Self { started_before: (!under_way).then_some(unit.invocation_id), ..follower })
    }

    fn after_all_in(state: &Path, but_the_last: bool) -> Result<Self> {
        let state = StateFolder::new(state);
        let mut known = state.names("runs")?;
        if but_the_last {
            known.pop();
        }
        Ok(Self { state, known, started_before: None, record: None, heard: 0, finished: None })
    }

    /// Tells `listener` what happens until the run is over; gives its exit code.
    ///
    /// # Errors
    /// When the run ended without a word, or systemd does not say how it ended.
    pub fn wait_for_verdict(mut self, host: &Host, listener: &dyn Listener) -> Result<ExitCode> {
        let mut asked = Instant::now();
        loop {
            self.tell_news(listener)?;
            if asked.elapsed() >= ASK_EVERY {
                asked = Instant::now();
                let unit = host.unit(BOOT)?;
                if is_over(&unit) {
                    if self.started_before.as_ref() == Some(&unit.invocation_id) {
                        return Err(Error::new(Kind::Failed, "systemd did not start the boot run")
                            .hint(format!("`systemctl status {BOOT}` says why")));
                    }
                    self.tell_news(listener)?;
                    return self.ended(host, unit.signalled, unit.exit_status);
                }
                if let Some((when, good)) = self.finished
                    && when.elapsed() >= LINGER
                {
                    return Ok(ExitCode::from(u8::from(!good)));
                }
            }
            process::pause(LOOK_EVERY);
        }
    }

    fn ended(&self, host: &Host, signalled: bool, status: i32) -> Result<ExitCode> {
        if signalled {
            return Err(Error::new(Kind::Failed, format!("the boot run was ended by signal {status}"))
                .tail(host.journal_tail(BOOT, TAIL))
                .hint(format!("`journalctl -u {BOOT}` has all of it")));
        }
        if self.record.is_none() {
            // It refused to begin, and said why in its journal only.
            host.journal_tail(BOOT, TAIL).iter().for_each(|line| terminal::complain(&format!("{line}\n")));
        }
        Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
    }

    /// Tells what the record says more than last time.
    fn tell_news(&mut self, listener: &dyn Listener) -> Result<()> {
        if self.record.is_none() {
            self.record = self.find()?;
        }
        let Some(name) = &self.record else { return Ok(()) };
        let Some(record) = self.state.read(&format!("runs/{name}"))?.as_deref().and_then(Record::parse) else { return Ok(()) };
        for stamped in record.events.iter().skip(self.heard) {
            listener.hear(stamped);
            if let Event::RunFinished { converged, .. } = &stamped.event {
                self.finished = Some((Instant::now(), *converged));
            } else if self.finished.is_some() {
                // The verdict is still being reported.
                self.finished = self.finished.map(|(_, good)| (Instant::now(), good));
            }
        }
        self.heard = self.heard.max(record.events.len());
        Ok(())
    }

    /// The boot run that began since.
    fn find(&self) -> Result<Option<String>> {
        for name in self.state.names("runs")?.into_iter().filter(|name| !self.known.contains(name)) {
            let record = self.state.read(&format!("runs/{name}"))?.as_deref().and_then(Record::parse);
            if record.is_some_and(|record| record.trigger() == Some("boot")) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Neither running nor about to be.
fn is_over(unit: &UnitFacts) -> bool {
    !unit.has_job && !unit.is_active() && unit.active_state != "activating" && unit.active_state != "deactivating"
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::event::Stamped;

    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);

    impl Listener for Heard {
        fn hear(&self, stamped: &Stamped) {
            self.0.lock().unwrap().push(stamped.event.clone());
        }
    }

    fn record(trigger: &str) -> String {
        let header = r#"{"record":1,"run":"r","instance":null,"boot":"b","process":7,"binary_stamp":""}"#;
        let started = Event::RunStarted {
            run: "r".into(),
            playbook: "p".into(),
            playbook_digest: String::new(),
            version: String::new(),
            trigger: trigger.into(),
            dry_run: false,
            steps: 1,
        };
        format!("{header}\n{}\n", line(started))
    }

    #[test]
    fn a_queued_start_is_not_the_end() {
        let idle = UnitFacts { active_state: "inactive".into(), ..UnitFacts::default() };
        assert!(is_over(&idle));
        assert!(!is_over(&UnitFacts { has_job: true, ..idle.clone() }));
        assert!(!is_over(&UnitFacts { active_state: "activating".into(), sub_state: "auto-restart".into(), ..idle }));
    }

    fn line(event: Event) -> String {
        serde_json::to_string(&Stamped { at: 1, event }).unwrap()
    }

    #[test]
    fn only_the_boot_run_that_begins_now_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        state.write("runs/1.jsonl", record("boot").as_bytes()).unwrap();
        let mut follower = Follower::after_all_in(folder.path(), false).unwrap();
        let heard = Heard::default();
        state.write("runs/2.jsonl", record("timer").as_bytes()).unwrap();
        follower.tell_news(&heard).unwrap();
        assert!(heard.0.lock().unwrap().is_empty());

        let mut text = record("boot");
        state.write("runs/3.jsonl", text.as_bytes()).unwrap();
        follower.tell_news(&heard).unwrap();
        text.push_str(&line(Event::Notice { text: "hello".into() }));
        text.push_str("\n{\"torn");
        state.write("runs/3.jsonl", text.as_bytes()).unwrap();
        follower.tell_news(&heard).unwrap();
        follower.tell_news(&heard).unwrap();
        assert_eq!(heard.0.lock().unwrap().len(), 2, "each event once, torn lines not yet");
        assert!(follower.finished.is_none());
    }
}
