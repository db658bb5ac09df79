//! The units that `agent install` writes. Their texts are in `packaging/systemd`; here their blanks are filled in.

use std::path::PathBuf;

use crate::host::systemd::LOG_RUNTIME;
use crate::playbook::Overrides;
use crate::step::fields::Span;

/// The boot run, at every boot.
pub use crate::host::reboots::BOOT_UNIT as BOOT;
/// The run that looks for drift.
pub const CONVERGE: &str = "bootstrap-agent-converge.service";
/// What starts it.
pub const TIMER: &str = "bootstrap-agent.timer";

/// The service that ships logs.
pub use crate::host::systemd::LOG_UNIT as LOGS;

/// What the units are to run.
pub struct Wish {
    /// The binary.
    pub agent: &'static str,
    /// Where each run reads the playbook; `None` leaves it to what is installed.
    pub location: Option<String>,
    /// With these variables.
    pub overrides: Overrides,
    /// Where its records are kept.
    pub state: PathBuf,
    /// How often drift is looked for.
    pub every: Span,
}

/// Names and texts of the units.
pub fn texts(wish: &Wish, timer: bool) -> Vec<(&'static str, String)> {
    let fill = |template: &str| {
        template
            .replace("@AGENT@", wish.agent)
            .replace("@RUN@", &arguments(wish))
            .replace("@LOGS@", &specifiers_apart(&wish.state.join("logs").display().to_string()))
            .replace("@RUNTIME@", LOG_RUNTIME.rsplit('/').next().unwrap_or_default())
            .replace("@EVERY@", &in_systemd(wish.every.0))
            // A quarter of the interval spreads a fleet, and keeps the rhythm.
            .replace("@SPLAY@", &in_systemd(wish.every.0 / 4))
    };
    let mut all = vec![
        (BOOT, fill(include_str!("../../../packaging/systemd/bootstrap-agent.service.in"))),
        (LOGS, fill(include_str!("../../../packaging/systemd/bootstrap-agent-logs.service.in"))),
    ];
    if timer {
        all.push((CONVERGE, fill(include_str!("../../../packaging/systemd/bootstrap-agent-converge.service.in"))));
        all.push((TIMER, fill(include_str!("../../../packaging/systemd/bootstrap-agent.timer.in"))));
    }
    all
}

/// The same as a package holds them, where `agent install` writes its own over them.
pub fn packaged(wish: &Wish) -> Vec<(&'static str, String)> {
    let written = "Written by `agent install`";
    let own = "Of the package `bootstrap-agent`; one that `agent install` writes takes its place";
    texts(wish, true).into_iter().map(|(name, text)| (name, text.replacen(written, own, 1))).collect()
}

/// A path where systemd reads no quotes: only its specifiers have to be kept apart.
fn specifiers_apart(path: &str) -> String {
    path.replace('%', "%%")
}

/// systemd reads `m` as minutes and knows `ms`, but a bare number is the surest.
fn in_systemd(span: std::time::Duration) -> String {
    format!("{}ms", span.as_millis().max(1))
}

