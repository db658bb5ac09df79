//! Packages, the repositories they come from, and Python's own.

use crate::import::ansible::job::{Job, Out};
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;

/// `apt`, `dnf`, `yum`, `package`.
pub fn packages(job: &Job<'_>) -> Result<Out, Why> {
    job.not_needed("update_cache", "package lists are fetched when something is missing");
    job.not_needed("update-cache", "package lists are fetched when something is missing");
    job.not_needed("cache_valid_time", "package lists are fetched when something is missing and they are old");
    job.not_needed("lock_timeout", "whoever holds the lock is waited for, and named");
    job.not_needed("force_apt_get", "`apt-get` is what runs");
    job.not_needed("dpkg_options", "configuration files that were changed stay");
    job.not_needed("autoclean", "only what is missing is fetched");
    job.not_needed("use", "the machine's own package manager is used");
    let upgrade = job.node(&["upgrade"]).is_some();
    let state = job.text(&["state"])?.unwrap_or_else(|| "present".into());
    let mut names = Vec::new();
    for name in job.list(&["name", "pkg", "package"])?.unwrap_or_default() {
        names.extend(name.split(' ').filter(|_| !name.contains("{{")).map(str::to_owned));
        if name.contains("{{") {
            names.push(name);
        }
    }
    let whole = single_expression(&names);
    if let Some(deb) = job.text(&["deb"])? {
        if deb.contains("://") {
            return Err("a package file from elsewhere needs its name, version and `sha256`: `packages: [{ name, version, deb, sha256 }]`".into());
        }
        names.push(deb);
    }
    if names.is_empty() || names.iter().any(|name| name == "*") {
        return if upgrade || names.iter().any(|name| name == "*") {
            Err("upgrading everything makes instances of one group differ: bake an image, or name versions".into())
        } else {
            Ok(Out::NotNeeded("package lists are fetched when something is missing".into()))
        };
    }
    if names.iter().any(|name| name.starts_with('@') || name.contains("://")) {
        return Err("groups and addresses of packages are not known to `packages`: name what they hold".into());
    }
    let step = Step::new("packages").with("names", whole.map_or_else(|| Yaml::from(names), Yaml::Text));
    let step = match state.as_str() {
        "present" | "installed" => step,
        "latest" => {
            job.judge(
                "state",
                Verdict::Differs("`latest` changes under your feet: here it is installed when it is missing".into()),
            );
            step
        }
        "absent" | "removed" => step.with("state", "absent"),
        other => return Err(format!("the state `{other}` has no equivalent here")),
    };
    match job.flag(&["install_recommends"])? {
        Some(true) => Ok(step.with("recommends", true).into()),
        Some(false) => Ok(step.into()),
        None => {
            if ["apt"].contains(&job.task.module.as_str()) {
                job.differs("what packages recommend is not installed unless `recommends: true`");
            }
            Ok(step.into())
        }
    }
}

/// A list that is one variable stays that variable.
fn single_expression(names: &[String]) -> Option<String> {
    match names {
        [one] if one.starts_with("{{") && one.ends_with("}}") && one.matches("{{").count() == 1 => Some(one.clone()),
        _ => None,
    }
}

/// `apt_key`: remembered for the repository that it signs.
pub fn key(job: &Job<'_>) -> Result<Out, Why> {
    let url =
        job.text(&["url", "key", "data"])?.ok_or("a key from a key server has no equivalent: give the key's own address")?;
    let id = job.text(&["id", "fingerprint"])?.map(|id| id.replace(' ', ""));
    job.node(&["state", "keyring"]);
    let fingerprint = id.filter(|id| id.len() >= 40 && id.chars().all(|c| c.is_ascii_hexdigit()));
    let Some(fingerprint) = fingerprint else {
        return Err("a key is trusted for one repository only, and pinned: `package_source` needs its `fingerprint`".into());
    };
    job.world.keys.borrow_mut().push((url, Some(fingerprint), None));
    Ok(Out::NotNeeded("the key is part of the `package_source` step of its repository".into()))
}

/// `apt_repository`, with the key that an `apt_key` before it names.
pub fn repository(job: &Job<'_>) -> Result<Out, Why> {
    if job.task.module == "deb822_repository" {
        return deb822(job);
    }
    let repo = job.needed(&["repo"])?;
    job.not_needed("update_cache", "the lists of this repository are fetched when it has changed");
    job.not_needed("mode", "everybody may read it");
    let filename = job.text(&["filename"])?;
    if job.text(&["state"])?.is_some_and(|state| state == "absent") {
        let name = filename.ok_or("without `filename` nobody knows which file that is")?;
        return Ok(Step::new("package_source").with("name", name).with("absent", true).into());
    }
    let source = one_line(&repo)?;
    let name = filename.unwrap_or_else(|| name_of(&source.uri));
    let key = job.world.keys.borrow_mut().pop();
    let Some((key, fingerprint, sha256)) = key else {
        return Err(NO_KEY.into());
    };
    Ok(Step::new("package_source")
        .with("name", name.trim_end_matches(".list").to_ascii_lowercase())
        .with("uris", vec![source.uri])
        .with("suites", vec![source.suite])
        .with_some("components", (!source.components.is_empty()).then_some(source.components))
        .with_some("architectures", (!source.architectures.is_empty()).then_some(source.architectures))
        .with(if key.contains("BEGIN PGP") { "key" } else { "key_source" }, key)
        .with_some("fingerprint", fingerprint)
        .with_some("sha256", sha256)
        .into())
}

/// Why a repository cannot be used as it is written.
pub const NO_KEY: &str = "`package_source` pins the key of a repository: give `key_source` and `fingerprint`";

