//! Files, directories and links.

use std::path::PathBuf;

use crate::import::ansible::job::{Job, Out};
use crate::import::document::Step;
use crate::import::jinja::{self, Why};
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;
use crate::import::{shell, unit_file};
use crate::playbook::expression;

/// `copy`.
pub fn copy(job: &Job<'_>) -> Result<Out, Why> {
    let dest = job.needed(&["dest"])?;
    common(job)?;
    if let Some(node) = job.node(&["content"]) {
        let raw = node.text().unwrap_or_default().to_owned();
        if let Some(step) = env_file(job, &raw, &dest)? {
            return Ok(step.into());
        }
        let content = job.text(&["content"])?.unwrap_or_default();
        return Ok(holding(job, &dest, content)?.into());
    }
    let source = job.needed(&["src"])?;
    if job.flag(&["remote_src"])? == Some(true) {
        let step = Step::new("command").with("argv", vec!["cp", "--preserve=mode", &source, &dest]).with("creates", dest);
        job.judge(
            "remote_src",
            Verdict::Differs("copied when it is not there; a later change of the original is not followed".into()),
        );
        return Ok(step.into());
    }
    if source.ends_with('/') {
        return Err("a folder beside the playbook: name its files, or keep it in S3 for `s3_sync`".into());
    }
    let path = beside(job, &source, "files")?;
    let dest = in_folder(&dest, &source);
    if unit_file::unit_at(&dest).is_some()
        && let Some(text) = job.world.files.text(&PathBuf::from(&path))
        && let Some(step) = unit(job, &dest, &escaped(&text))
    {
        return Ok(step.into());
    }
    Ok(attributes(job, Step::new("file").with("path", dest).with("source", path))?.into())
}

/// `template`.
pub fn template(job: &Job<'_>) -> Result<Out, Why> {
    let source = job.needed(&["src"])?;
    let dest = in_folder(&job.needed(&["dest"])?, source.strip_suffix(".j2").unwrap_or(&source));
    common(job)?;
    job.not_needed("trim_blocks", "a line that holds only a statement leaves no empty line");
    job.not_needed("lstrip_blocks", "blanks before a statement are not written");
    let path = beside(job, &source, "templates")?;
    let text = job.world.files.text(&PathBuf::from(&path)).ok_or_else(|| format!("the template `{path}` cannot be read"))?;
    let text =
        text.replace("{{ ansible_managed | comment }}\n", "").replace("{{ ansible_managed }}", "Managed by bootstrap-agent");
    let original = text.clone();
    let text = settled(&text, &|condition| job.world.condition(condition, &job.scope).ok());
    let has_statements = text.contains("{%") || text.contains("{#");
    if !has_statements {
        let content = jinja::text(&text, &job.world.names(&job.scope)).map_err(|why| format!("its template `{path}`: {why}"))?;
        let is_long = content.lines().count() > 12 && unit_file::unit_at(&dest).is_none() && content == text;
        if !is_long {
            return Ok(holding(job, &dest, content)?.into());
        }
    } else if let Some(step) = env_file(job, &text, &dest)? {
        return Ok(step.into());
    }
    if text != original {
        return Err(format!("its template `{path}` asks for variables that are not there, and has statements besides"));
    }
    same_names(job, &text).map_err(|why| format!("its template `{path}`: {why}"))?;
    if text.lines().any(|line| line.starts_with([' ', '\t']) && line.trim_start().starts_with("{%")) {
        job.differs("blanks before a `{% … %}` at the start of a line are not written");
    }
    Ok(attributes(job, Step::new("file").with("path", dest).with("template", path))?.into())
}

