//! What the agent does to its own process: no core dumps, an orderly end on a signal, its own digest.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use crate::error::{Context as _, Result};

/// Secrets are in our memory: it is written to no core file, and no other process of this user may look into it.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_core_dumps() -> Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).doing(|| "turning core dumps off".to_owned())?;
    nix::sys::prctl::set_dumpable(false).doing(|| "turning core dumps off".to_owned())
}

/// Calls this on SIGTERM, SIGINT and SIGHUP, with the signal's name. To be called before other threads are started.
///
/// # Errors
/// When the signals cannot be blocked, or no thread can be started.
pub fn on_termination(call: impl Fn(&'static str) + Send + 'static) -> Result<()> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().doing(|| "blocking signals".to_owned())?;
    let waiting = move || {
        while let Ok(signal) = signals.wait() {
            call(signal.as_str());
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(waiting).doing(|| "starting a thread for signals".to_owned())?;
    Ok(())
}

/// Whether we may look and write everywhere.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Tells, without reading it, whether the binary is still the same file.
///
/// # Errors
/// When it cannot be looked at.
pub fn own_stamp() -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata("/proc/self/exe").doing(|| "looking at the agent's own binary".to_owned())?;
    Ok(format!("{}-{}-{}.{}", meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

/// sha256 of the binary that is running, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn own_digest() -> Result<String> {
    use sha2::Digest as _;
    let mut file = std::fs::File::open("/proc/self/exe").doing(|| "reading the agent's own binary".to_owned())?;
    let mut hash = sha2::Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = std::io::Read::read(&mut file, &mut chunk).doing(|| "reading the agent's own binary".to_owned())?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
    }
    let digest = hash.finalize();
    Ok(digest.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_file() {
        let digest = own_digest().unwrap();
        let exe = std::env::current_exe().unwrap();
        let said = std::process::Command::new("sha256sum").arg(exe).output().unwrap();
        assert!(String::from_utf8(said.stdout).unwrap().starts_with(&digest));
    }
}