fn arguments(wish: &Wish) -> String {
    let mut words = vec!["--state-dir".to_owned(), wish.state.display().to_string()];
    for file in &wish.overrides.files {
        words.extend(["--vars".to_owned(), file.display().to_string()]);
    }
    for (name, value) in &wish.overrides.values {
        words.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    words.extend(wish.location.clone());
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// One word of a command line as systemd reads it: no specifier, no variable, no end of the quote inside.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for letter in word.chars() {
        match letter {
            '%' => text.push_str("%%"),
            '$' => text.push_str("$$"),
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wish() -> Wish {
        Wish {
            agent: "/bin/true",
            location: Some("s3://bucket/play%20book.yaml".into()),
            overrides: Overrides {
                files: vec!["/etc/bootstrap-agent/vars/prod.yaml".into()],
                values: vec![("price".into(), "\"5 $\"".into())],
            },
            state: "/var/lib/bootstrap-agent".into(),
            every: Span(Duration::from_hours(1)),
        }
    }

    #[test]
    fn command_lines_are_quoted_for_systemd() {
        let [(_, boot), (_, logs), (_, converge), (_, timer)] = &texts(&wish(), true)[..] else { panic!() };
        let run = "--state-dir\" \"/var/lib/bootstrap-agent\" \"--vars\" \"/etc/bootstrap-agent/vars/prod.yaml\" \"--set\" \
            \"price=\\\"5 $$\\\"\" \"s3://bucket/play%%20book.yaml\"\n";
        assert!(boot.contains(&format!("ExecStart=/bin/true run --trigger boot \"{run}")), "{boot}");
        assert!(converge.contains("run --trigger timer "));
        assert!(timer.contains("OnUnitInactiveSec=3600000ms\nRandomizedDelaySec=900000ms\n"), "{timer}");
        let ships =
            "ship-logs --config \"/var/lib/bootstrap-agent/logs/config.json\" --state-dir \"/var/lib/bootstrap-agent/logs\" ";
        assert!(logs.contains(ships), "{logs}");
        assert_eq!(texts(&wish(), false).len(), 2);
        for (name, text) in texts(&wish(), true) {
            // systemd's own names of groups of system calls begin like our blanks.
            assert!(!text.replace("@system-service", "").contains('@'), "{name} has a blank that nobody filled in");
        }
    }

    #[test]
    fn a_package_leaves_the_playbook_to_what_is_installed() {
        let all = packaged(&Wish { location: None, overrides: Overrides::default(), ..wish() });
        assert_eq!(all.len(), 4);
        for (name, text) in &all {
            assert!(text.starts_with("# Of the package"), "{name}");
        }
        let (_, boot) = &all[0];
        let run = "ExecStart=/bin/true run --trigger boot \"--state-dir\" \"/var/lib/bootstrap-agent\"\n";
        assert!(boot.contains(run), "{boot}");
    }

    #[test]
    fn the_boot_service_never_waits_for_cloud_init() {
        let (_, boot) = texts(&wish(), true).remove(0);
        for line in boot.lines().filter(|line| ["After=", "Wants=", "Requires="].iter().any(|key| line.starts_with(key))) {
            assert!(!line.contains("cloud") && !line.contains("multi-user.target"), "{line}");
        }
    }

    #[test]
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn no_unit_is_more_exposed_than_is_stated() {
        if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
            println!("skipped: no systemd-analyze here; the lab has it");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let stated = include_str!("../../../SECURITY.md");
        let mut seen = 0;
        for (name, text) in texts(&wish(), true).into_iter().filter(|(name, _)| name.ends_with(".service")) {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let said = std::process::Command::new("systemd-analyze")
                .args(["security", "--offline=true", "--no-pager"])
                .arg(&path)
                .env("LC_ALL", "C.UTF-8")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let figure = |text: &str, after: &str| {
                let word = text.split_once(after).map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().to_owned());
                word.and_then(|word| word.parse::<f64>().ok()).unwrap_or_else(|| panic!("no figure for {name} in\n{text}"))
            };
            let found = figure(&said, &format!("for {name}: "));
            let limit = figure(stated, &format!("| `{name}` | "));
            assert!(found <= limit, "{name} has {found}, SECURITY.md states {limit}");
            seen += 1;
        }
        assert_eq!(seen, 3);
    }

    #[test]
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn systemd_accepts_the_units() {
        if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
            println!("skipped: no systemd-analyze here; the lab has it");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut verify = std::process::Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]).env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()));
        for (name, text) in texts(&wish(), true) {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            verify.arg(path);
        }
        let said = verify.output().unwrap();
        let stderr = String::from_utf8(said.stderr).unwrap();
        let ours: Vec<&str> = stderr.lines().filter(|line| line.contains("bootstrap-agent") || line.contains("cycle")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}
