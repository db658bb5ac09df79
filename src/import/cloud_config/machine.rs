//! The machine itself: its name, time, certificates and SSH server.

use super::commands::after;
use super::{Importer, is_true, items, member, text, texts};
use crate::import::document::Step;
use crate::import::report::Verdict;
use crate::import::shell;
use crate::playbook::node::{Key, Node};

/// `hostname` and `fqdn`.
pub fn hostname(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let became = text(node).map(|name| vec![shell::hostname(&name)]).ok_or_else(|| "it is no text".to_owned());
    importer.became(key.mark, &key.text, became);
}

/// `timezone`.
pub fn timezone(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let became = text(node).map(|zone| vec![shell::timezone(&zone)]).ok_or_else(|| "it is no text".to_owned());
    importer.became(key.mark, &key.text, became);
}

/// `ntp`: systemd's own client.
pub fn ntp(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    if node.member("enabled").is_some_and(|on| !is_true(on)) {
        importer.left_out(key.mark, "ntp", "an instance without the time cannot speak to AWS");
        return;
    }
    let servers: Vec<String> = ["servers", "pools"].iter().filter_map(|name| node.member(name)).flat_map(texts).collect();
    let steps = if servers.is_empty() {
        Vec::new()
    } else {
        let mut file = Step::new("file")
            .with("path", "/etc/systemd/timesyncd.conf.d/servers.conf")
            .with("content", format!("[Time]\nNTP={}\n", servers.join(" ")));
        file.id = "time-servers".into();
        let folder = Step::new("directory").with("path", "/etc/systemd/timesyncd.conf.d");
        let service =
            Step::new("service").with("name", "systemd-timesyncd").with("enabled", true).with("restart_on", vec!["time-servers"]);
        vec![Step::new("packages").with("names", vec!["systemd-timesyncd"]), folder, file, service]
    };
    importer.became(key.mark, "ntp", Ok(steps));
    importer.keys(
        node,
        &["enabled", "servers", "pools"],
        &[("ntp_client", "systemd's own is used")],
        "systemd's own client has no equivalent",
    );
}

/// `ssh_pwauth`: a file for the server.
pub fn ssh_pwauth(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let value = if is_true(node) { "yes" } else { "no" };
    importer.became(key.mark, "ssh_pwauth", Ok(sshd("password", &format!("PasswordAuthentication {value}\n"))));
}

/// `disable_root`: nobody logs in as root.
pub fn disable_root(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let value = if is_true(node) { "no" } else { "prohibit-password" };
    importer.became(key.mark, "disable_root", Ok(sshd("root", &format!("PermitRootLogin {value}\n"))));
}

fn sshd(name: &str, content: &str) -> Vec<Step> {
    let mut file = Step::new("file").with("path", format!("/etc/ssh/sshd_config.d/10-{name}.conf")).with("content", content);
    file.id = format!("ssh-{name}");
    let id = file.id.clone();
    vec![file, Step::new("service").with("name", "ssh").with("state", "unchanged").with("reload_on", vec![id])]
}

/// `ca_certs`: files, and the program that reads them.
pub fn ca_certs(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let mut steps = Vec::new();
    for (index, certificate) in node.member("trusted").map(items).unwrap_or_default().iter().enumerate() {
        let Some(content) = text(certificate) else { continue };
        let mut file = Step::new("file")
            .with("path", format!("/usr/local/share/ca-certificates/trusted-{}.crt", index + 1))
            .with("content", content);
        file.id = format!("certificate-{}", index + 1);
        steps.push(file);
    }
    let ids: Vec<String> = steps.iter().map(|step| step.id.clone()).collect();
    if let Some(first) = ids.first() {
        let mut update = after(&["update-ca-certificates"], first);
        update.follow("on_change", &ids);
        steps.push(update);
    }
    importer.became(key.mark, &key.text, Ok(steps));
    importer.keys(node, &["trusted"], &[], "the image's own certificates stay");
}

/// `package_reboot_if_required`.
pub fn reboot(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    if is_true(node) {
        importer.steps(key.mark, &key.text, vec![Step::new("reboot").with("when_required", true)]);
    } else {
        importer.not_needed(key.mark, &key.text, "it is switched off");
    }
}

/// `output`: cloud-init's own log.
pub fn output(importer: &mut Importer<'_>, key: &Key, node: &Node) {
    let log = member(node, "all").unwrap_or_default();
    importer.not_needed(key.mark, "output", "a run reports to the journal, and ships it with `logs:`");
    for (key, _) in node.members() {
        importer.key(key, Verdict::NotNeeded(format!("`{log}` is cloud-init's own")));
    }
}
