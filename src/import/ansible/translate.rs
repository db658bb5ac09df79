//! One task becomes steps: its loop is unrolled, its module says what the steps are, its keywords what holds for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::conditions::Conditions;
use super::job::{Job, Out};
use super::keys::{self, Around};
use super::modules;
use super::tasks::{RESCUE, Task, is_tagged};
use super::world::{Layer, Registered, Scope, World};
use crate::import::document::{Content, Piece, Step};
use crate::import::files::Written;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;
use crate::playbook::expression;
use crate::playbook::node::{Key, Node, NodeKind};

/// The steps of a task, or the comment in their place; all of it is reported.
pub fn task(world: &World, task: &Task) -> Vec<Piece> {
    let around = Around { world, source: &task.source, task: keys::mark(&task.at) };
    let piece = |content| Piece { at: task.at.clone(), lines: task.lines.clone(), content };
    let keyword_keys = || task.keywords.iter().map(|(key, _)| key).filter(|key| key.text != "args");
    match steps(world, task) {
        Err(why) => {
            around.task(task, Verdict::LeftOut(why.clone()));
            for key in keyword_keys().chain(task.body.members().iter().map(|(key, _)| key)) {
                around.key(key, Verdict::LeftOut("its task is left out".into()));
            }
            remember_nothing(world, task, &why);
            vec![piece(Content::LeftOut(why))]
        }
        Ok(Became { steps, verdicts, why_none }) => {
            let why_none = why_none.unwrap_or_else(|| "there is nothing to do".to_owned());
            around.task(task, if steps.is_empty() { Verdict::NotNeeded(why_none.clone()) } else { Verdict::Translated });
            let mut notes = Vec::new();
            for (key, verdict) in verdicts {
                if let Verdict::LeftOut(why) = &verdict {
                    notes.push(format!("left out: `{}`: {why}", key.text));
                }
                if let Verdict::Differs(why) = &verdict {
                    notes.push(why.clone());
                }
                around.key(&key, verdict);
            }
            if steps.is_empty() {
                return vec![piece(Content::NotNeeded(format!("{}: {why_none}", task.name.as_deref().unwrap_or(&task.module))))];
            }
            let mut pieces: Vec<Piece> = steps.into_iter().map(|step| piece(Content::Step(Box::new(step)))).collect();
            if let Some(first) = pieces.first_mut().and_then(Piece::step_mut) {
                notes.append(&mut first.notes);
                let mut seen = BTreeSet::new();
                notes.retain(|note| seen.insert(note.clone()));
                first.notes = notes;
            }
            pieces
        }
    }
}

struct Became {
    steps: Vec<Step>,
    verdicts: Vec<(Key, Verdict)>,
    why_none: Option<String>,
}

fn steps(world: &World, task: &Task) -> Result<Became, Why> {
    if task.module == RESCUE {
        return Err("it runs after a failure only, and a failure ends the run".into());
    }
    if task.module.is_empty() {
        return Err("this task has no module".into());
    }
    if ["include_tasks", "import_tasks", "include", "include_role", "import_role"].contains(&task.module.as_str()) {
        return Err("what it includes is known in the run only, or is not beside the playbook".into());
    }
    if is_tagged(&task.body) {
        return Err("its arguments have a YAML tag".into());
    }
    let mut became = Became { steps: Vec::new(), verdicts: Vec::new(), why_none: None };
    for (scope, item) in items(world, task)? {
        let conditions = Conditions::of(world, task, &scope)?;
        if conditions.never {
            became.why_none = Some("its condition never holds here".into());
            became.verdicts.extend(task.keywords.iter().map(|(key, _)| (key.clone(), Verdict::Translated)));
            continue;
        }
        let job = Job::new(world, task, scope, conditions)?;
        if let Some(name) = job.keyword("register").and_then(Node::text).filter(|_| became.steps.is_empty()) {
            world.registered.borrow_mut().remove(name);
        }
        let module =
            modules::find(&task.module).ok_or_else(|| format!("no step type does what the module `{}` does", task.module))?;
        let mut steps = match module(&job)? {
            Out::Steps(steps) => steps,
            Out::NotNeeded(why) => {
                became.why_none = Some(why);
                Vec::new()
            }
        };
        decorate(&job, &mut steps, item.as_deref())?;
        became.verdicts.extend(job.verdicts());
        became.steps.append(&mut steps);
    }
    became.steps = merged(became.steps);
    if let Some((_, name)) = task.keywords.iter().find(|(key, _)| key.text == "register") {
        let name = name.text().unwrap_or_default().to_owned();
        let ids: Vec<String> = became.steps.iter().map(|step| step.id.clone()).collect();
        // A module that says more of itself has done so.
        world.registered.borrow_mut().entry(name).or_insert(Registered::Steps(ids));
    }
    Ok(became)
}

