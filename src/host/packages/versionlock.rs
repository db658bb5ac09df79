//! dnf's plugin `versionlock`: what is locked at its version. Its list is a documented configuration file, one lock a line.

use crate::error::{Error, Kind, Result};
use crate::host::Facts;

/// Below the folder of configuration: the plugin's own settings, which tell that it is there, and its list.
const SETTINGS: &str = "dnf/plugins/versionlock.conf";
const LIST: &str = "dnf/plugins/versionlock.list";

impl Facts {
    /// The locks; `None` where the plugin is not installed.
    pub(super) fn version_locks(&self) -> Result<Option<Vec<String>>> {
        let Some(settings) = self.read(&self.etc().join(SETTINGS))? else { return Ok(None) };
        let settings = String::from_utf8_lossy(&settings).into_owned();
        let told = settings.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "locklist");
        let list = told.map_or_else(|| self.etc().join(LIST), |(_, path)| path.trim().into());
        let text = self.read(&list)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let locks = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
        Ok(Some(locks.map(str::to_owned).collect()))
    }
}

/// The names of the packages that are locked: `name-epoch:version-release.*`.
pub(super) fn names(locks: &[String]) -> impl Iterator<Item = &str> {
    locks.iter().filter_map(|lock| lock.rsplitn(3, '-').nth(2))
}

/// The error where the plugin is not installed.
pub(super) fn absent() -> Error {
    Error::new(Kind::Missing, "to hold a package takes dnf's plugin `versionlock`, which is not installed")
        .hint("install it with a `packages` step before this one: `python3-dnf-plugin-versionlock` on Amazon Linux")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    #[test]
    fn locks_are_read_as_the_plugin_writes_them() {
        let machine = Machine::new();
        assert_eq!(machine.facts().version_locks().unwrap(), None);
        machine.write(&format!("etc/{SETTINGS}"), "[main]\nenabled = 1\n");
        assert_eq!(machine.facts().version_locks().unwrap(), Some(Vec::new()));
        machine.write(&format!("etc/{LIST}"), "\n# Added lock on Sat\npython3-tool-0:1.1-1.*\n!bad-0:2-1.*\n");
        let locks = machine.facts().version_locks().unwrap().unwrap();
        assert_eq!(names(&locks).collect::<Vec<_>>(), ["python3-tool"]);
        let elsewhere = machine.write("locks", "tool-0:1.1-1.*\n");
        machine.write(&format!("etc/{SETTINGS}"), &format!("[main]\nlocklist = {}\n", elsewhere.display()));
        assert_eq!(machine.facts().version_locks().unwrap().unwrap().len(), 1);
    }
}
