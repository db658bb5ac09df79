//! Whether the system itself wants to be rebooted: what it runs was replaced on the disk.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::error::Result;
use crate::host::Facts;
use crate::host::instance::machine_started;
use crate::host::packages::Manager;
use crate::host::programs::Invocation;

/// What a running machine keeps in use until it is rebooted: the list of `needs-restarting`.
const CORE: [&str; 10] = [
    "kernel",
    "kernel-core",
    "kernel-rt",
    "glibc",
    "linux-firmware",
    "systemd",
    "dbus",
    "dbus-broker",
    "dbus-daemon",
    "microcode_ctl",
];

impl Facts {
    /// Why the system wants to be rebooted; `None` when it does not.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn reboot_required(&self) -> Result<Option<String>> {
        let run = self.etc().with_file_name("run");
        let mark = run.join("reboot-required");
        if self.look(&mark)?.is_some() {
            let packages = self.read(&run.join("reboot-required.pkgs"))?.unwrap_or_default();
            let packages = String::from_utf8_lossy(&packages).into_owned();
            let names: BTreeSet<&str> = packages.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            return Ok(Some(if names.is_empty() { format!("`{}` is there", mark.display()) } else { format!("for {names}") }));
        }
        match self.package_manager() {
            Manager::Apt => Ok(None),
            Manager::Dnf => self.newer_than_the_boot(),
        }
    }

    /// What was installed since the machine was started. Asked of rpm itself: no plugin is needed for it.
    fn newer_than_the_boot(&self) -> Result<Option<String>> {
        let mut asked = Invocation::new("rpm", &["--query", "--queryformat", "%{NAME}\\t%{INSTALLTIME}\\n"]);
        asked.arguments.extend(CORE.iter().map(|name| (*name).to_owned()));
        // It ends with an error for each of them that is not installed.
        let text = self.ask(&asked)?.text();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let booted = now.saturating_sub(machine_started().elapsed());
        let newer = |line: &str| {
            let (name, seconds) = line.split_once('\t')?;
            (Duration::from_secs(seconds.parse().ok()?) > booted).then(|| name.to_owned())
        };
        let names: BTreeSet<String> = text.lines().filter_map(newer).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        Ok((!names.is_empty()).then(|| format!("for {names}")))
    }
}