/// The template without the `if` blocks whose condition is known already, such as that a variable is defined.
fn settled(text: &str, decide: &dyn Fn(&str) -> Option<String>) -> String {
    /// Stands for the `{%` of a block that stays.
    const STAYS: &str = "\u{1}%";
    let mut text = text.to_owned();
    // The innermost block is the one whose end comes first.
    while let Some((head, rest)) = text.split_once("{% endif %}").map(|(head, rest)| (head.to_owned(), rest.to_owned())) {
        let Some((before, block)) = head.rsplit_once("{% if ") else { break };
        let (condition, body) = block.split_once("%}").unwrap_or((block, ""));
        let is_simple = !body.contains("{% elif");
        let (yes, no) = body.split_once("{% else %}").unwrap_or((body, ""));
        let chosen = match decide(condition.trim()).as_deref().filter(|_| is_simple) {
            Some("true") => yes,
            Some("false") => no,
            _ => {
                let kept = format!("{{% if {block}{{% endif %}}").replace("{%", STAYS);
                text = format!("{before}{kept}{rest}");
                continue;
            }
        };
        // As Jinja is set there, the line break after a statement goes with it.
        let after = |part: &str| part.strip_prefix('\n').unwrap_or(part).to_owned();
        text = format!("{before}{}{}", after(chosen), after(&rest));
    }
    text.replace(STAYS, "{%")
}

/// Whether every name in a template means here what it is called there, so that the file can be used as it is.
fn same_names(job: &Job<'_>, text: &str) -> Result<(), Why> {
    if text.contains("ansible_managed") {
        return Err("`ansible_managed` has no value here".into());
    }
    let names =
        expression::names_of_template(expression::environment(), text).map_err(|(line, why)| format!("line {line}: {why}"))?;
    for name in names.iter().filter(|name| name.as_str() != "loop" && !name.starts_with("loop.")) {
        if ["range", "dict", "namespace"].contains(&name.as_str()) {
            continue;
        }
        let ours = job.world.condition(name, &job.scope)?;
        if ours != *name {
            return Err(format!("`{name}` is called otherwise here (`{ours}`), and a template with statements is used as it is"));
        }
    }
    Ok(())
}

/// `file`.
pub fn file(job: &Job<'_>) -> Result<Out, Why> {
    let path = job.needed(&["path", "dest", "name"])?;
    let state = job.text(&["state"])?.unwrap_or_else(|| "file".into());
    job.not_needed("follow", "a link is never followed into somebody else's tree");
    match state.as_str() {
        "directory" => {
            let mut step = attributes(job, Step::new("directory").with("path", path))?;
            if job.flag(&["recurse"])? == Some(true) {
                let owner = step.text("owner").map(str::to_owned);
                let Some(owner) = owner else {
                    return Err("`recurse` without an `owner` changes the mode of all that is there".into());
                };
                let group = step.text("group").map(|group| format!(":{group}")).unwrap_or_default();
                let path = step.text("path").unwrap_or_default().to_owned();
                let id = job.world.id(&format!("directory {path}"));
                step.id.clone_from(&id);
                let looking = format!("find '{path}' '!' -user '{owner}' -print -quit");
                let all = Step::new("command")
                    .with("script", format!("chown --recursive --no-dereference '{owner}{group}' '{path}'"))
                    .with("unless", format!("test -z \"$({looking})\""));
                job.judge(
                    "recurse",
                    Verdict::Differs("the owner of all that is below is set when one is another's; modes are not".into()),
                );
                return Ok(Out::Steps(vec![step, all]));
            }
            Ok(step.into())
        }
        "link" => {
            let target = job.needed(&["src"])?;
            job.not_needed("force", "a link that leads elsewhere is switched; what is no link is never replaced");
            let owner = job.text(&["owner"])?;
            Ok(Step::new("link").with("path", path).with("target", target).with_some("owner", owner).into())
        }
        "absent" => {
            // Which of the two it is, only its name can tell.
            let kind = if looks_like_a_link(&path) {
                "link"
            } else if path.rsplit('/').next().is_some_and(|name| name.contains('.') && name.rsplit('.').next() != Some("d")) {
                "file"
            } else {
                "directory"
            };
            job.differs(&format!("what is removed is a `{kind}`, to judge by its name"));
            Ok(Step::new(kind).with("path", path).with("absent", true).into())
        }
        "touch" => {
            let mut step = attributes(job, Step::new("file"))?;
            job.node(&["access_time", "modification_time"]);
            if !step.fields.is_empty() {
                job.differs("made when it is missing; owner and mode are not set");
                step.fields.clear();
            }
            Ok(Step::new("command").with("argv", vec!["touch", &path]).with("creates", path).into())
        }
        "file" => attributes_only(job, &path),
        other => Err(format!("the state `{other}` has no equivalent here")),
    }
}

