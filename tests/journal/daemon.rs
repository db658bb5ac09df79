//! A journald of our own, in a namespace of its own: real rotations and real vacuuming, without touching the machine's journal.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static MADE: AtomicU32 = AtomicU32::new(0);

pub struct Daemon {
    namespace: String,
    child: Child,
    socket: UnixDatagram,
}

impl Daemon {
    pub fn start() -> Self {
        let namespace = format!("agent{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::SeqCst));
        let tool = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"];
        let tool = tool.iter().find(|tool| Path::new(tool).exists()).expect("systemd is installed");
        // No limit of its own on how much may be written at once.
        let settings = PathBuf::from(format!("/etc/systemd/journald@{namespace}.conf"));
        std::fs::write(&settings, "[Journal]\nStorage=persistent\nRateLimitBurst=0\nSystemMaxUse=512M\n").unwrap();
        let child = Command::new(tool).arg(&namespace).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while socket.connect(format!("/run/systemd/journal.{namespace}/socket")).is_err() {
            assert!(Instant::now() < end, "journald does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { namespace, child, socket }
    }

    /// Where its files are.
    pub fn folder(&self) -> PathBuf {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap();
        PathBuf::from(format!("/var/log/journal/{}.{}", machine.trim(), self.namespace))
    }

    pub fn write(&self, identifier: &str, message: &str) {
        let datagram = format!("SYSLOG_IDENTIFIER={identifier}\nPRIORITY=6\nMESSAGE={message}\n");
        self.socket.send(datagram.as_bytes()).unwrap();
    }

    /// `journalctl` on its journals: `--rotate`, `--sync`, `--vacuum-files=1`.
    pub fn control(&self, flag: &str) {
        let done = Command::new("journalctl").arg(format!("--namespace={}", self.namespace)).arg(flag).output().unwrap();
        assert!(done.status.success(), "{flag}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(self.folder());
        let _ = std::fs::remove_dir_all(format!("/run/systemd/journal.{}", self.namespace));
        let _ = std::fs::remove_file(format!("/etc/systemd/journald@{}.conf", self.namespace));
    }
}
