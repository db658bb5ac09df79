//! Programs: what has a word of ours gets it, what only looks becomes a query, everything else is a `command` with its guard.

use crate::import::ansible::conditions::Special;
use crate::import::ansible::job::{Job, Out};
use crate::import::ansible::keys;
use crate::import::ansible::modules::parameters;
use crate::import::ansible::world::Registered;
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::shell::{self, Known};
use crate::import::yaml::Yaml;
use crate::playbook::node::Node;

/// `command`, `shell`, `raw`.
pub fn command(job: &Job<'_>) -> Result<Out, Why> {
    let is_shell = job.task.module != "command";
    let argv = job.list(&["argv"])?;
    let line = job.text(&["_raw_params", "cmd"])?;
    let words = argv.clone().or_else(|| line.as_deref().and_then(shell::words));
    if argv.is_none() && line.as_deref().unwrap_or_default().trim().is_empty() {
        return Err("it names no program".into());
    }
    job.node(&["warn", "strip_empty_ends", "stdin_add_newline", "expand_argument_vars"]);
    if let Some(out) = parameters::command(job, words.as_deref().unwrap_or_default(), line.as_deref().unwrap_or_default())? {
        return Ok(out);
    }
    let has_options =
        ["chdir", "removes", "stdin"].iter().any(|key| job.node(&[key]).is_some()) || job.keyword("environment").is_some();
    let only_looks = job.keyword("changed_when").is_some_and(keys::is_false);
    if let Some(words) = words.as_deref().filter(|_| !has_options && !only_looks)
        && let Some(known) = shell::known(words)
    {
        return in_our_words(job, known);
    }
    let program = match (words, is_shell || argv.is_some()) {
        (Some(words), _) => Step::new("command").with("argv", words),
        (None, _) => shell_script(job, line.unwrap_or_default())?,
    };
    finished(job, program, only_looks)
}

fn in_our_words(job: &Job<'_>, known: Known) -> Result<Out, Why> {
    let steps = match known {
        Known::Anyway(why) => return Ok(Out::NotNeeded(why.to_owned())),
        Known::Steps(steps) => steps,
    };
    job.node(&["creates"]);
    let changed = job.conditions.take_changed();
    let account = job.account()?;
    let steps = steps.into_iter().map(|mut step| {
        if step.kind == "service" {
            step.follow("restart_on", &changed);
        } else if account.is_some() && step.kind != "packages" {
            step = step.with_some("owner", account.clone());
        }
        step
    });
    Ok(Out::Steps(steps.collect()))
}

/// What only a shell understands; ours stops at the first failure, Ansible's does not.
fn shell_script(job: &Job<'_>, line: String) -> Result<Step, Why> {
    let shell = job.text(&["executable"])?;
    let simple = !line.trim().contains(['\n', ';', '$', '|', '&']);
    Ok(match shell.as_deref() {
        None | Some("/bin/sh") if simple => Step::new("command").with("script", line),
        None => Step::new("command").with("script", line).with("interpreter", vec!["/bin/sh", "-c"]),
        Some(shell) => Step::new("command").with("script", line).with("interpreter", vec![shell, "-c"]),
    })
}

/// The guard, the place and the account.
fn finished(job: &Job<'_>, mut step: Step, only_looks: bool) -> Result<Out, Why> {
    let tolerant =
        job.keyword("failed_when").is_some_and(keys::is_false) || job.keyword("ignore_errors").is_some_and(keys::is_true);
    step = step.with_some("stdin", job.text(&["stdin"])?).with_some("directory", job.text(&["chdir"])?);
    job.node(&["executable"]);
    step = step.with_some("run_as", job.account()?);
    let mut env = Vec::new();
    for node in job.task.outer.environment.iter().chain(job.takes("environment")) {
        if let Yaml::Map(members) = job.world.value(node, &job.scope)? {
            env.extend(members);
        }
    }
    if !env.is_empty() {
        step.set("env", Yaml::Map(env));
    }
    if only_looks {
        job.takes("changed_when");
        return Ok(looking(job, step, tolerant));
    }
    let changed = job.conditions.take_changed();
    let creates = job.text(&["creates"])?.filter(|path| !path.contains('*'));
    let removes = job.text(&["removes"])?;
    match (creates, removes) {
        (Some(path), None) => step.set("creates", path),
        (None, Some(path)) => {
            step.set("only_if", Yaml::from(vec!["test", "-e", &path]));
        }
        (Some(_), Some(_)) => return Err("`creates` and `removes` are two guards, and a step has one".into()),
        (None, None) if !changed.is_empty() => step.follow("on_change", &changed),
        (None, None) => match job.conditions.take_guard() {
            Some(Special::Absent(path)) => {
                job.differs("it must have made this path when it has run: else the step has failed");
                step.set("creates", path);
            }
            Some(Special::Guard(key, program)) => {
                job.differs("the guard is asked again afterwards: it must then say that there is nothing left to do");
                step.set(key, program);
            }
            _ => {
                step.set("always", true);
                job.differs(
                    "nothing tells whether it has to run, so it runs each time: give it `creates`, `unless` or `only_if`",
                );
            }
        },
    }
    if tolerant {
        job.takes("failed_when");
        job.takes("ignore_errors");
        step.may_fail = true;
    }
    remember(job, &mut step);
    Ok(step.into())
}

