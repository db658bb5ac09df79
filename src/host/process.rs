//! What the agent does to its own process: no core dumps, an orderly end on a signal, its own digest.

use std::os::fd::IntoRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::digest::Sha256;
use crate::error::{Context as _, Error, Kind, Result};

/// Secrets are in our memory: it is written to no core file, and no other process of this user may look into it.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_core_dumps() -> Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).doing(|| "turning core dumps off".to_owned())?;
    nix::sys::prctl::set_dumpable(false).doing(|| "turning core dumps off".to_owned())
}

/// The memory that this process has in use.
///
/// # Errors
/// When the kernel does not tell.
pub fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").doing(|| "reading `/proc/self/status`".to_owned())?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|count| count * 1024).ok_or_else(|| Error::new(Kind::Missing, "`/proc/self/status` does not tell"))
}

/// Lets go of the pages of our own code; what goes on running is mapped again as it runs. A start passes through most of the code,
/// the kernel maps some more around each place, and what a long life needs of it is a part.
pub fn let_go_of_code() {
    let (Ok(maps), Ok(own)) = (std::fs::read_to_string("/proc/self/maps"), std::fs::read_link("/proc/self/exe")) else { return };
    for (begin, length) in maps.lines().filter_map(|map| code_in(map, &own)) {
        let begin = std::ptr::with_exposed_provenance_mut(begin);
        // SAFETY: these pages are of a file and were never written to: whoever needs one finds the same bytes there again.
        #[allow(unsafe_code, reason = "no safe wrapper can know that these pages are code")]
        // A kernel that does not do it costs memory, and nothing else.
        let _ = unsafe { libc::madvise(begin, length, libc::MADV_DONTNEED) };
    }
}

/// Where a mapping is and how long, if it is code of this program.
fn code_in(map: &str, own: &Path) -> Option<(usize, usize)> {
    let mut words = map.split_whitespace();
    let (begin, end) = words.next()?.split_once('-')?;
    let is_code = words.next() == Some("r-xp") && words.nth(3).map(Path::new) == Some(own);
    let (begin, end) = (usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    is_code.then(|| (begin, end.saturating_sub(begin)))
}

/// How many descriptors this process may have at the same time.
#[must_use]
pub fn most_descriptors() -> usize {
    // The kernel's own least, where it does not tell.
    getrlimit(Resource::RLIMIT_NOFILE).map_or(256, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX))
}

/// The write end of the pipe that wakes the thread which waits for signals: a handler can reach nothing but a static.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// Calls this on SIGTERM, SIGINT and SIGHUP, with the signal's name.
///
/// By handlers, not by blocking the signals: children inherit what is blocked, and then could not be ended by them.
///
/// # Errors
/// When the handlers cannot be set, or no thread can be started.
pub fn on_termination(call: impl Fn(&'static str) + Send + 'static) -> Result<()> {
    let (mut read, write) = std::io::pipe().doing(|| "making a pipe for signals".to_owned())?;
    WAKE.store(write.into_raw_fd(), Ordering::SeqCst);
    let action = SigAction::new(SigHandler::Handler(wake), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        // SAFETY: the handler does nothing but an atomic load and a `write`, which are safe in a signal handler.
        #[allow(unsafe_code, reason = "handlers can only be set so")]
        unsafe { sigaction(signal, &action) }.doing(|| "waiting for signals".to_owned())?;
    }
    let waiting = move || {
        let mut number = [0];
        while std::io::Read::read_exact(&mut read, &mut number).is_ok() {
            if let [number] = number
                && let Ok(signal) = Signal::try_from(i32::from(number))
            {
                call(signal.as_str());
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(waiting).doing(|| "starting a thread for signals".to_owned())?;
    Ok(())
}

extern "C" fn wake(signal: libc::c_int) {
    let number = u8::try_from(signal).unwrap_or(0);
    // SAFETY: `write` from a live byte; a descriptor that is not there is an error nobody hears of.
    #[allow(unsafe_code, reason = "the only way out of a signal handler")]
    unsafe {
        libc::write(WAKE.load(Ordering::SeqCst), (&raw const number).cast(), 1);
    }
}

/// Waits this long, where nobody can tell us that something happened.
pub fn pause(span: std::time::Duration) {
    std::thread::sleep(span);
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
    let doing = || "reading the agent's own binary".to_owned();
    let mut file = std::fs::File::open("/proc/self/exe").doing(doing)?;
    Ok(Sha256::of_all(&mut file).doing(doing)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_and_children_can_still_be_ended_by_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        on_termination(move |signal| sender.send(signal).unwrap()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        nix::sys::signal::raise(Signal::SIGTERM).unwrap();
        assert_eq!(receiver.recv_timeout(std::time::Duration::from_secs(5)), Ok("SIGTERM"));
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        let ended = std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap());
        assert_eq!(ended, Some(15));
    }

    #[test]
    fn only_our_own_code_is_let_go_of_and_it_runs_on() {
        let own = Path::new("/usr/bin/agent");
        let line = |rights: &str, path: &str| format!("014cd000-01f7b000 {rights} 004cc000 fe:00 10078546      {path}");
        assert_eq!(code_in(&line("r-xp", "/usr/bin/agent"), own), Some((0x14c_d000, 0xaa_e000)));
        for other in [line("rw-p", "/usr/bin/agent"), line("r--p", "/usr/bin/agent"), line("r-xp", "/lib/libc.so"), String::new()]
        {
            assert_eq!(code_in(&other, own), None, "{other}");
        }
        let_go_of_code();
        assert!(own_stamp().is_ok());
    }

    #[test]
    fn the_digest_is_that_of_the_file() {
        let digest = own_digest().unwrap();
        let exe = std::env::current_exe().unwrap();
        let said = std::process::Command::new("sha256sum").arg(exe).output().unwrap();
        assert!(String::from_utf8(said.stdout).unwrap().starts_with(&digest));
    }
}
