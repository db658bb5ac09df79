//! What a playbook of ours does not do as a step: say something, find something out, name something.

use crate::import::ansible::job::{Job, Out};
use crate::import::ansible::keys;
use crate::import::ansible::world::Registered;
use crate::import::files::Written;
use crate::import::jinja::Why;

/// `debug`, `setup` and their like.
pub fn nothing(job: &Job<'_>) -> Result<Out, Why> {
    job.node(&[
        "_raw_params",
        "msg",
        "var",
        "verbosity",
        "filter",
        "gather_subset",
        "data",
        "manager",
        "timeout",
        "delay",
        "sleep",
        "connect_timeout",
    ]);
    job.conditions.take_changed();
    let why = match job.task.module.as_str() {
        "debug" => "it only says something: a run reports every step by itself",
        "meta" => {
            let what = job.text(&["_raw_params"])?.unwrap_or_default();
            return match what.as_str() {
                "flush_handlers" | "noop" | "refresh_inventory" | "clear_facts" => {
                    Ok(Out::NotNeeded("what reacts to a change says so itself (`restart_on`, `on_change`)".into()))
                }
                other => Err(format!("`meta: {other}` has no equivalent")),
            };
        }
        "wait_for_connection" | "ping" => "the agent runs on the machine",
        _ => "what expressions ask for is always known",
    };
    Ok(Out::NotNeeded(why.into()))
}

/// `set_fact`: a variable from here on.
pub fn set_fact(job: &Job<'_>) -> Result<Out, Why> {
    if job.keyword("when").is_some() || !job.task.outer.whens.is_empty() {
        return Err("a variable is fixed before the run: make two, or one expression with `if` and `else`".into());
    }
    if job.keyword("loop").is_some() {
        return Err("a variable that a loop puts together: write it out".into());
    }
    let members: Vec<_> = job.task.body.members().to_vec();
    for (key, value) in members {
        if job.node(&[&key.text]).is_none() || key.text == "cacheable" {
            continue;
        }
        // A name made of itself keeps what it was.
        job.world.value(&value, &job.scope).map_err(|why| format!("`{}`: {why}", key.text))?;
        let written = Written { source: std::sync::Arc::clone(&job.task.source), node: value };
        job.world.set.borrow_mut().insert(key.text, written);
    }
    if let Some(name) = job.keyword("register").and_then(|node| node.text()) {
        job.world.registered.borrow_mut().insert(name.to_owned(), Registered::Nothing("it sets variables".into()));
    }
    Ok(Out::NotNeeded("a variable is in `vars:`, or in the expressions that use it".into()))
}

/// `include_vars`: a file that is named literally.
pub fn include_vars(job: &Job<'_>) -> Result<Out, Why> {
    let file = job.needed(&["_raw_params", "file"])?;
    if file.contains("{{") {
        return Err("which file it is, is known in the run only: environments are files of variables given with `--vars`".into());
    }
    if job.keyword("when").is_some() {
        return Err("a variable is fixed before the run: environments are files of variables given with `--vars`".into());
    }
    let folders = job.scope.folders.iter();
    let candidates: Vec<_> = folders.flat_map(|folder| [folder.join("vars").join(&file), folder.join(&file)]).collect();
    let path = job.world.files.first(&candidates).ok_or_else(|| format!("there is no file `{file}` beside the playbook"))?;
    let written = keys::file(job.world, &path).ok_or_else(|| format!("there is nothing in `{file}`"))?;
    for (name, value) in keys::layer(job.world, &written.node, &written.source, false).vars {
        job.world.set.borrow_mut().insert(name, value);
    }
    Ok(Out::NotNeeded("its variables are in `vars:`".into()))
}