/// One step for all packages of a loop.
fn merged(steps: Vec<Step>) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    for mut step in steps {
        let others = |step: &Step| step.fields.iter().filter(|(key, _)| key != "names").cloned().collect::<Vec<_>>();
        let last = all.last_mut().filter(|last| {
            last.kind == "packages" && step.kind == "packages" && last.when == step.when && others(last) == others(&step)
        });
        if let (Some(last), Some(Yaml::List(more))) = (last, step.get("names").cloned()) {
            if let Some((_, Yaml::List(names))) = last.fields.iter_mut().find(|(key, _)| key == "names") {
                names.extend(more);
            }
        } else {
            step.notes.dedup();
            all.push(step);
        }
    }
    all
}

/// What a loop goes over: the scope of each item, and what to call it.
fn items(world: &World, task: &Task) -> Result<Vec<(Scope, Option<String>)>, Why> {
    let looped = task.keywords.iter().find(|(key, _)| key.text == "loop" || key.text.starts_with("with_"));
    let Some((key, node)) = looped else { return Ok(vec![(task.scope.clone(), None)]) };
    let control = |name: &str| {
        let control = task.keywords.iter().find(|(key, _)| key.text == "loop_control")?;
        control.1.member(name).and_then(Node::text)
    };
    let name = control("loop_var").unwrap_or("item");
    let literal = |written: Written| -> Result<Vec<Written>, Why> {
        match &written.node.kind {
            NodeKind::List(items) => {
                Ok(items.iter().map(|node| Written { source: Arc::clone(&written.source), node: node.clone() }).collect())
            }
            _ => Err(format!("the list of `{}` is not written down anywhere", key.text)),
        }
    };
    let unknown = || format!("the list of `{}` is not written down anywhere", key.text);
    let resolve = |node: &Node| -> Result<Written, Why> {
        match node.text() {
            Some(text) => world
                .node(
                    text.trim_end_matches("}}").trim_end().trim_end_matches("| flatten").trim_end_matches("| list"),
                    &task.scope,
                )
                .or_else(|| world.node(text, &task.scope))
                .ok_or_else(unknown),
            None => Ok(Written { source: Arc::clone(&task.source), node: node.clone() }),
        }
    };
    let is_pairs = node.text().is_some_and(|text| text.contains("dict2items"));
    let all = match key.text.as_str() {
        "loop" | "with_dict" if is_pairs || key.text == "with_dict" => {
            let stripped = node.text().map(|text| text.replace("| dict2items", "").replace("|dict2items", ""));
            let named = match &stripped {
                Some(text) => world.node(text, &task.scope).ok_or_else(unknown)?,
                None => Written { source: Arc::clone(&task.source), node: node.clone() },
            };
            named.node.members().iter().map(|(key, value)| pair(&named, key, value)).collect()
        }
        "loop" | "with_items" | "with_list" | "with_flattened" => {
            let mut all = Vec::new();
            for item in literal(resolve(node)?)? {
                // `with_items` opens one level of lists, and the lists that items name.
                let opens = key.text != "loop" && key.text != "with_list";
                let named = item
                    .node
                    .text()
                    .filter(|text| opens && text.trim().starts_with("{{"))
                    .and_then(|text| world.node(text, &task.scope));
                let item = named.unwrap_or(item);
                if opens && matches!(item.node.kind, NodeKind::List(_)) { all.extend(literal(item)?) } else { all.push(item) }
            }
            all
        }
        other => return Err(format!("`{other}` has no equivalent here: types take lists")),
    };
    if all.iter().any(|item| item.node.text().is_some_and(|text| text.trim().starts_with("{{") && text.contains("lookup"))) {
        return Err(unknown());
    }
    Ok(all
        .into_iter()
        .map(|item| {
            let called =
                item.node.text().or_else(|| item.node.member("name").or_else(|| item.node.member("key")).and_then(Node::text));
            let called = called.map(str::to_owned);
            let mut layer = Layer { is_local: true, ..Layer::default() };
            layer.vars.insert(name.to_owned(), item);
            (task.scope.with(layer), called)
        })
        .collect())
}

fn pair(named: &Written, key: &Key, value: &Node) -> Written {
    let word = |text: &str| Key { text: text.to_owned(), mark: key.mark };
    let name = Node { mark: key.mark, kind: NodeKind::Scalar { text: key.text.clone(), plain: false } };
    let node = Node { mark: key.mark, kind: NodeKind::Map(vec![(word("key"), name), (word("value"), value.clone())]) };
    Written { source: Arc::clone(&named.source), node }
}

