//! What is asked of systemd outside of any step, where no step has hands: before the first, and as the run's last act.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context as _, Error, Kind, Result};

/// How long systemd may take to do it.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs `systemctl` with these words.
pub(super) fn systemctl(words: &[&str]) -> Result<()> {
    let mut command = Command::new("systemctl");
    command.args(["--no-pager", "--no-ask-password", "--quiet"]).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(Error::new(Kind::Failed, "systemd did not do it")),
            None if Instant::now() >= until => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::new(Kind::Failed, "systemd did not do it in time"));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Reboots the machine, in order. Comes back at once; whoever runs is told by a signal when it is their turn to end.
///
/// # Errors
/// When systemd does not.
pub fn reboot_machine() -> Result<()> {
    systemctl(&["--no-block", "reboot"]).doing(|| "rebooting the machine".to_owned())
}
