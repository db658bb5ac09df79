//! What waits, and what stops.

use crate::import::ansible::job::{Job, Out};
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;
use crate::playbook::node::{Node, NodeKind};

/// `uri`: whether an application answers.
pub fn uri(job: &Job<'_>) -> Result<Out, Why> {
    let url = job.needed(&["url"])?;
    let method = job.text(&["method"])?.unwrap_or_else(|| "GET".into());
    if !["GET", "HEAD"].contains(&method.to_ascii_uppercase().as_str()) || job.node(&["body", "src"]).is_some() {
        return Err(format!("`{method}` changes something elsewhere: a `command` with a guard can do that"));
    }
    job.not_needed("return_content", "`contains` looks into the page");
    job.not_needed("follow_redirects", "a redirect is an answer");
    if job.flag(&["validate_certs"])? == Some(false) {
        job.judge("validate_certs", Verdict::LeftOut("certificates are always verified".into()));
    }
    let status = job.list(&["status_code"])?.unwrap_or_default();
    let mut step = Step::new("health").with("http", url);
    match status.as_slice() {
        [] => {}
        [one] if one == "200" => {}
        [one] => step.set("status", Yaml::Word(one.clone())),
        _ => job.judge("status_code", Verdict::Differs("any answer from 200 to 399 is one".into())),
    }
    if let Some(timeout) = job.text(&["timeout"])? {
        step.set("request_timeout", format!("{timeout}s"));
    }
    step.set("ready_within", ramp(job, "30s")?);
    until(job)?;
    Ok(step.into())
}

/// How long `retries` times `delay` is.
fn ramp(job: &Job<'_>, alone: &str) -> Result<String, Why> {
    let number = |name: &str, unless_told: u64| -> Result<u64, Why> {
        match job.takes(name) {
            None => Ok(unless_told),
            Some(node) => {
                let value = job.world.value(node, &job.scope)?;
                value.text().and_then(|text| text.parse().ok()).ok_or_else(|| format!("`{name}` is not a number"))
            }
        }
    };
    let repeats = job.keyword("until").is_some() || job.keyword("retries").is_some();
    let seconds = number("retries", 3)?.saturating_mul(number("delay", 5)?);
    Ok(if repeats { span(seconds.max(1)) } else { alone.to_owned() })
}

fn span(seconds: u64) -> String {
    if seconds.is_multiple_of(60) { format!("{}m", seconds / 60) } else { format!("{seconds}s") }
}

/// `until` must ask for what `health` asks for.
fn until(job: &Job<'_>) -> Result<(), Why> {
    let Some(node) = job.takes("until") else { return Ok(()) };
    let text = node.text().unwrap_or_default().replace(' ', "");
    let usual = [
        ".status==200",
        "issucceeded",
        "isnotfailed",
        "issuccess",
        ".status|int==200",
        ".status|default(0)==200",
        "isnotdefined",
    ];
    if usual.iter().any(|end| text.contains(end)) && !text.contains("and") {
        return Ok(());
    }
    let named = text.split(".status==").nth(1).and_then(|code| code.parse::<u16>().ok());
    if named.is_some() {
        job.differs("which status is healthy, `status` says");
        return Ok(());
    }
    Err("`until` asks for more than a healthy answer: `contains` looks for a text in the page".into())
}

/// `wait_for`: a port, or a file.
pub fn wait_for(job: &Job<'_>) -> Result<Out, Why> {
    let timeout = job.text(&["timeout"])?.unwrap_or_else(|| "300".into());
    let seconds: u64 = timeout.parse().map_err(|_| "`timeout` is not a number".to_owned())?;
    let state = job.text(&["state"])?.unwrap_or_else(|| "started".into());
    job.not_needed("delay", "it begins to look at once");
    job.not_needed("sleep", "it looks ten times a second");
    job.not_needed("connect_timeout", "one try may take two seconds");
    job.not_needed("msg", "the error says what did not come");
    if let Some(port) = job.text(&["port"])? {
        if state != "started" && state != "present" {
            return Err(format!("waiting for `{state}` has no equivalent"));
        }
        let host = job.text(&["host"])?.filter(|host| host != "0.0.0.0").unwrap_or_else(|| "127.0.0.1".into());
        return Ok(Step::new("health").with("tcp", format!("{host}:{port}")).with("ready_within", span(seconds)).into());
    }
    if job.node(&["search_regex"]).is_some() {
        return Err("waiting for a line of a file has no equivalent".into());
    }
    if let Some(path) = job.text(&["path"])? {
        let test = match state.as_str() {
            "absent" => vec!["test", "!", "-e", &path],
            _ => vec!["test", "-e", &path],
        };
        return Ok(Step::new("health").with("command", test).with("ready_within", span(seconds)).into());
    }
    Err("it waits for time to pass: a `health` step waits for what is needed".into())
}

/// `pause`.
pub fn pause(job: &Job<'_>) -> Result<Out, Why> {
    if job.node(&["prompt"]).is_some() {
        return Err("nobody is there to answer".into());
    }
    let minutes = job.text(&["minutes"])?;
    let (amount, factor) = minutes.map_or((job.text(&["seconds"])?, 1), |minutes| (Some(minutes), 60));
    let amount: u64 = amount.unwrap_or_default().parse().map_err(|_| "how long it waits is not a number".to_owned())?;
    job.differs("a pause in every run: a `health` step waits for what it is meant for, and no longer");
    Ok(Step::new("command").with("argv", vec!["sleep".to_owned(), (amount * factor).to_string()]).with("always", true).into())
}

/// `assert`: a step that fails when one of its conditions does not hold.
pub fn assert(job: &Job<'_>) -> Result<Out, Why> {
    let node = job.node(&["that"]).ok_or("`that` is missing")?;
    let texts: Vec<&Node> = match &node.kind {
        NodeKind::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut all = Vec::new();
    for text in texts {
        let condition = job.world.condition(text.text().unwrap_or_default(), &job.scope)?;
        if condition != "true" {
            all.push(condition);
        }
    }
    job.node(&["success_msg", "quiet"]);
    if all.is_empty() {
        return Ok(Out::NotNeeded("it always holds: an undefined name is an error before anything runs".into()));
    }
    let message = job.text(&["fail_msg", "msg"])?.unwrap_or_else(|| format!("this does not hold: {}", all.join(" and ")));
    let mut step = failing(&message);
    let all = if let [one] = all.as_slice() {
        one.clone()
    } else {
        all.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and ")
    };
    step.when = Some(format!("not ({all})"));
    Ok(step.into())
}

/// `fail`.
pub fn fail(job: &Job<'_>) -> Result<Out, Why> {
    Ok(failing(&job.text(&["msg"])?.unwrap_or_else(|| "this must not be".into())).into())
}

fn failing(message: &str) -> Step {
    let message = message.replace('\'', "");
    Step::new("command").with("script", format!("echo '{}' >&2\nexit 1\n", message.trim())).with("always", true)
}
