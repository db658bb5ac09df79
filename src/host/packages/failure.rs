//! What apt, dpkg and dnf said when they failed, and what it means. Their words decide about hints and retries only, never about
//! whether something succeeded: that is the exit code's and the next check's business.

use crate::error::{Error, Kind};
use crate::host::programs::Output;
use crate::secret::Redactor;

/// The failure of a program of apt's.
pub(super) fn of(doing: &str, output: &Output, redactor: &Redactor) -> Error {
    let said = format!("{}\n{}", output.text(), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    // apt marks what went wrong with `E:`, dnf with `Error:`; the first one is the reason, later ones its consequences.
    let reason = lines.iter().find_map(|line| line.strip_prefix("E: ").or_else(|| line.strip_prefix("Error: ")));
    let reason = reason.map_or_else(|| format!("it {}", output.status), str::to_owned);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let distrusted =
        has(&["NO_PUBKEY", "BADSIG", "Missing key", "is not signed", "GPG check FAILED", "not correct for this package"]);
    let kind = if distrusted {
        Kind::Failed
    } else if has(&[
        "Failed to fetch",
        "Temporary failure resolving",
        "Could not connect",
        "Connection timed out",
        "Curl error (6)",
        "Curl error (7)",
        "Curl error (28)",
    ]) {
        Kind::Unreachable
    } else {
        Kind::Failed
    };
    let error = Error::new(kind, redactor.clean(&reason).into_owned()).tail(output.last_lines(redactor)).doing(doing);
    if has(&["No space left on device", "You don't have enough free space"]) {
        error.with_kind(Kind::Failed).hint("the disk is full; free some space, the next run finishes the work")
    } else if has(&["is not valid yet"]) {
        error.hint("the clock of this machine is behind; wait for time synchronisation")
    } else if has(&["EXPKEYSIG", "KEYEXPIRED"]) {
        error.hint("the key that is trusted for it has expired; give the one that its owner publishes now")
    } else if distrusted {
        error.hint("it is not signed with the key that is trusted for it; verify which key its owner signs with now")
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::programs::Status;

    fn output(stdout: &str, stderr: &str) -> Output {
        Output { status: Status::Code(100), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn the_first_complaint_is_the_reason() {
        let error = of("installing", &output("Reading…\n", "E: broken thing\nE: consequence\n"), &Redactor::new());
        assert_eq!(error.to_string(), "installing: broken thing");
        assert_eq!(error.last_lines(), ["Reading…", "E: broken thing", "E: consequence"]);
        assert_eq!(error.kind(), Kind::Failed);
    }

    #[test]
    fn a_full_disk_is_no_network_trouble() {
        let error =
            of("installing", &output("", "E: Failed to fetch x  write (28: No space left on device)\n"), &Redactor::new());
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.advice().unwrap().contains("disk is full"));
    }

    #[test]
    fn an_unreachable_mirror_is_worth_another_try() {
        let error = of("updating", &output("", "E: Failed to fetch x  Temporary failure resolving 'y'\n"), &Redactor::new());
        assert_eq!(error.kind(), Kind::Unreachable);
    }

    #[test]
    fn silence_is_told_as_the_exit() {
        let killed = Output { status: Status::Signal(9), stdout: Vec::new(), stderr: Vec::new() };
        assert!(of("installing", &killed, &Redactor::new()).to_string().contains("signal 9"));
    }
}
