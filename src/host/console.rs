//! The serial console: what is written there can still be read when the instance is gone.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// The kernel's console; on EC2, the serial port behind `get-console-output`.
pub const CONSOLE: &str = "/dev/console";
/// A serial line writes some 10 KB a second; a console whose other end is stuck must not hold up the verdict.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes the lines to the console, redacted by whoever made them. What could move the cursor or forge a line is left out.
///
/// # Errors
/// When there is no console, we may not write to it, or it takes too long.
pub fn write_to_console(console: &Path, text: &str) -> Result<()> {
    // Carriage returns are added by the terminal's own driver.
    let lines: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let path = console.to_owned();
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        // O_NOCTTY: the console must not become the terminal that controls us.
        let opened = std::fs::OpenOptions::new().append(true).custom_flags(libc::O_NOCTTY).open(path);
        let written = opened.and_then(|mut file| {
            file.write_all(lines.as_bytes())?;
            file.flush()
        });
        let _ = done.send(written);
    });
    match result.recv_timeout(PATIENCE) {
        Ok(written) => written.map_err(|error| Error::from(error).doing(format!("writing to `{}`", console.display()))),
        Err(_) => Err(Error::new(Kind::TimedOut, format!("`{}` does not take what is written to it", console.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged_with_control_characters() {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("console");
        std::fs::write(&console, "").unwrap();
        write_to_console(&console, "one\u{1b}[2Jx\ntwo\r\u{7}\n").unwrap();
        assert_eq!(std::fs::read_to_string(&console).unwrap(), "one[2Jx\ntwo\n");
    }

    #[test]
    fn no_console_is_an_error_and_no_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("console");
        assert!(write_to_console(&console, "x").is_err());
        assert!(!console.exists());
    }
}
