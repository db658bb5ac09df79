//! `users`, `groups` and who may log in.

use super::{Importer, Why, items, member, text, texts};
use crate::import::document::Step;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;
use crate::playbook::node::{Key, Node, NodeKind};

/// The variable for the account that an image comes with.
const DEFAULT_USER: &str = "default_user";

/// `groups`: names, or names with members.
pub fn groups(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    let all: Vec<&Node> = if let NodeKind::List(items) = &node.kind { items.iter().collect() } else { vec![node] };
    for item in all {
        let mut steps = Vec::new();
        for name in item.text().map(|_| texts(item)).unwrap_or_default() {
            steps.push(Step::new("group").with("name", name));
        }
        for (key, members) in item.members() {
            steps.push(Step::new("group").with("name", key.text.as_str()));
            let member = |name: String| Step::new("user").with("name", name).with("groups", vec![key.text.as_str()]);
            steps.extend(texts(members).into_iter().map(member));
        }
        importer.became(item.mark, "groups", Ok(steps));
    }
}

/// `users`.
pub fn users(importer: &mut Importer<'_>, _: &Key, node: &Node) {
    for item in items(node) {
        if item.text() == Some("default") {
            importer.not_needed(item.mark, "users", "the image has its default account already");
            continue;
        }
        let became = user(item);
        let is_there = became.is_ok();
        importer.became(item.mark, "users", became);
        if !is_there {
            item.members().iter().for_each(|(key, _)| importer.key(key, Verdict::LeftOut("its account is left out".into())));
            continue;
        }
        let known = [
            "name",
            "gecos",
            "groups",
            "primary_group",
            "primary-group",
            "shell",
            "homedir",
            "uid",
            "system",
            "no_create_home",
            "no-create-home",
            "ssh_authorized_keys",
            "ssh-authorized-keys",
            "sudo",
        ];
        let no_need = [
            ("lock_passwd", "accounts have no passwords here"),
            ("lock-passwd", "accounts have no passwords here"),
            ("no_user_group", "`group` names the primary group"),
        ];
        for (key, value) in item.members() {
            let verdict = match key.text.as_str() {
                "lock_passwd" | "lock-passwd" if !super::is_true(value) => {
                    Verdict::LeftOut("accounts have no passwords here: keys let people in".into())
                }
                other if known.contains(&other) => Verdict::Translated,
                "passwd" | "hashed_passwd" | "plain_text_passwd" => {
                    Verdict::LeftOut("accounts have no passwords here: keys let people in".into())
                }
                "ssh_import_id" => Verdict::LeftOut(
                    "keys that a server gives out now are not those it gives out tomorrow: write them down".into(),
                ),
                other => match no_need.iter().find(|(name, _)| *name == other) {
                    Some((_, why)) => Verdict::NotNeeded((*why).into()),
                    None => Verdict::LeftOut("a `user` has no equivalent for it".into()),
                },
            };
            importer.key(key, verdict);
        }
    }
}

fn user(item: &Node) -> Result<Vec<Step>, Why> {
    let name = text(item).or_else(|| member(item, "name")).ok_or("`name` is missing")?;
    let on = |names: [&str; 2]| names.iter().find_map(|name| item.member(name)).map(super::is_true);
    let mut groups = item.member("groups").map(texts).unwrap_or_default();
    groups.retain(|group| !group.is_empty());
    let account = Step::new("user")
        .with("name", name.as_str())
        .with_some("uid", member(item, "uid").map(Yaml::Word))
        .with_some("group", member(item, "primary_group").or_else(|| member(item, "primary-group")))
        .with_some("groups", (!groups.is_empty()).then_some(groups))
        .with_some("home", member(item, "homedir"))
        .with_some("shell", member(item, "shell"))
        .with_some("comment", member(item, "gecos"))
        .with_some("system", on(["system", "system"]).filter(|on| *on))
        .with_some("create_home", on(["no_create_home", "no-create-home"]).map(|none| !none));
    let mut steps = vec![account];
    if let Some(keys) = item.member("ssh_authorized_keys").or_else(|| item.member("ssh-authorized-keys")) {
        steps.push(Step::new("authorized_keys").with("user", name.as_str()).with("keys", keys_of(keys)));
    }
    let rules: Vec<String> = match item.member("sudo").map(|node| (node, &node.kind)) {
        None => Vec::new(),
        Some((_, NodeKind::List(items))) => items.iter().filter_map(text).collect(),
        Some((node, _)) => {
            text(node).into_iter().filter(|rule| !["false", "null", ""].contains(&rule.to_lowercase().as_str())).collect()
        }
    };
    if !rules.is_empty() {
        let content: String = rules.iter().fold(String::new(), |text, rule| text + &format!("{name} {rule}\n"));
        steps.push(
            Step::new("file")
                .with("path", format!("/etc/sudoers.d/90-{name}"))
                .with("content", content)
                .with("mode", "0440")
                .with("validate", vec!["visudo", "-cf", "%s"]),
        );
    }
    Ok(steps)
}

fn keys_of(node: &Node) -> Vec<String> {
    match &node.kind {
        NodeKind::List(items) => items.iter().filter_map(text).map(|key| key.trim().to_owned()).collect(),
        _ => text(node).map(|all| all.lines().map(|line| line.trim().to_owned()).collect()).unwrap_or_default(),
    }
}

/// `ssh_authorized_keys`: of the image's default account.
pub fn default_keys(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    importer.document.vars.entry(DEFAULT_USER.to_owned()).or_insert_with(|| "ubuntu".into());
    let step = Step::new("authorized_keys").with("user", format!("{{{{ {DEFAULT_USER} }}}}")).with("keys", keys_of(node));
    importer.steps(key.mark, "ssh_authorized_keys", vec![step]);
    let note = "the image's default account is the variable `default_user` here: `ubuntu` unless told";
    if let Some(step) = importer.document.pieces.last_mut().and_then(crate::import::document::Piece::step_mut) {
        step.notes.push(note.into());
    }
}
