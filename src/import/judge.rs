//! What is written is what `agent check` accepts: a step that it refuses becomes a comment with the reason.

use super::document::{Content, Document, FOLLOWING};
use super::report::{Item, Report, Verdict};
use crate::host::documents::Beside;
use crate::playbook::{Playbook, Position, Problem};

/// What the text is called while it is judged.
const LABEL: &str = "the playbook";

/// Leaves out steps until nothing is wrong any more, and says so. Gives the text.
///
/// # Errors
/// A problem that no step is to blame for.
pub fn settle(document: &mut Document, beside: &Beside, report: &mut Report) -> Result<String, Problem> {
    // Every round takes at least one step, so this ends.
    loop {
        drop_lost_ids(document, report);
        let written = document.write();
        let Err(problems) = Playbook::of_text(LABEL, &written.text, beside.clone()) else { return Ok(written.text) };
        let before = remaining(document);
        for problem in &problems.0 {
            let Some(index) = guilty(problem, document, &written.starts) else { continue };
            let why = match &problem.hint {
                Some(hint) => format!("{} ({hint})", problem.message),
                None => problem.message.clone(),
            };
            if let Some(piece) = document.pieces.get_mut(index).filter(|piece| piece.step().is_some()) {
                report.leave_out(&piece.at, &why);
                piece.content = Content::LeftOut(why);
            }
        }
        if remaining(document) == before
            && !problems.0.iter().any(|problem| drop_member(problem, document, report, &written.text))
        {
            return Err(problems
                .0
                .into_iter()
                .next()
                .unwrap_or_else(|| Problem::nowhere("the playbook is refused without a reason")));
        }
    }
}

/// Removes the variable, secret or other member of a block at this place; the steps that use it are refused in the next round.
fn drop_member(problem: &Problem, document: &mut Document, report: &mut Report, text: &str) -> bool {
    let Some(line) = problem.position.as_ref().filter(|at| at.file.as_ref() == LABEL).map(|at| at.line) else { return false };
    let above: Vec<&str> = text.lines().take(line).collect();
    let is_member = |line: &&&str| line.starts_with("  ") && !line.starts_with("   ");
    let Some(name) = above.iter().rev().find(is_member).and_then(|line| line.trim().split(':').next()) else { return false };
    let name = name.trim_matches('"');
    let found = document.vars.shift_remove(name).is_some() || document.secrets.shift_remove(name).is_some();
    if found {
        report.leave_out_key(name, &problem.message);
        document.head.push(format!("Left out: `{name}`: {}", problem.message));
        return true;
    }
    let is_in = |members: &[(String, super::yaml::Yaml)]| members.iter().any(|(key, _)| key == name);
    let (in_logs, in_env) = (is_in(&document.logs), is_in(&document.env));
    if in_logs {
        document.logs.clear();
    } else if in_env {
        document.env.retain(|(key, _)| key != name);
    }
    if in_logs || in_env {
        document.head.push(format!("Left out: `{name}`: {}", problem.message));
    }
    in_logs || in_env
}

fn remaining(document: &Document) -> usize {
    document.pieces.iter().filter(|piece| piece.step().is_some()).count()
}

/// The step that a problem is about: the one at its line, or the one whose template it is in.
fn guilty(problem: &Problem, document: &Document, starts: &[usize]) -> Option<usize> {
    let Position { file, line, .. } = problem.position.as_ref()?;
    if file.as_ref() == LABEL {
        return starts.iter().rposition(|start| start <= line);
    }
    document.pieces.iter().position(|piece| {
        let template = piece.step().and_then(|step| step.text("template"));
        template.is_some_and(|template| file.ends_with(template))
    })
}

/// A step follows only steps that are there; one that is left with none to follow never runs.
fn drop_lost_ids(document: &mut Document, report: &mut Report) {
    loop {
        let ids: Vec<String> = document.pieces.iter().filter_map(|piece| piece.step()).map(|step| step.id.clone()).collect();
        let mut changed = false;
        for piece in &mut document.pieces {
            let at = piece.at.clone();
            let Content::Step(step) = &mut piece.content else { continue };
            let mut lost = None;
            for key in FOLLOWING {
                let followed = step.followed(key);
                let kept: Vec<String> = followed.iter().filter(|id| ids.contains(id)).cloned().collect();
                if kept.len() == followed.len() {
                    continue;
                }
                changed = true;
                if kept.is_empty() {
                    step.remove(key);
                    lost = (key == "on_change").then(|| "what it reacts to was left out".to_owned());
                } else {
                    step.set(key, kept);
                }
                let item = Item {
                    at: at.clone(),
                    excerpt: String::new(),
                    what: format!("`{key}`"),
                    task: at.clone(),
                    is_task: false,
                    verdict: Verdict::Differs("some of the tasks it reacts to were left out".into()),
                };
                report.add(item);
            }
            if let Some(why) = lost {
                report.leave_out(&at, &why);
                piece.content = Content::LeftOut(why);
            }
        }
        if !changed {
            return;
        }
    }
}
