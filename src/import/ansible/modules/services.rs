//! Services, timers, and the machine itself.

use crate::import::ansible::job::{Job, Out};
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::shell;
use crate::import::yaml::Yaml;

/// `systemd`, `systemd_service`, `service`.
pub fn service(job: &Job<'_>) -> Result<Out, Why> {
    if let Some(node) = job.node(&["daemon_reload", "daemon-reload", "daemon_reexec"]) {
        let key = if node.text().is_some() { "daemon_reload" } else { "daemon-reload" };
        job.not_needed(key, "systemd reads units again whenever one has changed");
    }
    if job.text(&["scope"])?.is_some_and(|scope| scope != "system") {
        return Err("units of a user's own systemd have no equivalent".into());
    }
    for key in ["no_block", "force", "use", "sleep", "arguments", "pattern"] {
        job.not_needed(key, "systemd is asked directly, and waited for");
    }
    let Some(name) = job.text(&["name", "service", "unit"])? else {
        return Ok(Out::NotNeeded("systemd reads units again whenever one has changed".into()));
    };
    let enabled = job.flag(&["enabled"])?;
    let masked = job.flag(&["masked"])?;
    let state = job.text(&["state"])?;
    let changed = job.conditions.take_changed();
    let mut step = Step::new("service").with("name", name);
    match state.as_deref() {
        Some("started") => {}
        Some("restarted") if changed.is_empty() => {
            job.judge(
                "state",
                Verdict::Differs(
                    "restarted in every run: here it is started, and `restart_on` says whose change restarts it".into(),
                ),
            );
        }
        Some("reloaded") if changed.is_empty() => {
            job.judge(
                "state",
                Verdict::Differs(
                    "reloaded in every run: here it is started, and `reload_on` says whose change reloads it".into(),
                ),
            );
        }
        Some("restarted") => step.follow("restart_on", &changed),
        Some("reloaded") => step.follow("reload_on", &changed),
        Some("stopped") => step.set("state", "stopped"),
        None => step.set("state", "unchanged"),
        Some(other) => return Err(format!("the state `{other}` has no equivalent here")),
    }
    Ok(step.with_some("enabled", enabled).with_some("masked", masked).into())
}

/// `cron`: a timer, and the service that it starts.
pub fn cron(job: &Job<'_>) -> Result<Out, Why> {
    let name = job.needed(&["name"])?;
    let unit: String = job.world.id(&name);
    job.node(&["cron_file", "backup"]);
    if job.text(&["state"])?.is_some_and(|state| state == "absent") {
        return Err("remove the crontab's line by hand, or with `line`".into());
    }
    if job.flag(&["disabled"])? == Some(true) {
        return Ok(Out::NotNeeded("it is disabled".into()));
    }
    if job.flag(&["env"])? == Some(true) {
        return Err("a variable of the crontab: give the timer's service its `Environment`".into());
    }
    let command = job.needed(&["job"])?;
    let user = job.text(&["user"])?.or(job.account()?).filter(|user| user != "root");
    let calendar = match job.text(&["special_time"])?.as_deref() {
        Some("reboot") => None,
        Some(word @ ("hourly" | "daily" | "weekly" | "monthly" | "yearly" | "annually")) => Some(word.to_owned()),
        Some(other) => return Err(format!("`special_time: {other}` has no equivalent here")),
        None => {
            let field = |key: &'static str| -> Result<String, Why> { Ok(job.text(&[key])?.unwrap_or_else(|| "*".into())) };
            Some(calendar(&field("minute")?, &field("hour")?, &field("day")?, &field("month")?, &field("weekday")?)?)
        }
    };
    let mut service = vec![("Type".to_owned(), Yaml::from("oneshot"))];
    service.extend(user.map(|user| ("User".to_owned(), Yaml::from(user))));
    service.push(("ExecStart".to_owned(), format!("/bin/sh -c {}", quoted(&command)).into()));
    let description = Yaml::Map(vec![("Description".to_owned(), Yaml::from(name))]);
    let step =
        |suffix: &str| Step::new("systemd_unit").with("name", format!("{unit}.{suffix}")).with("Unit", description.clone());
    let service = step("service").with("Service", Yaml::Map(service));
    job.differs("its output goes to the journal, not into a mail");
    let Some(calendar) = calendar else { return Ok(service.with("state", "unchanged").into()) };
    let service = service.with("state", "unchanged").with("enabled", false);
    let timer = step("timer").with("Timer", Yaml::Map(vec![("OnCalendar".to_owned(), calendar.into())]));
    Ok(Out::Steps(vec![service, timer]))
}

