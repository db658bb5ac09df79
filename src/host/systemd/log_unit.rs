//! The service that ships logs, as a run meets it: whether it is installed for this state, and starting it. Before any step has
//! hands, so by itself.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::is_booted;
use crate::error::{Context as _, Error, Kind, Result};

/// The service's unit.
pub const LOG_UNIT: &str = "bootstrap-agent-logs.service";
/// Where the service has its socket, and the secrets in memory.
pub const LOG_RUNTIME: &str = "/run/bootstrap-agent";
/// Where `agent install` writes units.
const UNITS: &str = "/etc/systemd/system";
/// How long systemd may take to start it.
const LIMIT: Duration = Duration::from_secs(10);

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
    let mut command = Command::new("systemctl");
    command.args(["--no-pager", "--quiet", "start", "--", LOG_UNIT]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().doing(|| format!("starting `{LOG_UNIT}`"))?;
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(failed("systemd did not start it")),
            None if Instant::now() >= until => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("systemd did not start it in time"));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn failed(why: &str) -> Error {
    let error = Error::new(Kind::Failed, why).doing(format!("starting `{LOG_UNIT}`"));
    error.hint(format!("`systemctl status {LOG_UNIT}` says why"))
}
