//! A unit file of systemd, as the sections of a `systemd_unit` step.

use super::document::Step;
use super::yaml::Yaml;

const SECTIONS: [&str; 10] = ["Unit", "Service", "Timer", "Socket", "Path", "Mount", "Automount", "Swap", "Slice", "Install"];
const SUFFIXES: [&str; 9] = [".service", ".timer", ".socket", ".path", ".mount", ".automount", ".swap", ".slice", ".target"];
const FOLDERS: [&str; 3] = ["/etc/systemd/system/", "/lib/systemd/system/", "/usr/lib/systemd/system/"];

/// The unit, and the drop-in, that a file at this path is.
#[must_use]
pub fn unit_at(path: &str) -> Option<(&str, Option<&str>)> {
    let rest = FOLDERS.iter().find_map(|folder| path.strip_prefix(folder))?;
    let is_unit = |name: &str| !name.contains('/') && SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if let Some((folder, file)) = rest.split_once('/') {
        let unit = folder.strip_suffix(".d").filter(|unit| is_unit(unit))?;
        return Some((unit, Some(file.strip_suffix(".conf")?)));
    }
    is_unit(rest).then_some((rest, None))
}

/// The step for a unit file, neither started nor enabled: whoever does that says so elsewhere. `None` where it holds what is not sections and
/// keys.
#[must_use]
pub fn step(path: &str, text: &str) -> Option<Step> {
    let (name, dropin) = unit_at(path)?;
    let mut sections: Vec<(String, Vec<(String, Yaml)>)> = Vec::new();
    for line in joined(text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            SECTIONS.contains(&section).then_some(())?;
            if !sections.iter().any(|(known, _)| known == section) {
                sections.push((section.to_owned(), Vec::new()));
            }
            continue;
        }
        let (key, value) = line.split_once('=')?;
        let (_, keys) = sections.last_mut()?;
        add(keys, key.trim(), value.trim());
    }
    // What the step says anyway.
    let own_target = match name.rsplit('.').next() {
        Some("timer") => "timers.target",
        Some("socket") => "sockets.target",
        _ => "multi-user.target",
    };
    sections.retain(|(section, keys)| !(section == "Install" && *keys == [("WantedBy".to_owned(), Yaml::from(own_target))]));
    let mut step = Step::new("systemd_unit").with("name", name).with_some("dropin", dropin);
    for (section, keys) in sections.into_iter().filter(|(_, keys)| !keys.is_empty()) {
        step.set(&section, Yaml::Map(keys));
    }
    if dropin.is_none() {
        step.set("state", "unchanged");
        step.set("enabled", false);
    }
    Some(step)
}

/// A key that is there again becomes a list, as systemd reads it.
fn add(keys: &mut Vec<(String, Yaml)>, key: &str, value: &str) {
    match keys.iter_mut().find(|(known, _)| known == key) {
        Some((_, Yaml::List(items))) => items.push(value.into()),
        Some((_, old)) => *old = Yaml::List(vec![old.clone(), value.into()]),
        None => keys.push((key.to_owned(), value.into())),
    }
}

/// Lines with those that a backslash continues.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        match (lines.last_mut(), goes_on) {
            (Some(last), true) => *last += &format!(" {}", line.trim()),
            _ => lines.push(line.to_owned()),
        }
        goes_on = line.ends_with('\\') && !line.trim_start().starts_with(['#', ';']);
        if let Some(last) = lines.last_mut().filter(|_| goes_on) {
            last.truncate(last.trim_end_matches('\\').trim_end().len());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_file_becomes_its_sections() {
        let text = "# ours\n[Unit]\nDescription=An app\n\n[Service]\nExecStart=/a \\\n  --b\nEnvironment=A=1\nEnvironment=B=2\n[Install]\nWantedBy=multi-user.target\n";
        let step = step("/etc/systemd/system/app.service", text).unwrap();
        let service = Yaml::Map(vec![("ExecStart".into(), "/a --b".into()), ("Environment".into(), vec!["A=1", "B=2"].into())]);
        assert_eq!((step.text("name"), step.get("Service"), step.get("Install")), (Some("app.service"), Some(&service), None));
        assert_eq!(unit_at("/etc/systemd/system/nginx.service.d/limits.conf"), Some(("nginx.service", Some("limits"))));
        assert_eq!(unit_at("/etc/systemd/system.conf"), None);
        assert!(super::step("/etc/systemd/system/a.service", "[X-Own]\na=b\n").is_none());
    }
}
