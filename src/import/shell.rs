//! Programs that people call because their tool has no word for it, and ours has: `systemctl enable`, `mkdir -p`, `git clone`.

use super::document::Step;
use super::yaml::Yaml;

/// The words of a command line; expressions stay whole. `None` where only a shell can tell what it means.
#[must_use]
pub fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.trim();
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("{{") {
            let end = rest.find("}}").map_or(rest.len(), |end| end + 2);
            word.get_or_insert_default().push_str(rest.get(..end)?);
            rest = rest.get(end..)?;
            continue;
        }
        rest = rest.get(letter.len_utf8()..)?;
        match (quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('"'), '\\') if rest.starts_with(['"', '\\']) => {
                word.get_or_insert_default().extend(rest.chars().next());
                rest = rest.get(1..)?;
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => {
                let escaped = rest.chars().next()?;
                rest = rest.get(escaped.len_utf8()..)?;
                if escaped != '\n' {
                    word.get_or_insert_default().push(escaped);
                }
            }
            (None, ' ' | '\t' | '\n') if letter != '\n' || rest.trim().is_empty() => words.extend(word.take()),
            (Some('"') | None, '$' | '`') | (None, '\n' | ';' | '|' | '&' | '<' | '>' | '*' | '?' | '(' | ')' | '#' | '~') => {
                return None;
            }
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

/// What a command line is in our words.
pub enum Known {
    /// These steps.
    Steps(Vec<Step>),
    /// Nothing: the agent does it anyway, and how.
    Anyway(&'static str),
}

/// The program in our words, where it has any.
#[must_use]
pub fn known(words: &[String]) -> Option<Known> {
    let all: Vec<&str> = words.iter().map(String::as_str).skip_while(|word| *word == "sudo").collect();
    let (options, plain): (Vec<&str>, Vec<&str>) = all.get(1..)?.iter().copied().partition(|word| word.starts_with('-'));
    let steps = match (*all.first()?, plain.as_slice()) {
        ("apt-get" | "apt" | "yum" | "dnf", ["update" | "makecache"]) => {
            return Some(Known::Anyway("package lists are fetched when something is missing"));
        }
        ("apt-get" | "apt" | "yum" | "dnf", ["install", names @ ..])
            if !names.is_empty() && options.iter().all(|o| INSTALL.contains(o)) =>
        {
            vec![Step::new("packages").with("names", names.to_vec())]
        }
        ("systemctl", ["daemon-reload"]) => return Some(Known::Anyway("systemd reads units again whenever one has changed")),
        ("systemctl", [verb, units @ ..]) if !units.is_empty() => {
            units.iter().map(|unit| systemctl(verb, unit, &options)).collect::<Option<_>>()?
        }
        ("service", [unit, verb @ ("start" | "restart" | "reload")]) => vec![systemctl(verb, unit, &options)?],
        ("mkdir", paths)
            if !paths.is_empty()
                && options.iter().all(|option| ["-p", "--parents", "-v"].contains(option))
                && paths.iter().all(|path| is_path(path)) =>
        {
            paths.iter().map(|path| Step::new("directory").with("path", *path)).collect()
        }
        ("ln", [target, path]) if options.iter().any(|option| option.starts_with("-s")) && is_path(path) => {
            vec![Step::new("link").with("path", *path).with("target", *target)]
        }
        ("git", ["clone", url, path]) if options.is_empty() && is_path(path) => {
            vec![Step::new("git").with("url", *url).with("path", *path)]
        }
        ("python3", ["venv", path]) if options == ["-m"] && is_path(path) => {
            vec![Step::new("command").with("argv", all.clone()).with("creates", format!("{path}/bin/python"))]
        }
        (pip, ["install", file])
            if pip.ends_with("/bin/pip")
                && is_path(pip)
                && is_path(file)
                && options.contains(&"-r")
                && options.iter().all(|o| ["-r", "-q", "--quiet", "--no-cache-dir", "--upgrade"].contains(o)) =>
        {
            vec![Step::new("venv").with("path", pip.trim_end_matches("/bin/pip")).with("requirements", *file)]
        }
        ("usermod", [groups, user]) if options == ["-aG"] || options == ["-a", "-G"] => {
            vec![Step::new("user").with("name", *user).with("groups", groups.split(',').collect::<Vec<_>>())]
        }
        ("timedatectl", ["set-timezone", zone]) => vec![timezone(zone)],
        ("hostnamectl", ["set-hostname", name]) => vec![hostname(name)],
        ("aws", ["s3", "cp", from, to])
            if from.starts_with("s3://")
                && is_path(to)
                && !to.ends_with('/')
                && options.iter().all(|o| ["--quiet", "--only-show-errors"].contains(o)) =>
        {
            vec![Step::new("file").with("path", *to).with("source", *from)]
        }
        ("aws", ["s3", "sync", from, to])
            if from.starts_with("s3://") != to.starts_with("s3://")
                && options.iter().all(|o| ["--quiet", "--delete", "--only-show-errors"].contains(o)) =>
        {
            let step = Step::new("s3_sync").with("from", *from).with("to", *to);
            vec![if options.contains(&"--delete") { step.with("delete", true) } else { step }]
        }
        _ => return None,
    };
    Some(Known::Steps(steps))
}

const INSTALL: [&str; 8] = ["-y", "-q", "-qq", "-yq", "-yqq", "--yes", "--no-install-recommends", "--assume-yes"];

fn is_path(word: &str) -> bool {
    word.starts_with('/') || word.starts_with("{{")
}

fn systemctl(verb: &str, unit: &str, options: &[&str]) -> Option<Step> {
    let service = Step::new("service").with("name", unit);
    let now = options.contains(&"--now");
    if !options.iter().all(|option| ["--now", "--no-block", "--quiet", "-q"].contains(option)) {
        return None;
    }
    Some(match verb {
        "enable" if now => service.with("enabled", true),
        "enable" => service.with("state", "unchanged").with("enabled", true),
        "disable" if now => service.with("state", "stopped").with("enabled", false),
        "disable" => service.with("state", "unchanged").with("enabled", false),
        "start" => service,
        "restart" | "reload" => {
            let mut step = service;
            step.notes.push(format!("`{verb}` each time: here it happens when what it depends on has changed (`restart_on`)"));
            step
        }
        "stop" => service.with("state", "stopped"),
        "mask" => service.with("state", "unchanged").with("masked", true),
        _ => return None,
    })
}

/// The time zone of the machine.
#[must_use]
pub fn timezone(zone: &str) -> Step {
    Step::new("link").with("path", "/etc/localtime").with("target", format!("/usr/share/zoneinfo/{zone}"))
}

/// The name of the machine.
#[must_use]
pub fn hostname(name: &str) -> Step {
    let argv = |words: &[&str]| Yaml::from(words.to_vec());
    Step::new("command")
        .with("argv", argv(&["hostnamectl", "set-hostname", name]))
        .with("unless", argv(&["grep", "-qxF", name, "/etc/hostname"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_a_shell_cuts_them_or_not_at_all() {
        let cut = |line| words(line).map(|words| words.join("|"));
        assert_eq!(cut("a 'b c' \"d e\" f\\ g {{ x }}/y").as_deref(), Some("a|b c|d e|f g|{{ x }}/y"));
        for line in ["a | b", "a > b", "a && b", "a $B", "a\nb", "'open", "", "ls *"] {
            assert_eq!(cut(line), None, "{line}");
        }
    }

    #[test]
    fn what_has_a_word_here_gets_it() {
        let kind = |line: &str| match known(&words(line).unwrap()) {
            Some(Known::Steps(steps)) => steps.iter().map(|step| step.kind).collect::<Vec<_>>().join(" "),
            Some(Known::Anyway(_)) => "anyway".to_owned(),
            None => "unknown".to_owned(),
        };
        for (line, expected) in [
            ("apt-get install -y nginx git", "packages"),
            ("apt-get install -y -t backports nginx", "unknown"),
            ("systemctl daemon-reload", "anyway"),
            ("systemctl enable --now a b", "service service"),
            ("systemctl enable --user a", "unknown"),
            ("mkdir -p /a /b", "directory directory"),
            ("mkdir -m 700 /a", "unknown"),
            ("git clone https://h/r.git /srv/r", "git"),
            ("git clone -b x https://h/r.git /srv/r", "unknown"),
            ("aws s3 cp s3://b/k /x", "file"),
            ("aws s3 cp /x s3://b/k", "unknown"),
            ("python3 -m venv /v", "command"),
            ("/v/bin/pip install -q -r /r.txt", "venv"),
            ("/v/bin/pip install requests", "unknown"),
            ("usermod -aG docker ubuntu", "user"),
            ("make install", "unknown"),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }
}
