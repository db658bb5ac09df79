//! `systemd_unit`: a unit file of ours, whether it is started at boot, and whether it runs with what it depends on.

mod problems;
mod sections;

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use self::sections::{Section, Sections};
use crate::error::{Kind, Result};
use crate::host::files::{FileKind, NewFile};
use crate::host::systemd::{NOT_RUNNING, Running, UnitChange, UnitWish};
use crate::host::{Answer, Facts, Host};
use crate::step::{Diff, Finding, Fingerprint, Step, Thing, Touches};

/// Where an administrator's units live.
const FOLDER: &str = "/etc/systemd/system";
/// Everybody may read a unit, so it takes no secrets: `env_file` does.
const MODE: u32 = 0o644;

/// A systemd unit of ours, with its sections as in the unit file; a list is a key that is repeated.
///
/// Written to `/etc/systemd/system` after systemd has accepted it: an unknown key is an error, not a warning. Enabled and started
/// unless told. Restarted whenever its text, or what the steps of `restart_on` stand for, is not what it was last started with;
/// a unit that runs without such a record is restarted once. A unit that dies at its start, or is restarted again and again,
/// fails the step at once, with the tail of its journal.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemdUnit {
    /// The unit's name, with its suffix: `app.service`, `backup.timer`.
    name: String,
    /// Makes this a drop-in of that name for somebody else's unit, in place of a unit of our own.
    #[serde(default)]
    dropin: Option<String>,
    /// Whether it is started at boot; `true` unless told (a drop-in leaves that alone).
    #[serde(default)]
    enabled: Option<bool>,
    /// `started` unless told (for drop-ins and templates: `unchanged`), `stopped`, or `unchanged`: whether it runs is somebody
    /// else's business, such as a timer's.
    #[serde(default)]
    state: Option<Running>,
    /// Ids of earlier steps: a change in what they stand for restarts it.
    #[serde(default)]
    #[schemars(extend("x-steps" = true))]
    restart_on: Vec<String>,
    /// Ids of earlier steps: a change in what they stand for lets it read its configuration again.
    #[serde(default)]
    #[schemars(extend("x-steps" = true))]
    reload_on: Vec<String>,
    /// The section `[Unit]`.
    #[serde(default, rename = "Unit")]
    unit: Section,
    /// The section `[Service]`.
    #[serde(default, rename = "Service")]
    service: Section,
    /// The section `[Timer]`.
    #[serde(default, rename = "Timer")]
    timer: Section,
    /// The section `[Socket]`.
    #[serde(default, rename = "Socket")]
    socket: Section,
    /// The section `[Path]`.
    #[serde(default, rename = "Path")]
    path: Section,
    /// The section `[Mount]`.
    #[serde(default, rename = "Mount")]
    mount: Section,
    /// The section `[Automount]`.
    #[serde(default, rename = "Automount")]
    automount: Section,
    /// The section `[Swap]`.
    #[serde(default, rename = "Swap")]
    swap: Section,
    /// The section `[Slice]`.
    #[serde(default, rename = "Slice")]
    slice: Section,
    /// The section `[Install]`; `WantedBy=multi-user.target` (`timers.target`, `sockets.target`) unless told.
    #[serde(default, rename = "Install")]
    install: Section,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file is not as it shall be.
    Write {
        /// Where.
        path: String,
        /// Whether there is one.
        exists: bool,
    },
    /// systemd has not read it yet.
    DaemonReload,
    /// The unit does not run, or boot, as it shall.
    Unit(UnitChange),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, exists: false } => write!(f, "create `{path}`"),
            Self::Write { path, exists: true } => write!(f, "update `{path}`"),
            Self::DaemonReload => f.write_str("let systemd read its unit files again"),
            Self::Unit(change) => change.fmt(f),
        }
    }
}

impl SystemdUnit {
    fn file(&self) -> PathBuf {
        match &self.dropin {
            None => PathBuf::from(FOLDER).join(&self.name),
            Some(dropin) => {
                let name = format!("{}.conf", dropin.strip_suffix(".conf").unwrap_or(dropin));
                PathBuf::from(FOLDER).join(format!("{}.d", self.name)).join(name)
            }
        }
    }

