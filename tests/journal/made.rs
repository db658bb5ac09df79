//! Journals made offline from entries of our own, by systemd's tool for journals of other machines.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// An entry in the export format, without its end.
pub struct Made(Vec<u8>);

/// A time within what the service takes, in microseconds.
pub fn start() -> u64 {
    static START: LazyLock<u64> = LazyLock::new(|| {
        let hour_ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 3600;
        hour_ago * 1_000_000
    });
    *START
}

impl Made {
    /// Written at that second of that boot, the only one.
    pub fn new(boot: u8, second: u64) -> Self {
        Self::at(boot, second, second)
    }

    /// Written at that second of that boot, as the machine and as the clock on the wall count.
    pub fn at(boot: u8, second: u64, wall: u64) -> Self {
        let (boot, at) = (format!("{boot:032x}"), start() + wall * 1_000_000);
        let monotonic = (second + 1) * 1_000_000;
        Self(format!("__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={monotonic}\n_BOOT_ID={boot}\n").into_bytes())
    }

    /// With a value that is a line.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.extend(format!("{name}={value}\n").into_bytes());
        self
    }

    /// With any value.
    pub fn with_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.0.extend(format!("{name}\n").into_bytes());
        self.0.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
        self.0.extend(value);
        self.0.push(b'\n');
        self
    }

    /// By a unit's process.
    pub fn of(self, unit: &str, message: &str) -> Self {
        self.with("_SYSTEMD_UNIT", unit).with("MESSAGE", message)
    }
}

/// Makes a journal of these entries in the folder.
pub fn journal(folder: &Path, name: &str, entries: impl IntoIterator<Item = Made>) {
    let tool = ["/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote"];
    let tool = tool.iter().find(|tool| Path::new(tool).exists()).expect("install `systemd-journal-remote` (tests/run does)");
    let file = folder.join(format!("{name}.journal"));
    let mut child = Command::new(tool)
        .args(["--split-mode=none", "--output"])
        .args([file.as_os_str(), "-".as_ref()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
    for Made(entry) in entries {
        input.write_all(&entry).unwrap();
        input.write_all(b"\n").unwrap();
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// The cursor of the entry with this message.
pub fn cursor_of(folder: &Path, message: &str) -> String {
    let output = Command::new("journalctl")
        .args(["--quiet", "--merge", "--output=export", "--directory"])
        .arg(folder)
        .arg(format!("MESSAGE={message}"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("__CURSOR=")).unwrap().to_owned()
}