/// Owner and mode of a file that an earlier task has made are fields of that step.
fn attributes_only(job: &Job<'_>, path: &str) -> Result<Out, Why> {
    let wanted = attributes(job, Step::new("file"))?;
    let when = job.conditions.expression()?;
    let mut document = job.world.document.borrow_mut();
    let steps = document.pieces.iter_mut().rev().filter_map(crate::import::document::Piece::step_mut);
    for step in steps {
        let has_attributes = ["file", "directory", "env_file"].contains(&step.kind);
        if has_attributes && step.text("path") == Some(path) && step.when == when {
            for (key, value) in wanted.fields {
                step.set(&key, value);
            }
            return Ok(Out::NotNeeded(format!("owner and mode are fields of the step that makes `{path}`")));
        }
    }
    let owner = wanted.text("owner").map(str::to_owned);
    match (wanted.text("mode").map(str::to_owned), owner) {
        (Some(mode), None) => {
            let bits = mode.trim_start_matches('0').to_owned();
            let same = format!("test \"$(stat --format=%a '{path}')\" = {bits}");
            Ok(Step::new("command").with("argv", vec!["chmod", &mode, path]).with("unless", same).into())
        }
        (None, Some(owner)) => {
            let same = format!("test \"$(stat --format=%U '{path}')\" = '{owner}'");
            Ok(Step::new("command").with("argv", vec!["chown", "--no-dereference", &owner, path]).with("unless", same).into())
        }
        _ => Err("owner and mode belong to the step that makes the file, and none here does".into()),
    }
}

fn looks_like_a_link(path: &str) -> bool {
    ["-enabled/", "/multi-user.target.wants/", "/rc"].iter().any(|part| path.contains(part))
}

/// `owner`, `group` and `mode`; the owner is who acts, unless told.
pub fn attributes(job: &Job<'_>, step: Step) -> Result<Step, Why> {
    let mut step = owners(job, step)?;
    if let Some(mode) = job.text(&["mode"])? {
        match octal(&mode) {
            Some(mode) => step.set("mode", mode),
            None if mode == "preserve" => {
                job.judge("mode", Verdict::LeftOut("the mode of the original is not known: say it".into()));
            }
            None => job.judge("mode", Verdict::LeftOut(format!("`{mode}` adds to what is there: say the whole mode"))),
        }
    }
    Ok(step)
}

/// `owner` and `group`.
pub fn owners(job: &Job<'_>, step: Step) -> Result<Step, Why> {
    let owner = job.text(&["owner"])?.or(job.account()?);
    let group = job.text(&["group"])?.filter(|group| owner.as_ref() != Some(group) || group.contains("{{") && owner.is_none());
    Ok(step.with_some("owner", owner).with_some("group", group))
}

/// A mode in octal: as it is, or from `u=rw,g=r,o=`.
pub fn octal(mode: &str) -> Option<String> {
    if mode.contains("{{") {
        return Some(mode.to_owned());
    }
    if (3..=4).contains(&mode.len()) && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
        return Some(format!("{mode:0>4}"));
    }
    let mut bits = 0;
    for part in mode.split(',') {
        let (who, rights) = part.split_once('=')?;
        let value = rights.chars().try_fold(0, |sum, right| {
            Some(
                sum | match right {
                    'r' => 4,
                    'w' => 2,
                    'x' | 'X' => 1,
                    _ => return None,
                },
            )
        })?;
        for letter in who.chars() {
            bits |= match letter {
                'u' => value << 6,
                'g' => value << 3,
                'o' => value,
                'a' => value << 6 | value << 3 | value,
                _ => return None,
            };
        }
    }
    Some(format!("{bits:04o}"))
}

