//! cloud-config: each key is a wish of its own; they are written in the order in which cloud-init grants them.

mod accounts;
mod commands;
mod files;
mod machine;
mod sources;

use std::sync::Arc;

use super::document::{Content, Document, Piece, Step};
use super::files::{Written, lines_of};
use super::report::{Item, Report, Verdict};
use super::yaml::Yaml;
use crate::playbook::Problem;
use crate::playbook::expression;
use crate::playbook::node::{Key, Node, NodeKind};
use crate::playbook::source::{Mark, Source};
use crate::playbook::yaml::TAGGED;

/// Why something has no translation.
type Why = String;

/// What a key becomes.
type Translate = fn(&mut Importer<'_>, &Key, &Node);

/// The keys that have an equivalent, in the order in which cloud-init sees to them.
const KEYS: [(&str, Translate); 21] = [
    ("bootcmd", commands::bootcmd),
    ("write_files", files::write_files),
    ("hostname", machine::hostname),
    ("fqdn", machine::hostname),
    ("ca_certs", machine::ca_certs),
    ("ca-certs", machine::ca_certs),
    ("groups", accounts::groups),
    ("users", accounts::users),
    ("ssh_authorized_keys", accounts::default_keys),
    ("ssh_pwauth", machine::ssh_pwauth),
    ("disable_root", machine::disable_root),
    ("apt", sources::apt),
    ("packages", sources::packages),
    ("package_update", sources::no_need),
    ("package_upgrade", sources::upgrade),
    ("package_reboot_if_required", machine::reboot),
    ("timezone", machine::timezone),
    ("ntp", machine::ntp),
    ("write_files", files::deferred),
    ("runcmd", commands::runcmd),
    ("output", machine::output),
];

/// The keys that take a list.
const LISTS: [&str; 5] = ["bootcmd", "write_files", "users", "packages", "runcmd"];

/// Keys that need nothing here, and why.
const NO_NEED: [(&str, &str); 7] = [
    ("final_message", "a run says how it ended"),
    ("preserve_hostname", "the name is set only where it is said"),
    ("manage_etc_hosts", "a line of `/etc/hosts` is a `line` step"),
    ("apt_update", "package lists are fetched when something is missing"),
    ("repo_update", "package lists are fetched when something is missing"),
    ("merge_how", "there is one document"),
    ("cloud_final_modules", "the order of steps is that of the playbook"),
];

/// The playbook as steps, and what became of it.
pub fn import(main: &Written, odd: Vec<Problem>) -> (Document, Report) {
    let mut importer = Importer {
        source: &main.source,
        document: Document::default(),
        report: Report::default(),
        task: main.node.mark,
        items: 0,
    };
    for problem in odd {
        if let Some(at) = problem.position {
            let verdict = Verdict::LeftOut(problem.message);
            importer.report.add(Item {
                task: at.clone(),
                at,
                excerpt: problem.excerpt.unwrap_or_default(),
                what: "this YAML".into(),
                is_task: false,
                verdict,
            });
        }
    }
    let members = main.node.members();
    for (name, translate) in KEYS {
        for (key, value) in members.iter().filter(|(key, _)| key.text == name) {
            importer.task = key.mark;
            if LISTS.contains(&name) && !matches!(value.kind, NodeKind::List(_)) {
                importer.left_out(key.mark, name, "a list is expected here");
            } else {
                translate(&mut importer, key, value);
            }
        }
    }
    for (key, _) in members.iter().filter(|(key, _)| !KEYS.iter().any(|(name, _)| *name == key.text)) {
        importer.task = key.mark;
        if let Some((_, why)) = NO_NEED.iter().find(|(name, _)| *name == key.text) {
            importer.not_needed(key.mark, &key.text, why);
        } else {
            importer.left_out(key.mark, &key.text, hint(&key.text).unwrap_or("no step type does what this key does"));
        }
    }
    (importer.document, importer.report)
}

fn hint(key: &str) -> Option<&'static str> {
    Some(match key {
        "swap" => "`playbooks/recipes/swap.yaml` does it",
        "mounts" | "disk_setup" | "fs_setup" | "bootcmd_mounts" => {
            "disks and mounts are an image's or a launch template's: a `systemd_unit` of type `.mount` mounts one"
        }
        "chpasswd" | "password" => "accounts have no passwords here: keys let people in",
        "power_state" => "who ends an instance is its group; `reboot` reboots for a reason",
        "locale" => "an image's: a `file` for `/etc/default/locale` and a `command` for `locale-gen`",
        "phone_home" => "the verdict goes to the lifecycle hook",
        "growpart" | "resize_rootfs" => "cloud-init does this by itself, with or without the agent",
        "ssh_keys" => "host keys are made by the machine",
        "ssh_import_id" => "keys that a server gives out now are not those it gives out tomorrow: write them down",
        _ => return None,
    })
}

