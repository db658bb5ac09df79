//! How much the machine has moved over its network interfaces and to and from its disks. The kernel counts this for the machine as a
//! whole; nobody counts it for a step's children and theirs, so whoever shows it says that it is everybody's.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Bytes that the machine has moved, by whomever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Traffic {
    /// Taken in by the network interfaces.
    pub received: u64,
    /// Sent out by them.
    pub sent: u64,
    /// Read from disks, not from memory.
    pub read: u64,
    /// Written to disks; the kernel does it when it likes, so some of it later.
    pub written: u64,
}

impl Traffic {
    /// All of it since the machine started; `None` where the kernel does not say.
    #[must_use]
    pub fn so_far() -> Option<Self> {
        let interfaces = std::fs::read_to_string("/proc/net/dev").ok()?;
        let pages = std::fs::read_to_string("/proc/vmstat").ok()?;
        let (received, sent) = network(&interfaces, |name| Path::new("/sys/class/net").join(name).join("device").exists());
        let (read, written) = disks(&pages);
        Some(Self { received, sent, read, written })
    }

    /// What was added since then.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
            read: self.read.saturating_sub(earlier.read),
            written: self.written.saturating_sub(earlier.written),
        }
    }
}

/// Measures what the machine moves from now on.
pub struct Meter(Option<Traffic>);

impl Meter {
    /// Begins; one that is not wanted measures nothing.
    #[must_use]
    pub fn begin(wanted: bool) -> Self {
        Self(if wanted { Traffic::so_far() } else { None })
    }

    /// What was moved since it began.
    #[must_use]
    pub fn moved(&self) -> Option<Traffic> {
        let before = self.0?;
        Some(Traffic::so_far()?.since(before))
    }
}

/// What came in and went out over the interfaces that are devices; over all but the loopback where none is, as in a container. What
/// goes through a bridge would count twice otherwise.
fn network(table: &str, is_device: impl Fn(&str) -> bool) -> (u64, u64) {
    let row = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().map_while(|count| count.parse().ok()).collect();
        Some((name.trim().to_owned(), *counts.first()?, *counts.get(8)?))
    };
    let rows: Vec<_> = table.lines().filter_map(row).filter(|(name, ..)| name != "lo").collect();
    let any_device = rows.iter().any(|(name, ..)| is_device(name));
    let counted = rows.iter().filter(|(name, ..)| !any_device || is_device(name));
    counted.fold((0, 0), |(received, sent), (_, more_in, more_out)| (received + more_in, sent + more_out))
}

/// What was read and written, of a table in which the kernel counts it in kibibytes.
fn disks(table: &str) -> (u64, u64) {
    let count = |name: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_default().saturating_mul(1024)
    };
    (count("pgpgin"), count("pgpgout"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERFACES: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  900       3    0    0    0     0          0         0      900       3    0    0    0     0       0          0
  ens5: 1000      10    0    0    0     0          0         0      200       2    0    0    0     0       0          0
docker0:  50       1    0    0    0     0          0         0       70       1    0    0    0     0       0          0
";

    #[test]
    fn only_devices_count_where_there_are_any() {
        assert_eq!(network(INTERFACES, |name| name == "ens5"), (1000, 200));
        assert_eq!(network(INTERFACES, |_| false), (1050, 270));
        assert_eq!(network("no table", |_| true), (0, 0));
    }

    #[test]
    fn pages_are_bytes() {
        assert_eq!(disks("nr_free 7\npgpgin 3\npgpgout 5\npgpgoutrun 9\n"), (3072, 5120));
        assert_eq!(disks(""), (0, 0));
    }

    #[test]
    fn what_is_read_only_grows() {
        let (before, after) = (Traffic::so_far().unwrap(), Traffic::so_far().unwrap());
        assert!(after.received >= before.received && after.written >= before.written);
        assert!(Meter::begin(true).moved().is_some() && Meter::begin(false).moved().is_none());
        assert_eq!(before.since(before), Traffic::default());
        assert_eq!(Traffic::default().since(after), Traffic::default(), "counters that began anew are not negative");
    }
}