fn common(job: &Job<'_>) -> Result<(), Why> {
    job.judge("backup", Verdict::LeftOut("no copies are kept: the playbook is in version control".into()));
    job.not_needed("follow", "a link is never followed into somebody else's tree");
    job.not_needed("decrypt", "nothing is encrypted here");
    match job.flag(&["force"])? {
        Some(false) => Err("`force: false` keeps what is there, whatever it holds: a `file` says what it holds".into()),
        _ => Ok(()),
    }
}

fn in_folder(dest: &str, source: &str) -> String {
    if dest.ends_with('/') { format!("{dest}{}", source.rsplit('/').next().unwrap_or_default()) } else { dest.to_owned() }
}

/// A file beside the playbook, by its path from the playbook's folder.
pub fn beside(job: &Job<'_>, source: &str, kind: &str) -> Result<String, Why> {
    if source.contains("{{") {
        return Err(format!("which file `{source}` is, is known in the run only"));
    }
    let folders = job.scope.folders.iter();
    let candidates = folders.flat_map(|folder| [folder.join(kind).join(source), folder.join(source)]);
    let found = candidates.into_iter().find(|path| job.world.files.has(path));
    found.map(|path| path.display().to_string()).ok_or_else(|| format!("there is no file `{source}` beside the playbook"))
}

fn escaped(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// The step for a file with this text: a unit where it is one.
fn holding(job: &Job<'_>, dest: &str, content: String) -> Result<Step, Why> {
    if !content.contains("secrets.")
        && let Some(step) = unit(job, dest, &content)
    {
        return Ok(step);
    }
    let step = attributes(job, Step::new("file").with("path", dest).with("content", content))?;
    Ok(match job.text(&["validate"])? {
        Some(line) => match shell::words(&line) {
            Some(words) => step.with("validate", words),
            None => return Err("its `validate` needs a shell".into()),
        },
        None => step,
    })
}

fn unit(job: &Job<'_>, dest: &str, content: &str) -> Option<Step> {
    let step = unit_file::step(dest, content)?;
    job.node(&["owner", "group", "mode"]);
    Some(step)
}

/// A file of variables made from all parameters below a path.
fn env_file(job: &Job<'_>, raw: &str, dest: &str) -> Result<Option<Step>, Why> {
    let Some(name) = super::parameters::variables(raw) else { return Ok(None) };
    let secret = match job.world.registered.borrow().get(name) {
        Some(crate::import::ansible::world::Registered::Secret(secret)) => secret.clone(),
        _ => return Ok(None),
    };
    let step = Step::new("env_file").with("path", dest).with("values", Yaml::Text(format!("{{{{ secrets.{secret} }}}}")));
    job.differs("values are quoted where their reader needs it");
    attributes(job, step).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{octal, settled};

    #[test]
    fn blocks_whose_condition_is_known_are_settled() {
        let decide = |condition: &str| match condition {
            "a is defined" => Some("true".to_owned()),
            "b is defined" => Some("false".to_owned()),
            other => Some(other.to_owned()),
        };
        let text = "1\n{% if a is defined %}\n2\n{% if b is defined %}\n3\n{% else %}\n4\n{% endif %}\n{% endif %}\n5\n";
        assert_eq!(settled(text, &decide), "1\n2\n4\n5\n");
        let text = "{% if x > 1 %}\n2\n{% endif %}\n{% if b is defined %}\n3\n{% endif %}\n";
        assert_eq!(settled(text, &decide), "{% if x > 1 %}\n2\n{% endif %}\n");
    }

    #[test]
    fn modes_are_octal_or_can_be() {
        for (theirs, ours) in [
            ("0644", Some("0644")),
            ("755", Some("0755")),
            ("u=rw,g=r,o=", Some("0640")),
            ("a=rx", Some("0555")),
            ("+x", None),
            ("g+w", None),
        ] {
            assert_eq!(octal(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