/// One cloud-config on its way.
struct Importer<'s> {
    source: &'s Arc<Source>,
    document: Document,
    report: Report,
    /// The key that is being translated, which is what counts as a task.
    task: Mark,
    items: usize,
}

impl Importer<'_> {
    fn add(&mut self, mark: Mark, what: String, is_task: bool, verdict: Verdict) {
        let (at, task) = (self.source.position(mark), self.source.position(if is_task { mark } else { self.task }));
        self.report.add(Item { at, excerpt: self.source.line(mark.line).to_owned(), what, task, is_task, verdict });
    }

    fn piece(&mut self, mark: Mark, content: Content) {
        let lines = lines_of(self.source, mark, mark.line + 400);
        self.document.pieces.push(Piece { at: self.source.position(mark), lines, content });
    }

    /// An item is these steps.
    fn steps(&mut self, mark: Mark, what: &str, steps: Vec<Step>) {
        self.task = mark;
        self.add(mark, format!("`{what}`"), true, Verdict::Translated);
        for mut step in steps {
            if step.id.is_empty() {
                self.items += 1;
                step.id = format!("{what}-{}", self.items).replace('_', "-");
            }
            self.piece(mark, Content::Step(Box::new(step)));
        }
    }

    /// What an item came to.
    fn became(&mut self, mark: Mark, what: &str, became: Result<Vec<Step>, Why>) {
        match became {
            Ok(steps) if steps.is_empty() => self.not_needed(mark, what, "the machine has it already"),
            Ok(steps) => self.steps(mark, what, steps),
            Err(why) => self.left_out(mark, what, &why),
        }
    }

    fn left_out(&mut self, mark: Mark, what: &str, why: &str) {
        self.task = mark;
        self.add(mark, format!("`{what}`"), true, Verdict::LeftOut(why.to_owned()));
        self.piece(mark, Content::LeftOut(format!("`{what}`: {why}")));
    }

    fn not_needed(&mut self, mark: Mark, what: &str, why: &str) {
        self.task = mark;
        self.add(mark, format!("`{what}`"), true, Verdict::NotNeeded(why.to_owned()));
        self.piece(mark, Content::NotNeeded(format!("`{what}`: {why}")));
    }

    fn key(&mut self, key: &Key, verdict: Verdict) {
        if let (Verdict::LeftOut(why) | Verdict::Differs(why), Some(piece)) = (&verdict, self.document.pieces.last_mut())
            && let Some(step) = piece.step_mut()
        {
            step.notes.push(format!("`{}`: {why}", key.text));
        }
        self.add(key.mark, format!("`{}`", key.text), false, verdict);
    }

    /// Reports the keys of an item: these were translated, those need nothing, all others are left out.
    fn keys(&mut self, node: &Node, known: &[&str], no_need: &[(&str, &str)], why: &str) {
        for (key, _) in node.members() {
            let verdict = if known.contains(&key.text.as_str()) {
                Verdict::Translated
            } else if let Some((_, why)) = no_need.iter().find(|(name, _)| *name == key.text) {
                Verdict::NotNeeded((*why).to_owned())
            } else {
                Verdict::LeftOut(why.to_owned())
            };
            self.key(key, verdict);
        }
    }
}

/// A text of the original, in which no expression of ours may be.
fn text(node: &Node) -> Option<String> {
    node.text().map(|text| if expression::is_in(text) { text.replace("{{", "{{ \"{{\" }}") } else { text.to_owned() })
}

/// The text of a member.
fn member(node: &Node, name: &str) -> Option<String> {
    node.member(name).filter(|node| !node.is_empty()).and_then(text)
}

/// A list of texts, or one text with commas.
fn texts(node: &Node) -> Vec<String> {
    match &node.kind {
        NodeKind::List(items) => items.iter().filter_map(text).collect(),
        _ => text(node).map(|all| all.split(',').map(|word| word.trim().to_owned()).collect()).unwrap_or_default(),
    }
}

fn is_true(node: &Node) -> bool {
    node.text().is_some_and(|text| ["true", "yes", "on", "1"].contains(&text.to_ascii_lowercase().as_str()))
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        NodeKind::List(items) => items,
        _ => &[],
    }
}

fn is_tagged(node: &Node) -> bool {
    node.member(TAGGED).is_some()
}

fn yaml_list(items: Vec<String>) -> Yaml {
    items.into()
}
