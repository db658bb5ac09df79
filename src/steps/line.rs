//! Single lines of a file that belongs to somebody else.

use regex_lite::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::compare::FileChange;
use crate::host::files::{FileKind, NewFile};
use crate::host::{Facts, Host};
use crate::step::fields::AbsolutePath;
use crate::step::{Finding, Step, Touches};

/// Single lines of a file that belongs to somebody else; its owner, mode and other lines stay. Use `file` for a whole file.
///
/// ```yaml
/// - line: { path: /etc/ssh/sshd_config, line: PermitRootLogin no, matching: "^#?PermitRootLogin " }
/// - line: { path: /etc/hosts, lines: [10.0.0.5 db, 10.0.0.6 cache] }
/// - line: { path: /etc/fstab, matching: "\\sswap\\s", absent: true }
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// The fields are the words of the playbook.
#[allow(clippy::struct_field_names)]
pub struct Line {
    /// Which file. It must exist.
    path: AbsolutePath,
    /// The line as it shall be, without its line break.
    line: Option<String>,
    /// Several such lines.
    #[serde(default)]
    lines: Vec<String>,
    /// A regular expression: afterwards exactly one line matches, and it is `line`. Of several that match, the first is replaced and
    /// the others go. With `absent`, every line that matches goes.
    matching: Option<String>,
    /// A regular expression: a new line goes below the last line that matches; at the end unless told.
    after: Option<String>,
    /// A regular expression: a new line goes above the first line that matches.
    before: Option<String>,
    /// The lines must not be there.
    #[serde(default)]
    absent: bool,
}

/// The expressions, ready to use.
#[derive(Default)]
struct Expressions {
    matching: Option<Regex>,
    after: Option<Regex>,
    before: Option<Regex>,
}

impl Line {
    fn wanted(&self) -> impl Iterator<Item = &String> {
        self.line.iter().chain(&self.lines)
    }

    fn expressions(&self) -> Result<Expressions> {
        let compile = |name: &str, text: &Option<String>| {
            let judge =
                |error: regex_lite::Error| Error::new(Kind::Playbook, format!("`{name}` is no regular expression: {error}"));
            text.as_ref().map(|text| Regex::new(text).map_err(judge)).transpose()
        };
        Ok(Expressions {
            matching: compile("matching", &self.matching)?,
            after: compile("after", &self.after)?,
            before: compile("before", &self.before)?,
        })
    }

    /// The whole text as it shall be.
    fn changed(&self, text: &str) -> Result<String> {
        let expressions = self.expressions()?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let matches = |line: &str| expressions.matching.as_ref().is_some_and(|expression| expression.is_match(line));
        if self.absent {
            lines.retain(|line| !matches(line) && !self.wanted().any(|wanted| wanted == line));
        } else {
            for wanted in self.wanted() {
                match lines.iter().position(|line| matches(line)) {
                    Some(first) => {
                        let mut index = 0;
                        lines.retain(|line| {
                            index += 1;
                            index - 1 == first || !matches(line)
                        });
                        if let Some(line) = lines.get_mut(first) {
                            line.clone_from(wanted);
                        }
                    }
                    None if lines.contains(wanted) => {}
                    None => {
                        let at = self.place(&lines, &expressions)?;
                        lines.insert(at, wanted.clone());
                    }
                }
            }
        }
        // Untouched lines keep the file's last line as it was, with or without a line break.
        let unchanged = lines.iter().map(String::as_str).eq(text.lines());
        if unchanged {
            return Ok(text.to_owned());
        }
        let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Ok(lines.iter().flat_map(|line| [line.as_str(), ending]).collect())
    }

    /// Where a new line goes.
    fn place(&self, lines: &[String], expressions: &Expressions) -> Result<usize> {
        let missing = |name: &str, text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            Error::new(Kind::Failed, format!("no line of `{}` matches `{name}` (`{text}`)", self.path))
        };
        if let Some(after) = &expressions.after {
            let found = lines.iter().rposition(|line| after.is_match(line));
            return found.map(|index| index + 1).ok_or_else(|| missing("after", &self.after));
        }
        if let Some(before) = &expressions.before {
            return lines.iter().position(|line| before.is_match(line)).ok_or_else(|| missing("before", &self.before));
        }
        Ok(lines.len())
    }

    /// The file as it shall be, with the owner and mode it has; `None` when there is no file and none is needed.
    fn wish(&self, facts: &Facts) -> Result<Option<NewFile>> {
        let Some(there) = facts.look(&self.path)? else {
            let gone = Error::new(Kind::Missing, format!("there is no file `{}`", self.path));
            return if self.absent { Ok(None) } else { Err(gone.hint("make it with a `file` step before this one")) };
        };
        if !matches!(there.kind, FileKind::File(_)) {
            return Err(Error::new(Kind::Failed, format!("`{}` is there and no ordinary file", self.path))
                .hint("name the file a link leads to"));
        }
        let text = facts.read(&self.path)?.unwrap_or_default();
        let text = String::from_utf8(text).map_err(|_| Error::new(Kind::Failed, format!("`{}` is no UTF-8 text", self.path)))?;
        let name = |id: u32, name: Option<String>| {
            name.ok_or_else(|| Error::new(Kind::Missing, format!("`{}` belongs to id {id}, which has no name", self.path)))
        };
        let owner = name(there.uid, facts.user_by_id(there.uid)?.map(|account| account.name))?;
        let group = name(there.gid, facts.group_by_id(there.gid)?.map(|group| group.name))?;
        Ok(Some(NewFile {
            path: self.path.as_path().to_owned(),
            content: self.changed(&text)?.into(),
            owner: Some(owner),
            group: Some(group),
            mode: there.mode,
        }))
    }
}

