//! Which boot this is, and when the machine started: what distinguishes a reboot from a second run.

use std::time::{Duration, Instant};

use crate::error::{Context as _, Result};

/// Differs after each boot.
///
/// # Errors
/// When the kernel does not say.
pub fn boot_id() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").doing(|| "asking for the boot id".to_owned())?;
    Ok(text.trim().to_owned())
}

/// When process 1 was started. In a container the kernel's own uptime would be the host's.
#[must_use]
pub fn machine_started() -> Instant {
    let now = Instant::now();
    age_of_first_process().and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

fn age_of_first_process() -> Option<Duration> {
    let uptime: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let started = started_ticks(&std::fs::read_to_string("/proc/1/stat").ok()?)?;
    #[allow(clippy::cast_precision_loss, reason = "ticks since boot are far below 2^52")]
    let seconds = uptime - started as f64 / ticks as f64;
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

/// The 22nd field; the second one is a name in parentheses that may hold anything.
fn started_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_behind_any_name() {
        let stat = "1 (init) 2 (x) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 200";
        assert_eq!(started_ticks(stat), Some(4711));
        assert_eq!(started_ticks("nonsense"), None);
    }

    #[test]
    fn a_machine_that_runs_was_started() {
        assert!(machine_started() <= Instant::now());
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
