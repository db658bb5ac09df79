//! The record of a run that did not come about because its playbook is wrong. A person at a terminal has read why; of a boot or
//! timer run nobody has, and `agent status` must not show the run before it as the last word.

use std::sync::Arc;

use super::environment::Surroundings;
use super::event::{Event, Failure};
use super::options::RunOptions;
use super::owner;
use super::record::{Header, Recorder};
use crate::error::Result;
use crate::host::instance::boot_id;
use crate::host::process;
use crate::host::state::StateFolder;

/// Writes it. `None` while another run is under way, whose record is the newer one.
///
/// # Errors
/// When the state folder cannot be written.
pub fn record(
    id: &str,
    options: &RunOptions,
    surroundings: &Surroundings,
    state: &StateFolder,
    failure: &Failure,
) -> Result<Option<Arc<Recorder>>> {
    let Ok(_lock) = state.take_run_lock()? else { return Ok(None) };
    let instance = surroundings.instance.as_ref().map(|instance| instance.id.as_str());
    let set_aside = owner::claim(state, instance)?;
    let recorder = Recorder::begin(state, &Header::new(id, instance, &boot_id()?, process::own_stamp()?))?;
    recorder.note(Event::RunStarted {
        run: id.to_owned(),
        playbook: options.location.to_string(),
        playbook_digest: String::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trigger: options.trigger.word().to_owned(),
        dry_run: false,
        steps: 0,
    });
    set_aside.into_iter().for_each(|text| recorder.note(Event::Notice { text }));
    recorder.note(Event::RunFailed { reason: failure.clone() });
    recorder.note(Event::RunFinished {
        run: id.to_owned(),
        converged: false,
        changed: 0,
        failed: 1,
        unknown: 0,
        interrupted: None,
        milliseconds: 0,
    });
    Ok(Some(Arc::new(recorder)))
}
