//! `write_files`: files, and units among them.

use base64::Engine as _;

use super::{Importer, Why, is_tagged, is_true, items, member};
use crate::import::document::{Piece, Step};
use crate::import::report::Verdict;
use crate::import::unit_file;
use crate::playbook::expression;
use crate::playbook::node::{Key, Node};

/// `write_files`.
pub fn write_files(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    write(importer, items(node).iter().filter(|item| !is_deferred(item)));
}

/// Those with `defer`, which are written after accounts and packages are there.
pub fn deferred(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    write(importer, items(node).iter().filter(|item| is_deferred(item)));
}

fn is_deferred(item: &Node) -> bool {
    item.member("defer").is_some_and(is_true)
}

/// Folders that every image has; what is in a home or in `/tmp` has an owner and a mode that are not ours to set.
const USUAL: [&str; 18] = [
    "/etc",
    "/etc/apt/apt.conf.d",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/default",
    "/etc/logrotate.d",
    "/etc/modprobe.d",
    "/etc/profile.d",
    "/etc/security/limits.d",
    "/etc/ssh",
    "/etc/ssh/sshd_config.d",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd/system",
    "/opt",
    "/srv",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// The folder of a file, which cloud-init makes where it is missing.
fn folder_of(importer: &Importer<'_>, file: &Step) -> Option<Step> {
    let (folder, _) = file.text("path").filter(|_| file.kind == "file")?.rsplit_once('/')?;
    let is_ours = ["/home", "/root", "/tmp", "/var/tmp", "/run"].iter().all(|top| !folder.starts_with(top)) && !folder.is_empty();
    let is_there = USUAL.contains(&folder)
        || importer
            .document
            .pieces
            .iter()
            .filter_map(Piece::step)
            .any(|step| step.kind == "directory" && step.text("path") == Some(folder));
    (is_ours && !is_there).then(|| Step::new("directory").with("path", folder))
}

fn write<'n>(importer: &mut Importer<'_>, items: impl Iterator<Item = &'n Node>) {
    for item in items {
        let became = file(item);
        let is_there = became.is_ok();
        let became = became.map(|step| folder_of(importer, &step).into_iter().chain([step]).collect());
        importer.became(item.mark, "write_files", became);
        if is_there {
            importer.keys(
                item,
                &["path", "content", "owner", "permissions", "encoding", "append", "defer"],
                &[],
                "a `file` has no equivalent for it",
            );
        } else {
            item.members().iter().for_each(|(key, _)| importer.key(key, Verdict::LeftOut("its file is left out".into())));
        }
    }
}

fn file(item: &Node) -> Result<Step, Why> {
    let path = member(item, "path").ok_or("`path` is missing")?;
    if item.member("append").is_some_and(is_true) {
        return appended(item, path);
    }
    if item.member("content").is_some_and(is_tagged) {
        return Err("bytes are no text: a file beside the playbook is a `file` step with a `source`".into());
    }
    let raw = item.member("content").and_then(Node::text).unwrap_or_default();
    let content = match member(item, "encoding").as_deref() {
        None | Some("text/plain") => raw.to_owned(),
        Some("b64" | "base64") => {
            let packed: String = raw.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| "its content is not in base64")?;
            String::from_utf8(bytes)
                .map_err(|_| "its content is no text: a file beside the playbook is a `file` step with a `source`")?
        }
        Some(other) => return Err(format!("content in `{other}`: a file beside the playbook is a `file` step with a `source`")),
    };
    let content = if expression::is_in(&content) { content.replace("{{", "{{ \"{{\" }}") } else { content };
    if let Some(step) = unit_file::step(&path, &content) {
        return Ok(step);
    }
    let (owner, group) = match member(item, "owner") {
        Some(owner) => owner.split_once(':').map_or((Some(owner.clone()), None), |(owner, group)| {
            (Some(owner.to_owned()), (group != owner && !group.is_empty()).then(|| group.to_owned()))
        }),
        None => (None, None),
    };
    let mode = member(item, "permissions").map(|mode| mode.trim_start_matches("0o").to_owned());
    Ok(Step::new("file")
        .with("path", path)
        .with("content", content)
        .with_some("owner", owner.filter(|owner| owner != "root"))
        .with_some("group", group)
        .with_some("mode", mode.map(|mode| format!("{mode:0>4}"))))
}

/// Lines that are added are lines that have to be there.
fn appended(item: &Node, path: String) -> Result<Step, Why> {
    let content = member(item, "content").unwrap_or_default();
    let lines: Vec<&str> = content.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut unique = lines.clone();
    unique.sort_unstable();
    unique.dedup();
    if lines.is_empty() || unique.len() != lines.len() {
        return Err("lines that are there twice cannot be looked for: write the whole file".into());
    }
    let mut step = Step::new("line").with("path", path).with("lines", lines);
    step.notes.push("each line is looked for; those that are there are not added again".into());
    Ok(step)
}
