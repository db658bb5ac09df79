//! The service that ships logs, as a run meets it: whether it is installed for this state, and starting it. Before any step has
//! hands, so by itself.

use std::path::Path;

use super::{alone, is_booted};
use crate::error::{Context as _, Result};

/// The service's unit.
pub const LOG_UNIT: &str = "bootstrap-agent-logs.service";
/// Where the service has its socket, and the secrets in memory.
pub const LOG_RUNTIME: &str = "/run/bootstrap-agent";
/// Where `agent install` writes units.
const UNITS: &str = "/etc/systemd/system";
/// Whether the service is installed here, and keeps its records in this folder.
#[must_use]
pub fn log_unit_is_for(state: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(Path::new(UNITS).join(LOG_UNIT)) else { return false };
    is_booted() && text.lines().any(|line| line.starts_with("ExecStart=") && line.contains(&format!("\"{}\"", state.display())))
}

/// Starts the service, unless it runs.
///
/// # Errors
/// When systemd does not.
pub fn start_log_unit() -> Result<()> {
    let started = alone::systemctl(&["start", "--", LOG_UNIT]).doing(|| format!("starting `{LOG_UNIT}`"));
    started.map_err(|error| error.hint(format!("`systemctl status {LOG_UNIT}` says why")))
}