impl Step for Line {
    const KIND: &'static str = "line";
    const EXAMPLE: &'static str = r#"steps:
  - line: { path: /etc/hosts, line: 10.0.0.7 database.internal, matching: "database\\.internal$" }
"#;
    type Change = FileChange;

    fn touches(&self) -> Touches {
        Touches::nothing().read_path(&*self.path).write_path(&*self.path)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let expressions = self.expressions().unwrap_or_else(|error| {
            problems.push(error.to_string());
            Expressions::default()
        });
        let count = self.wanted().count();
        if count == 0 && !(self.absent && self.matching.is_some()) {
            problems.push("give `line`, `lines`, or with `absent` at least `matching`".into());
        }
        if self.wanted().any(|line| line.contains(['\n', '\r'])) {
            problems.push("a line holds a line break; list several lines under `lines`".into());
        }
        if let (Some(matching), false) = (&expressions.matching, self.absent) {
            if count > 1 {
                problems.push("`matching` stands for one line; use a step for each".into());
            } else if !self.wanted().all(|line| matching.is_match(line)) {
                problems.push("`line` must itself match `matching`, or every run would change the file again".into());
            }
        }
        if self.after.is_some() && self.before.is_some() {
            problems.push("`after` and `before` exclude each other".into());
        }
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<FileChange>> {
        let mut finding = Finding::done();
        if let Some(wish) = self.wish(facts)? {
            facts.compare_into(&wish, &mut finding)?;
            finding.fingerprint = Some(wish.fingerprint());
        }
        Ok(finding)
    }

    fn apply(&self, _: &FileChange, host: &Host) -> Result<()> {
        match self.wish(host)? {
            Some(wish) => host.write_file(&wish),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fakes::Machine;

    fn line(rest: &str) -> Line {
        serde_json::from_str(&format!(r#"{{"path": "/etc/x", {rest}}}"#)).unwrap()
    }

    #[test]
    fn lines_are_added_replaced_and_removed() {
        for (rest, before, after) in [
            (r#""line": "b""#, "a\n", "a\nb\n"),
            (r#""line": "b""#, "a\nb", "a\nb"),
            (r#""lines": ["x", "y"]"#, "", "x\ny\n"),
            (r#""line": "Root no", "matching": "^#?Root""#, "#Root yes\nz\nRoot maybe\n", "Root no\nz\n"),
            (r#""line": "Root no", "matching": "^#?Root""#, "z\n", "z\nRoot no\n"),
            (r#""line": "new", "after": "^s""#, "s1\ns2\nend\n", "s1\ns2\nnew\nend\n"),
            (r#""line": "new", "before": "^s""#, "a\ns1\ns2\n", "a\nnew\ns1\ns2\n"),
            (r#""matching": "swap", "absent": true"#, "a swap\nb\nswap\n", "b\n"),
            (r#""line": "b", "absent": true"#, "a\nb\nb c\n", "a\nb c\n"),
            (r#""line": "b""#, "a\r\n", "a\r\nb\r\n"),
        ] {
            let step = line(rest);
            assert_eq!(step.problems(), Vec::<String>::new(), "{rest}");
            assert_eq!(step.changed(before).unwrap(), after, "{rest}");
            assert_eq!(step.changed(after).unwrap(), after, "again: {rest}");
        }
        assert!(line(r#""line": "x", "after": "nowhere""#).changed("a\n").is_err());
    }

    #[test]
    fn what_would_never_settle_is_refused() {
        for rest in [
            r#""matching": "x""#,
            r#""line": "y", "matching": "^x""#,
            r#""lines": ["x", "xx"], "matching": "x""#,
            r#""line": "a\nb""#,
            r#""line": "x", "after": "a", "before": "b""#,
            r#""line": "x", "matching": "(""#,
        ] {
            assert_eq!(line(rest).problems().len(), 1, "{rest}: {:?}", line(rest).problems());
        }
    }

    #[test]
    fn the_file_keeps_its_mode() {
        let machine = Machine::new();
        let path = machine.write("conf", "a\n");
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        machine.write("etc/passwd", &format!("me:x:{uid}:{gid}:::\n"));
        machine.write("etc/group", &format!("us:x:{gid}:\n"));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let step: Line = serde_json::from_str(&format!(r#"{{"path": "{}", "line": "b"}}"#, path.display())).unwrap();
        let found = step.check(&machine.facts()).unwrap();
        assert!(found.changes[0].change.to_string().ends_with("(2 lines, me:us 0640)"), "{}", found.changes[0].change);
        step.apply(&found.changes[0].change, &machine.host()).unwrap();
        assert_eq!(machine.content("conf"), "a\nb\n");
        assert_eq!(machine.facts().look(&path).unwrap().unwrap().mode, 0o640);
        assert!(step.check(&machine.facts()).unwrap().is_done());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(step.check(&machine.facts()).unwrap_err().kind(), Kind::Missing);
    }
}
