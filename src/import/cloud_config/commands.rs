//! `runcmd` and `bootcmd`: what has a word of ours gets it; everything else runs once, or at every boot, as cloud-init has it.

use super::{Importer, items, text};
use crate::import::document::Step;
use crate::import::shell::{self, Known};
use crate::import::yaml::Yaml;
use crate::playbook::node::{Key, Node, NodeKind};

/// Where a command that runs once leaves its mark.
const MARKS: &str = "/var/lib/imported";

/// A command that failed has not left its mark.
const ONCE: [&str; 2] = ["/bin/sh", "-ec"];

/// `runcmd`: once for each instance.
pub fn runcmd(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    for (index, item) in items(node).iter().enumerate() {
        match known(item) {
            Some(Known::Steps(steps)) => importer.steps(item.mark, "runcmd", steps),
            Some(Known::Anyway(why)) => importer.not_needed(item.mark, "runcmd", why),
            None => {
                match script(item) {
                    Ok(line) => {
                        let mark = format!("{MARKS}/runcmd-{}", index + 1);
                        let script = format!("{line}\nmkdir -p {MARKS} && touch {mark}\n");
                        let mut step =
                            Step::new("command").with("script", script).with("interpreter", ONCE.to_vec()).with("creates", mark);
                        step.notes.push("runs once, and its failure fails the run: a guard of its own (`creates`, `unless`) lets it be repaired".into());
                        importer.steps(item.mark, "runcmd", vec![step]);
                    }
                    Err(why) => importer.left_out(item.mark, "runcmd", why),
                }
            }
        }
    }
    units(importer);
}

/// A unit written by `write_files` and started by `runcmd` is one step.
fn units(importer: &mut Importer<'_>) {
    crate::import::ansible::join_units(&mut importer.document);
}

/// `bootcmd`: at every boot.
pub fn bootcmd(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    for item in items(node) {
        match known(item) {
            Some(Known::Steps(steps)) => importer.steps(item.mark, "bootcmd", steps),
            Some(Known::Anyway(why)) => importer.not_needed(item.mark, "bootcmd", why),
            None => match script(item) {
                Ok(line) => {
                    let mut step =
                        Step::new("command").with("script", line).with("interpreter", vec!["/bin/sh", "-c"]).with("always", true);
                    step.notes
                        .push("runs in every run, later than cloud-init would: before the network, nothing here runs".into());
                    importer.steps(item.mark, "bootcmd", vec![step]);
                }
                Err(why) => importer.left_out(item.mark, "bootcmd", why),
            },
        }
    }
}

fn known(item: &Node) -> Option<Known> {
    let words = match &item.kind {
        NodeKind::List(words) => words.iter().map(text).collect::<Option<Vec<_>>>()?,
        _ => shell::words(&text(item)?)?,
    };
    shell::known(&words)
}

/// A list is a program with its arguments, a text is for a shell.
fn script(item: &Node) -> Result<String, &'static str> {
    match &item.kind {
        NodeKind::Scalar { .. } => Ok(text(item).unwrap_or_default()),
        NodeKind::List(words) => {
            let quoted = |word: &Node| {
                text(word).map(|word| {
                    if word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c)) && !word.is_empty() {
                        word
                    } else {
                        format!("'{}'", word.replace('\'', r"'\''"))
                    }
                })
            };
            words
                .iter()
                .map(quoted)
                .collect::<Option<Vec<_>>>()
                .map(|words| words.join(" "))
                .ok_or("a list within a list is no command")
        }
        NodeKind::Map(_) => Err("a map is no command: quote a text with `: ` in it"),
    }
}

/// A program that follows a step of ours.
pub fn after(argv: &[&str], id: &str) -> Step {
    Step::new("command").with("argv", argv.to_vec()).with("on_change", Yaml::from(vec![id]))
}
