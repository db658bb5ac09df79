//! Parts of files that belong to somebody else.

use crate::import::ansible::job::{Job, Out};
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;

/// `lineinfile`.
pub fn line(job: &Job<'_>) -> Result<Out, Why> {
    let path = job.needed(&["path", "dest", "name", "destfile"])?;
    let line = job.text(&["line", "value"])?;
    let matching = job.text(&["regexp", "regex"])?;
    let absent = job.text(&["state"])?.is_some_and(|state| state == "absent");
    if job.flag(&["backrefs"])? == Some(true) {
        return Err("`backrefs` puts together a line from what is there: write the whole line".into());
    }
    if job.flag(&["create"])? == Some(true) {
        job.judge("create", Verdict::LeftOut("`line` is for files that are there: a file of yours is a `file` step".into()));
    }
    job.judge("backup", Verdict::LeftOut("no copies are kept: the playbook is in version control".into()));
    job.judge(
        "validate",
        Verdict::LeftOut("`line` has none: put what is yours into a `file` of its own, with `validate`".into()),
    );
    for key in ["owner", "group", "mode"] {
        job.judge(key, Verdict::LeftOut("a file that belongs to somebody else keeps its owner and mode".into()));
    }
    let mut step = Step::new("line")
        .with("path", path)
        .with_some("line", line.filter(|_| !absent || matching.is_none()))
        .with_some("matching", matching);
    let after = job.text(&["insertafter"])?.filter(|at| at != "EOF");
    let before = job.text(&["insertbefore"])?;
    if before.as_deref() == Some("BOF") {
        step.set("before", "");
    } else if let Some(before) = before {
        step.set("before", before);
    }
    if let Some(after) = after {
        step.set("after", after);
    }
    if step.get("after").is_some() {
        job.differs("where no line matches `after` or `before` the step fails, and does not go to the end of the file");
    }
    if absent {
        step.set("absent", true);
    }
    Ok(step.into())
}

/// `blockinfile`.
pub fn block(job: &Job<'_>) -> Result<Out, Why> {
    let path = job.needed(&["path", "dest", "name"])?;
    let block = job.text(&["block", "content"])?.unwrap_or_default();
    let lines: Vec<&str> = block.lines().filter(|line| !line.trim().is_empty()).collect();
    let absent = job.text(&["state"])?.is_some_and(|state| state == "absent") || lines.is_empty();
    let mut unique = lines.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() != lines.len() || absent {
        return Err(
            "a block is known by its markers, which have no equivalent: use a `file` of its own, such as one in a `.d` folder"
                .into(),
        );
    }
    for key in ["insertafter", "insertbefore"] {
        if job.text(&[key])?.is_some_and(|at| at != "EOF") {
            job.judge(key, Verdict::LeftOut("new lines go to the end".into()));
        }
    }
    job.judge("create", Verdict::LeftOut("`line` is for files that are there: a file of yours is a `file` step".into()));
    job.judge("backup", Verdict::LeftOut("no copies are kept: the playbook is in version control".into()));
    job.not_needed("marker", "each line is looked for by itself");
    for key in ["owner", "group", "mode"] {
        job.judge(key, Verdict::LeftOut("a file that belongs to somebody else keeps its owner and mode".into()));
    }
    job.differs(
        "each line is looked for by itself, without markers around them: a line that is changed here stays there in its old form",
    );
    Ok(Step::new("line").with("path", path).with("lines", lines).into())
}

/// `sysctl`: a file of its own, and a program that reads it.
pub fn sysctl(job: &Job<'_>) -> Result<Out, Why> {
    let name = job.needed(&["name"])?;
    let value = job.needed(&["value"])?;
    if job.text(&["state"])?.is_some_and(|state| state == "absent") {
        return Err("remove the file that sets it".into());
    }
    job.node(&["reload", "sysctl_set"]);
    job.judge("sysctl_file", Verdict::Differs("each value is in a file of its own in `/etc/sysctl.d`".into()));
    job.not_needed("ignoreerrors", "an unknown key is an error");
    let path = format!("/etc/sysctl.d/90-{}.conf", name.replace(['.', '/'], "-"));
    let mut file = Step::new("file").with("path", path.as_str()).with("content", format!("{name} = {value}\n"));
    file.id = job.world.id(&format!("sysctl {name}"));
    let apply =
        Step::new("command").with("argv", vec!["sysctl", "--load", &path]).with("on_change", Yaml::from(vec![file.id.clone()]));
    Ok(Out::Steps(vec![file, apply]))
}