/// A command line as one argument of `ExecStart`.
fn quoted(command: &str) -> String {
    let plain = command.replace("\\%", "%");
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
}

/// The five fields of a crontab as systemd writes them.
///
/// # Errors
/// Where systemd has no such calendar.
pub fn calendar(minute: &str, hour: &str, day: &str, month: &str, weekday: &str) -> Result<String, Why> {
    if day != "*" && weekday != "*" {
        return Err("a crontab with a day and a weekday means either, and a timer both".into());
    }
    let field = |text: &str, first: &str, padded: bool| -> Result<String, Why> {
        let one = |part: &str| -> Result<String, Why> {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let number = |text: &str| match text.parse::<u32>() {
                Ok(number) if padded => Ok(format!("{number:02}")),
                Ok(number) => Ok(number.to_string()),
                Err(_) => Err(format!("`{text}` is no number of a crontab")),
            };
            let range = match (range, range.split_once('-')) {
                ("*", _) if step.is_some() => first.to_owned(),
                ("*", _) => "*".to_owned(),
                (_, Some((from, to))) => format!("{}..{}", number(from)?, number(to)?),
                (one, None) => number(one)?,
            };
            Ok(step.map_or(range.clone(), |step| format!("{range}/{step}")))
        };
        Ok(text.split(',').map(one).collect::<Result<Vec<_>, _>>()?.join(","))
    };
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let name = |text: &str| {
        let by_number = text.parse::<usize>().ok().and_then(|at| days.get(at)).map(|day| (*day).to_owned());
        let by_name = || {
            days.iter().find(|day| text.to_ascii_lowercase().starts_with(&day.to_ascii_lowercase())).map(|day| (*day).to_owned())
        };
        by_number.or_else(by_name).ok_or_else(|| format!("`{text}` is no weekday"))
    };
    let weekday = match weekday {
        "*" => String::new(),
        text => {
            let part = |part: &str| match part.split_once('-') {
                Some((from, to)) => Ok(format!("{}..{}", name(from)?, name(to)?)),
                None => name(part),
            };
            format!("{} ", text.split(',').map(part).collect::<Result<Vec<_>, Why>>()?.join(","))
        }
    };
    let (day, month) = (field(day, "1", true)?, field(month, "1", true)?);
    Ok(format!("{weekday}*-{month}-{day} {}:{}:00", field(hour, "00", true)?, field(minute, "00", true)?))
}

/// `hostname`.
pub fn hostname(job: &Job<'_>) -> Result<Out, Why> {
    job.node(&["use"]);
    Ok(shell::hostname(&job.needed(&["name"])?).into())
}

/// `timezone`.
pub fn timezone(job: &Job<'_>) -> Result<Out, Why> {
    job.judge("hwclock", Verdict::LeftOut("an instance's clock is in UTC".into()));
    Ok(shell::timezone(&job.needed(&["name"])?).into())
}

/// `reboot`, where the system asks for one.
pub fn reboot(job: &Job<'_>) -> Result<Out, Why> {
    for key in
        ["reboot_timeout", "connect_timeout", "msg", "post_reboot_delay", "pre_reboot_delay", "test_command", "boot_time_command"]
    {
        job.not_needed(key, "the run goes on after the boot, within its deadline");
    }
    let when = job.keyword("when").and_then(|when| when.text()).unwrap_or_default();
    let registered = job.world.registered.borrow();
    let name = when.trim().strip_suffix(".stat.exists").unwrap_or(when);
    match registered.get(name) {
        Some(crate::import::ansible::world::Registered::Stat { path, .. }) if path.ends_with("/run/reboot-required") => {
            job.conditions.take_all();
            Ok(Step::new("reboot").with("when_required", true).into())
        }
        _ => Err("a reboot needs a reason that is gone afterwards: `when_required`, `only_if` or `unless`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::calendar;

    #[test]
    fn crontabs_become_calendars() {
        for (fields, expected) in [
            (["0", "3", "*", "*", "*"], "*-*-* 03:00:00"),
            (["*/5", "*", "*", "*", "*"], "*-*-* *:00/5:00"),
            (["30", "1-5", "*", "*", "mon-fri"], "Mon..Fri *-*-* 01..05:30:00"),
            (["0", "0", "1", "1,7", "*"], "*-01,07-01 00:00:00"),
            (["15", "4", "*", "*", "0"], "Sun *-*-* 04:15:00"),
        ] {
            let [minute, hour, day, month, weekday] = fields;
            assert_eq!(calendar(minute, hour, day, month, weekday).as_deref(), Ok(expected));
        }
        assert!(calendar("0", "0", "1", "*", "1").is_err());
        assert!(calendar("x", "0", "*", "*", "*").is_err());
    }
}