    /// `service`, `timer`, …
    fn suffix(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(_, suffix)| suffix)
    }

    /// A template is a form for units, and no unit.
    fn is_template(&self) -> bool {
        self.name.rsplit_once('.').is_some_and(|(stem, _)| stem.ends_with('@'))
    }

    fn running(&self) -> Running {
        let stays = self.dropin.is_some() || self.is_template();
        self.state.unwrap_or(if stays { Running::Unchanged } else { Running::Started })
    }

    fn is_enabled(&self) -> Option<bool> {
        if self.dropin.is_some() || self.is_template() { self.enabled } else { Some(self.enabled.unwrap_or(true)) }
    }

    fn sections(&self) -> Sections<'_> {
        Sections(vec![
            ("Unit", &self.unit),
            ("Service", &self.service),
            ("Timer", &self.timer),
            ("Socket", &self.socket),
            ("Path", &self.path),
            ("Mount", &self.mount),
            ("Automount", &self.automount),
            ("Swap", &self.swap),
            ("Slice", &self.slice),
            ("Install", &self.install),
        ])
    }

    /// What wants it at boot, where the playbook does not say.
    fn default_target(&self) -> Option<&'static str> {
        let told = ["WantedBy", "RequiredBy", "UpheldBy", "Alias", "Also"].iter().any(|key| self.install.has(key));
        if told || self.dropin.is_some() || self.is_enabled() == Some(false) {
            return None;
        }
        match self.suffix() {
            "timer" => Some("timers.target"),
            "socket" => Some("sockets.target"),
            "slice" | "target" => None,
            _ => Some("multi-user.target"),
        }
    }

    fn text(&self) -> String {
        self.sections().text(self.default_target())
    }

    fn wish(&self, facts: &Facts) -> UnitWish<'_> {
        let text = self.text();
        let own = match facts.fingerprint_of_all(&self.restart_on) {
            Answer::Known(steps) => Answer::Known(Fingerprint::of(&[text.as_bytes(), &steps.0])),
            Answer::Unknown(why) => Answer::Unknown(why),
        };
        UnitWish {
            unit: &self.name,
            running: self.running(),
            enabled: self.is_enabled(),
            masked: None,
            record: match &self.dropin {
                None => format!("unit {}", self.name),
                Some(dropin) => format!("unit {} drop-in {dropin}", self.name),
            },
            restart_on: (!self.is_template()).then_some(own),
            reload_on: (!self.reload_on.is_empty()).then(|| facts.fingerprint_of_all(&self.reload_on)),
            ends_by_itself: self.service.is("Type", "oneshot") && !self.service.is_on("RemainAfterExit"),
        }
    }

    /// Whether the file is as it shall be; the content that is there, if any.
    fn compare_file(&self, facts: &Facts, text: &str) -> Result<(bool, Option<String>)> {
        let file = self.file();
        let Some(there) = facts.look(&file)? else { return Ok((false, None)) };
        if !matches!(there.kind, FileKind::File(_)) {
            // A link (`systemctl mask` makes one to /dev/null) is replaced by the file.
            return Ok((false, Some(String::new())));
        }
        let before = facts.read(&file)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let same = before.as_deref() == Some(text) && there.mode & 0o7777 == MODE && (there.uid, there.gid) == (0, 0);
        Ok((same, before))
    }
}

impl Step for SystemdUnit {
    const KIND: &'static str = "systemd_unit";
    const EXAMPLE: &'static str = r#"secrets:
  settings: ssm:/app/env/*
steps:
  - id: settings
    env_file: { path: /etc/app.env, values: "{{ secrets.settings }}" }
  - systemd_unit:
      name: app.service
      Unit: { Description: The application, After: network-online.target }
      Service:
        User: www-data
        EnvironmentFile: /etc/app.env
        ExecStart: /srv/app/.venv/bin/uvicorn main:app --port 8000
        Restart: always
      restart_on: [settings]
"#;
    type Change = Change;

    fn touches(&self) -> Touches {
        let mut touches = Touches::nothing()
            .read(Thing::Programs)
            .write_path(self.file())
            .write(Thing::Unit(self.name.clone()))
            .lock("systemd")
            .after(&self.restart_on)
            .after(&self.reload_on)
            .read_user(self.service.first("User"));
        // What it needs at its start: its working directory, its environment, its program.
        for key in ["WorkingDirectory", "EnvironmentFile", "ExecStart"] {
            for value in self.service.all(key) {
                let word = value.split_whitespace().next().unwrap_or_default().trim_start_matches(['-', '@', '+', '!', ':', '~']);
                if word.starts_with('/') && !word.contains('%') {
                    touches = touches.read_path(word);
                }
            }
        }
        touches
    }

    fn problems(&self) -> Vec<String> {
        problems::of(self)
    }

    fn check(&self, facts: &Facts) -> Result<Finding<Change>> {
        let text = self.text();
        let (same, before) = self.compare_file(facts, &text)?;
        let mut finding = Finding::done().with_fingerprint(&[text.as_bytes()]);
        let path = self.file().display().to_string();
        let is_new = before.is_none();
        if !same {
            let change = Change::Write { path: path.clone(), exists: !is_new };
            if before.as_deref() == Some(text.as_str()) {
                finding.change(change);
            } else {
                finding.change_with_diff(change, Diff::Text { path, before, after: Some(text) });
            }
        }
        if self.is_template() {
            match facts.instances_need_reload(&self.name) {
                _ if !same => finding.change(Change::DaemonReload),
                Ok(true) => finding.change(Change::DaemonReload),
                Ok(false) => {}
                Err(error) if error.kind() == Kind::Missing => finding.unknown = Some(NOT_RUNNING.to_owned()),
                Err(error) => return Err(error),
            }
            return Ok(finding);
        }
        let wish = self.wish(facts);
        let difference = wish.compare(facts, !same)?;
        let cannot_ask = difference.unknown.as_deref() == Some(NOT_RUNNING);
        if !same || !cannot_ask && facts.unit(&self.name)?.needs_reload {
            finding.change(Change::DaemonReload);
        }
        if cannot_ask && is_new && self.dropin.is_none() {
            // What has no file does not run.
            wish.when_new().into_iter().for_each(|change| finding.change(Change::Unit(change)));
        } else {
            difference.changes.into_iter().for_each(|change| finding.change(Change::Unit(change)));
            finding.unknown = difference.unknown;
        }
        Ok(finding)
    }

    fn apply(&self, change: &Change, host: &Host) -> Result<()> {
        match change {
            Change::Write { .. } => {
                let text = self.text();
                host.verify_unit(&self.name, &text, self.dropin.is_some())?;
                let owner = Some("root".to_owned());
                let path = self.file();
                if let (Some(folder), true) = (path.parent(), self.dropin.is_some()) {
                    host.make_directory(folder, &crate::host::write::Attributes::default())?;
                }
                host.write_file(&NewFile { path, content: text.into(), owner: owner.clone(), group: owner, mode: MODE })
            }
            Change::DaemonReload => host.daemon_reload(),
            Change::Unit(change) => self.wish(host).apply(change, host),
        }
    }
}

#[cfg(test)]
mod tests;
