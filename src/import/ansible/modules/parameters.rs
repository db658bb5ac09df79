//! Parameters: what a playbook asks AWS for through a module or the command line of AWS, and what `secrets:` and `logs:` do here.

use crate::import::ansible::job::{Job, Out};
use crate::import::ansible::world::Registered;
use crate::import::jinja::Why;
use crate::import::yaml::Yaml;
use crate::playbook::node::Node;

/// `ssm_parameter`: reading only.
pub fn ssm_parameter(_: &Job<'_>) -> Result<Out, Why> {
    Err("it writes a parameter; an instance only reads them (`secrets:`)".into())
}

/// What a call of `aws` comes to; `None` where it is another program.
pub fn command(job: &Job<'_>, words: &[String], line: &str) -> Result<Option<Out>, Why> {
    if let Some(out) = log_group(job, line)? {
        return Ok(Some(out));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["aws", "ssm", verb, options @ ..] = words.as_slice() else { return Ok(None) };
    let option = |name: &str| options.iter().position(|word| *word == name).and_then(|at| options.get(at + 1)).copied();
    let Some(registered) = job.keyword("register").and_then(Node::text) else { return Ok(None) };
    let secret = match (*verb, option("--name"), option("--path")) {
        ("get-parameter", Some(name), _)
            if option("--query") == Some("Parameter.Value") && option("--output") == Some("text") =>
        {
            job.world.secret(registered, &format!("ssm:{name}"))
        }
        ("get-parameters-by-path", _, Some(path)) if option("--query").is_none() && !options.contains(&"--recursive") => {
            job.world.secret(registered, &format!("ssm:{}/*", path.trim_end_matches('/')))
        }
        _ => return Ok(None),
    };
    for key in ["changed_when", "failed_when", "no_log"] {
        job.takes(key);
    }
    job.world.registered.borrow_mut().insert(registered.to_owned(), Registered::Secret(secret.clone()));
    Ok(Some(Out::NotNeeded(format!("`secrets.{secret}` is read once, before anything changes"))))
}

/// A script that only makes a log group: that is what `logs:` is for.
fn log_group(job: &Job<'_>, line: &str) -> Result<Option<Out>, Why> {
    let creates = job.text(&["creates"])?;
    let mut group = None;
    let mut retention = None;
    for line in line.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if creates.as_ref().is_some_and(|path| line == format!("touch {path}")) {
            continue;
        }
        let Some(call) = line.strip_prefix("aws logs ") else { return Ok(None) };
        let call = call.split(" || ").next().unwrap_or(call).replace("2>/dev/null", "");
        let Some(words) = crate::import::shell::words(&call) else { return Ok(None) };
        let option = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1)).cloned();
        match words.first().map(String::as_str) {
            Some("create-log-group" | "create-log-stream") => {}
            Some("put-retention-policy") => retention = option("--retention-in-days"),
            _ => return Ok(None),
        }
        group = option("--log-group-name").or(group);
    }
    let Some(group) = group else { return Ok(None) };
    let mut document = job.world.document.borrow_mut();
    document.logs = vec![("group".to_owned(), Yaml::Text(group))];
    document.logs.extend(retention.map(|days| ("retention".to_owned(), Yaml::Text(format!("{days}d")))));
    Ok(Some(Out::NotNeeded("the `logs:` block makes the group, and the stream of each instance".into())))
}

/// The variable that holds the answer of `get-parameters-by-path`, when a text is nothing but a line `NAME=value` for each of its parameters.
#[must_use]
pub fn variables(text: &str) -> Option<&str> {
    let text = text.trim();
    let (head, rest) = text.strip_prefix("{%")?.split_once("%}")?;
    let (body, end) = rest.rsplit_once("{%")?;
    let end = end.trim_end_matches("%}").trim().trim_matches('-').trim();
    let head: Vec<&str> = head.trim().trim_matches('-').split_whitespace().collect();
    let (["for", each, "in", list @ ..], "endfor") = (head.as_slice(), end) else { return None };
    let list: String = list.concat();
    let name = list.strip_prefix('(')?.strip_suffix(".stdout|from_json).Parameters")?;
    let body: String = body.split_whitespace().collect();
    (body == format!("{{{{{each}.Name|basename}}}}={{{{{each}.Value}}}}")).then(|| {
        let at = text.find(name).unwrap_or_default();
        text.get(at..at + name.len()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn a_line_for_each_parameter_is_known() {
        let text =
            "{% for p in (settings.stdout | from_json).Parameters %}\n{{ p.Name | basename }}={{ p.Value }}\n{% endfor %}\n";
        assert_eq!(variables(text), Some("settings"));
        assert_eq!(variables(&text.replace("p.Value", "p.Value | quote")), None);
        assert_eq!(variables("{{ x }}"), None);
    }
}
