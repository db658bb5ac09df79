//! Users, groups, and whom SSH lets in and out.

use crate::import::ansible::job::{Job, Out};
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;

/// `user`.
pub fn user(job: &Job<'_>) -> Result<Out, Why> {
    let name = job.needed(&["name", "user"])?;
    if job.text(&["state"])?.is_some_and(|state| state == "absent") {
        if job.flag(&["remove"])? == Some(true) {
            job.judge("remove", Verdict::LeftOut("the home directory stays: remove it with a `directory` step".into()));
        }
        return Ok(Step::new("user").with("name", name).with("absent", true).into());
    }
    let number = |text: Option<String>| text.map(Yaml::Word);
    let groups = job.list(&["groups", "group_list"])?.filter(|groups| !groups.is_empty());
    if groups.is_some() && job.flag(&["append"])? != Some(true) {
        job.differs("the account is added to its groups and stays in those it is in");
    }
    for key in ["password", "update_password"] {
        job.judge(key, Verdict::LeftOut("accounts have no passwords here: keys let people in".into()));
    }
    for key in ["generate_ssh_key", "ssh_key_file", "ssh_key_bits", "ssh_key_type", "ssh_key_comment"] {
        job.judge(
            key,
            Verdict::LeftOut("a key that is made on the machine is nobody's: `ssh_key` takes one from `secrets:`".into()),
        );
    }
    Ok(Step::new("user")
        .with("name", name)
        .with_some("uid", number(job.text(&["uid"])?))
        .with_some("group", job.text(&["group"])?)
        .with_some("groups", groups)
        .with_some("home", job.text(&["home"])?)
        .with_some("shell", job.text(&["shell"])?)
        .with_some("comment", job.text(&["comment"])?)
        .with_some("system", job.flag(&["system"])?.filter(|system| *system))
        .with_some("create_home", job.flag(&["create_home", "createhome"])?)
        .into())
}

/// `group`.
pub fn group(job: &Job<'_>) -> Result<Out, Why> {
    let step = Step::new("group").with("name", job.needed(&["name"])?);
    if job.text(&["state"])?.is_some_and(|state| state == "absent") {
        return Ok(step.with("absent", true).into());
    }
    let system = job.flag(&["system"])?.filter(|system| *system);
    Ok(step.with_some("gid", job.text(&["gid"])?.map(Yaml::Word)).with_some("system", system).into())
}

/// `authorized_key`.
pub fn authorized_key(job: &Job<'_>) -> Result<Out, Why> {
    let user = job.needed(&["user"])?;
    let key = job.needed(&["key"])?;
    if key.starts_with("https://") || key.starts_with("http://") {
        return Err("keys that a server gives out now are not those it gives out tomorrow: write them down".into());
    }
    if job.text(&["state"])?.is_some_and(|state| state == "absent") {
        return Err("`exclusive: true` removes the keys that are not named".into());
    }
    job.judge("path", Verdict::LeftOut("keys are in the account's own `.ssh`".into()));
    job.not_needed("manage_dir", "the directory is made with its mode");
    let options = job.text(&["key_options"])?.map(|options| format!("{options} ")).unwrap_or_default();
    let keys: Vec<String> =
        key.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{options}{line}")).collect();
    let exclusive = job.flag(&["exclusive"])?.filter(|exclusive| *exclusive);
    Ok(Step::new("authorized_keys").with("user", user).with("keys", keys).with_some("exclusive", exclusive).into())
}

/// The servers whose keys are built in.
const BUILT_IN: [&str; 3] = ["github.com", "gitlab.com", "bitbucket.org"];

/// `known_hosts`.
pub fn known_hosts(job: &Job<'_>) -> Result<Out, Why> {
    let name = job.needed(&["name", "host"])?;
    let path = job.text(&["path"])?;
    job.node(&["state", "hash_host"]);
    let key = job.node(&["key"]).and_then(|node| node.text()).unwrap_or_default().to_owned();
    let step = if BUILT_IN.contains(&name.as_str()) {
        if key.contains("lookup") || key.contains("keyscan") {
            job.judge("key", Verdict::Differs("the server is not asked for its own key: the published one is built in".into()));
        }
        Step::new("known_hosts").with("hosts", vec![name])
    } else {
        let key = job.needed(&["key"])?;
        let keys: Vec<String> =
            key.lines().filter_map(|line| line.split_once(' ')).map(|(_, key)| key.trim().to_owned()).collect();
        Step::new("known_hosts").with("keys", Yaml::Map(vec![(name, keys.into())]))
    };
    Ok(step.with_some("path", path.filter(|path| path != "/etc/ssh/ssh_known_hosts")).with_some("owner", job.account()?).into())
}