/// What the keywords say of the steps.
fn decorate(job: &Job<'_>, steps: &mut [Step], item: Option<&str>) -> Result<(), Why> {
    let when = if steps.is_empty() { None } else { job.conditions.expression()? };
    let name = job.task.name.as_deref().map(|name| named(job, name));
    for step in steps.iter_mut() {
        step.name = match (&name, item.filter(|_| step.kind != "packages")) {
            (Some(name), Some(item)) if !item.contains("{{") && !name.contains(item) => Some(format!("{name}: {item}")),
            (name, _) => name.clone(),
        };
        step.when = match (step.when.take(), &when) {
            (Some(own), Some(when)) => Some(format!("({when}) and {own}")),
            (own, when) => own.or_else(|| when.clone()),
        };
        step.may_fail |= job.task.outer.ignore_errors;
        let like = step.name.clone().unwrap_or_else(|| format!("{} {}", step.kind, item.unwrap_or_default()));
        if step.id.is_empty() {
            step.id = job.world.id(&like);
        }
    }
    for (key, value) in &job.task.keywords {
        if key.text != "args" {
            keyword(job, key, value, steps)?;
        }
    }
    if !job.task.outer.environment.is_empty() && steps.iter().any(|step| step.kind != "command") {
        job.differs("the block's `environment` is for `command` steps only here; a top-level `env:` is for all");
    }
    Ok(())
}

/// A name is text here, so an expression in it is shown without its braces.
fn named(job: &Job<'_>, name: &str) -> String {
    let text = crate::import::jinja::text(name, &job.world.names(&job.scope)).unwrap_or_else(|_| name.to_owned());
    let Ok(pieces) = expression::pieces(&text) else { return text.replace("{{", "") };
    pieces
        .into_iter()
        .map(|piece| match piece {
            expression::Piece::Literal(text) | expression::Piece::Expression(text) => text,
        })
        .collect()
}

fn keyword(job: &Job<'_>, key: &Key, value: &Node, steps: &mut [Step]) -> Result<(), Why> {
    if job.has_taken(&key.text) {
        job.judge(&key.text, Verdict::Translated);
        return Ok(());
    }
    let verdict = match key.text.as_str() {
        "become" if keys::is_false(value) => {
            Verdict::Differs("ran as whoever logs in; the agent is root unless `run_as` or `owner` says otherwise".into())
        }
        "name" | "when" | "become" | "become_user" | "vars" | "loop" | "loop_control" | "listen" | "register" => {
            Verdict::Translated
        }
        text if text.starts_with("with_") => Verdict::Translated,
        "notify" => {
            let names = match &value.kind {
                NodeKind::List(items) => items.iter().filter_map(Node::text).map(str::to_owned).collect(),
                _ => value.text().map(str::to_owned).into_iter().collect::<Vec<_>>(),
            };
            steps.iter_mut().for_each(|step| step.notify.clone_from(&names));
            Verdict::Translated
        }
        "ignore_errors" => {
            steps.iter_mut().for_each(|step| step.may_fail = keys::is_true(value));
            Verdict::Translated
        }
        "failed_when" if keys::is_false(value) => {
            steps.iter_mut().for_each(|step| step.may_fail = true);
            Verdict::Translated
        }
        "failed_when" => Verdict::LeftOut("what a failure is, the step decides; a `command` has `exit_codes`".into()),
        "changed_when" => Verdict::NotNeeded("what a change is, the step finds out by looking again".into()),
        "retries" => {
            if let Some(count) = value.text().filter(|text| text.parse::<u32>().is_ok()) {
                steps.iter_mut().for_each(|step| step.retries = Some(count.to_owned()));
                Verdict::Translated
            } else {
                Verdict::LeftOut("a number is needed here".into())
            }
        }
        "until" => match value.text().filter(|text| {
            ["is succeeded", "is success", "is not failed", ".rc == 0", "is successful"]
                .iter()
                .any(|end| text.trim_end().ends_with(end))
        }) {
            Some(_) => {
                if job.keyword("retries").is_none() {
                    steps.iter_mut().for_each(|step| step.retries = Some("3".into()));
                }
                Verdict::NotNeeded("`retries` repeats a step until it has succeeded".into())
            }
            None => Verdict::LeftOut(
                "a step is repeated until it succeeds, not until an expression holds; `health` waits for an application".into(),
            ),
        },
        "delay" => Verdict::NotNeeded("the agent paces itself between tries".into()),
        "environment" => {
            Verdict::LeftOut("`command` steps have an `env`; for all other steps there is the top-level `env:`".into())
        }
        "delegate_to" => match value.text() {
            Some("localhost" | "127.0.0.1") => {
                Verdict::Differs("ran on the machine that Ansible runs on, and now on the instance".into())
            }
            _ => return Err("it runs on another machine (`delegate_to`)".into()),
        },
        "async" | "poll" => Verdict::LeftOut("a step is waited for; steps with `needs` run side by side".into()),
        "timeout" => Verdict::LeftOut("give the step a `timeout:` of its own".into()),
        other => keys::of_no_use(other).unwrap_or_else(|| Verdict::LeftOut("a step here has no equivalent for it".into())),
    };
    job.judge(&key.text, verdict);
    Ok(())
}

/// Whoever asks for what this task would have registered is told why there is nothing.
fn remember_nothing(world: &World, task: &Task, why: &str) {
    if let Some(name) = task.keywords.iter().find(|(key, _)| key.text == "register").and_then(|(_, name)| name.text()) {
        let why = format!("the task that registers it was left out ({why})");
        world.registered.borrow_mut().insert(name.to_owned(), Registered::Nothing(why));
    }
}