/// A program that changes nothing.
fn looking(job: &Job<'_>, mut step: Step, tolerant: bool) -> Out {
    job.node(&["creates", "removes"]);
    let name = job.keyword("register").and_then(Node::text).unwrap_or("query");
    step.id = job.world.id(name);
    let program = step.get("argv").or_else(|| step.get("script")).cloned().unwrap_or_else(|| Yaml::from(""));
    step.set("query", true);
    if tolerant {
        job.takes("failed_when");
        job.takes("ignore_errors");
        step.set("exit_codes", Yaml::List(["0", "1"].map(|code| Yaml::Word(code.into())).to_vec()));
        job.differs("it may end with 0 or 1; anything else is an error");
    } else if job.keyword("failed_when").is_some() {
        job.judge("failed_when", Verdict::LeftOut("give it `exit_codes`".into()));
    }
    step.is_question = true;
    let query = Registered::Query { id: step.id.clone(), program, may_fail: tolerant };
    job.world.registered.borrow_mut().insert(name.to_owned(), query);
    step.into()
}

fn remember(job: &Job<'_>, step: &mut Step) {
    if let Some(name) = job.keyword("register").and_then(Node::text) {
        step.id = job.world.id(job.task.name.as_deref().unwrap_or(name));
    }
}

/// `script`: a file beside the playbook.
pub fn script(job: &Job<'_>) -> Result<Out, Why> {
    let line = job.needed(&["_raw_params", "cmd"])?;
    let words = shell::words(&line).ok_or("its arguments need a shell")?;
    let (file, arguments) = words.split_first().ok_or("it names no script")?;
    let path = super::files::beside(job, file, "files")?;
    let name = file.rsplit('/').next().unwrap_or(file);
    let there = format!("/usr/local/lib/imported/{name}");
    let mut place = Step::new("file").with("path", there.as_str()).with("source", path).with("mode", "0755");
    place.id = job.world.id(&format!("script {name}"));
    let folder = Step::new("directory").with("path", "/usr/local/lib/imported");
    let argv: Vec<String> = std::iter::once(there).chain(arguments.iter().cloned()).collect();
    let run = finished(job, Step::new("command").with("argv", argv), false)?;
    match run {
        Out::Steps(steps) => Ok(Out::Steps([vec![folder, place], steps].concat())),
        none @ Out::NotNeeded(_) => Ok(none),
    }
}

/// `stat`: whether there is something.
pub fn stat(job: &Job<'_>) -> Result<Out, Why> {
    let path = job.needed(&["path", "dest", "name"])?;
    job.node(&["follow", "get_checksum", "get_mime", "get_attributes", "checksum_algorithm"]);
    let Some(name) = job.keyword("register").and_then(Node::text) else {
        return Ok(Out::NotNeeded("nobody asks for what it finds".into()));
    };
    let mut step = Step::new("command").with("argv", vec!["test", "-e", &path]).with("query", true);
    step.set("exit_codes", Yaml::List(["0", "1"].map(|code| Yaml::Word(code.into())).to_vec()));
    step.id = job.world.id(name);
    step.is_question = true;
    job.world.registered.borrow_mut().insert(name.to_owned(), Registered::Stat { id: step.id.clone(), path });
    Ok(step.into())
}
