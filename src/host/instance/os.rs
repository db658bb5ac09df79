//! The operating system's own facts: no program is started for them.

use serde_json::{Value, json};

/// `os.*` for expressions. What this system does not say is empty.
#[must_use]
pub fn os_values() -> Value {
    let release = std::fs::read_to_string("/etc/os-release")
        .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let hostname = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    json!({
        "id": field(&release, "ID"),
        "version": field(&release, "VERSION_ID"),
        "codename": field(&release, "VERSION_CODENAME"),
        "arch": std::env::consts::ARCH,
        "hostname": hostname,
        "memory_mib": memory_mib(&memory),
        "cpus": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    })
}

/// One value of an `os-release` file, which is written in the shell's quotes.
fn field(release: &str, name: &str) -> String {
    let value = release.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name);
    value.map(|(_, value)| value.trim().trim_matches(['"', '\''])).unwrap_or_default().to_owned()
}

fn memory_mib(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_not_part_of_a_value() {
        let release = "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\nVERSION_CODENAME='bookworm'\n";
        assert_eq!(field(release, "ID"), "debian");
        assert_eq!(field(release, "VERSION_ID"), "12");
        assert_eq!(field(release, "VERSION_CODENAME"), "bookworm");
        assert_eq!(field(release, "BUILD_ID"), "");
    }

    #[test]
    fn memory_is_counted_in_mebibytes() {
        assert_eq!(memory_mib("MemTotal:        2048000 kB\nMemFree: 1 kB\n"), 2000);
        assert_eq!(memory_mib(""), 0);
    }

    #[test]
    fn this_machine_has_an_architecture_and_memory() {
        let values = os_values();
        assert!(values["memory_mib"].as_u64().is_some_and(|memory| memory > 0));
        assert!(values["arch"].as_str().is_some_and(|arch| !arch.is_empty()));
    }
}