fn deb822(job: &Job<'_>) -> Result<Out, Why> {
    let key = job.text(&["signed_by"])?.ok_or(NO_KEY)?;
    if !key.contains("BEGIN PGP") {
        return Err(NO_KEY.into());
    }
    job.node(&["types", "state", "enabled"]);
    Ok(Step::new("package_source")
        .with("name", job.needed(&["name"])?.to_ascii_lowercase())
        .with("uris", job.list(&["uris"])?.unwrap_or_default())
        .with("suites", job.list(&["suites"])?.unwrap_or_default())
        .with_some("components", job.list(&["components"])?)
        .with_some("architectures", job.list(&["architectures"])?)
        .with("key", key)
        .into())
}

/// A line of `sources.list`.
pub struct OneLine {
    /// Where it is.
    pub uri: String,
    /// Its suite.
    pub suite: String,
    /// Its components.
    pub components: Vec<String>,
    /// `arch=`.
    pub architectures: Vec<String>,
}

/// Reads a line of `sources.list`.
///
/// # Errors
/// When it is none.
pub fn one_line(line: &str) -> Result<OneLine, Why> {
    if line.starts_with("ppa:") {
        return Err("a PPA is an address and a key: give both to `package_source`".into());
    }
    let rest = line.trim().strip_prefix("deb ").ok_or("only lines that begin with `deb` have an equivalent")?.trim();
    let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((options, rest)) => (options, rest.trim()),
        None => ("", rest),
    };
    // Expressions have blanks of their own.
    let whole = rest.replace("{{ ", "{{\u{1}").replace(" }}", "\u{1}}}");
    let mut words = whole.split_whitespace().map(|word| word.replace('\u{1}', " "));
    let (Some(uri), Some(suite)) = (words.next(), words.next()) else { return Err("this line names no suite".into()) };
    let architectures = options.split_whitespace().find_map(|option| option.strip_prefix("arch="));
    let architectures = architectures.map(|all| all.split(',').map(str::to_owned).collect()).unwrap_or_default();
    Ok(OneLine { uri, suite, components: words.collect(), architectures })
}

/// A name for a repository nobody has named: that of its host.
pub fn name_of(uri: &str) -> String {
    let host = uri.split("://").nth(1).unwrap_or(uri).split('/').next().unwrap_or_default();
    let words: Vec<&str> = host.split('.').collect();
    let name = words.len().checked_sub(2).and_then(|at| words.get(at)).unwrap_or(&host);
    name.to_ascii_lowercase()
}

/// `yum_repository`.
pub fn yum_repository(job: &Job<'_>) -> Result<Out, Why> {
    let name = job.needed(&["name"])?;
    let uri = job.needed(&["baseurl"])?;
    job.node(&["description", "enabled", "gpgcheck", "state"]);
    let key = job.text(&["gpgkey"])?;
    let waiting = job.world.keys.borrow_mut().pop();
    let (Some(key), Some((_, fingerprint, _))) = (key, waiting) else { return Err(NO_KEY.into()) };
    Ok(Step::new("package_source")
        .with("name", name)
        .with("uris", vec![uri])
        .with("key_source", key)
        .with_some("fingerprint", fingerprint)
        .into())
}

/// `pip`, into a virtual environment.
pub fn pip(job: &Job<'_>) -> Result<Out, Why> {
    let Some(path) = job.text(&["virtualenv"])? else {
        return Err(
            "the system's own Python belongs to its package manager: name a `virtualenv`, which becomes a `venv` step".into()
        );
    };
    let requirements = job.text(&["requirements"])?;
    let chdir = job.text(&["chdir"])?;
    let absolute = |file: String| {
        if file.starts_with('/') || file.starts_with("{{") {
            file
        } else {
            format!("{}/{file}", chdir.as_deref().unwrap_or_default())
        }
    };
    let mut packages = job.list(&["name"])?.unwrap_or_default();
    if let (Some(version), [one]) = (job.text(&["version"])?, packages.as_mut_slice()) {
        *one += &format!("=={version}");
    }
    let python = match job.text(&["virtualenv_command"])? {
        Some(command) => command.strip_suffix(" -m venv").map(str::to_owned),
        None => job.text(&["virtualenv_python"])?,
    };
    match job.text(&["state"])?.as_deref() {
        None | Some("present") => {}
        Some("latest" | "forcereinstall") => {
            job.judge("state", Verdict::Differs("what is installed stays unless the requirements say otherwise".into()));
        }
        Some(other) => return Err(format!("the state `{other}` has no equivalent here")),
    }
    let index = match job.text(&["extra_args"])? {
        None => None,
        Some(text) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            let index = words.iter().position(|word| *word == "--index-url" || *word == "-i").and_then(|at| words.get(at + 1));
            let quiet = words
                .iter()
                .all(|word| ["--no-cache-dir", "--quiet", "-q", "--upgrade", "--disable-pip-version-check"].contains(word));
            if index.is_none() && !quiet {
                job.judge("extra_args", Verdict::LeftOut("only the index has an equivalent: `index_url`".into()));
            }
            index.map(|index| (*index).to_owned())
        }
    };
    job.not_needed("virtualenv_site_packages", "an environment stands for itself");
    Ok(Step::new("venv")
        .with("path", path)
        .with_some("owner", job.account()?)
        .with_some("python", python.filter(|python| python != "python3"))
        .with_some("requirements", requirements.map(absolute))
        .with_some("packages", (!packages.is_empty()).then_some(packages))
        .with_some("index_url", index)
        .into())
}
