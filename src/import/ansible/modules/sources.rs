//! What comes from elsewhere: repositories, files and archives.

use crate::import::ansible::job::{Job, Out};
use crate::import::ansible::modules::files::{self, attributes, beside};
use crate::import::document::Step;
use crate::import::jinja::Why;
use crate::import::report::Verdict;
use crate::import::yaml::Yaml;

/// `git`.
pub fn git(job: &Job<'_>) -> Result<Out, Why> {
    let url = job.needed(&["repo", "name"])?;
    let path = job.needed(&["dest"])?;
    let revision = job.text(&["version"])?.filter(|version| version != "HEAD");
    for key in ["accept_hostkey", "accept_newhostkey", "ssh_opts"] {
        job.judge(key, Verdict::Differs("the keys of GitHub, GitLab and Bitbucket are built in, those of others go into `host_keys`; nothing is accepted unseen".into()));
    }
    job.not_needed("clone", "a checkout that is missing is made");
    let mut step =
        Step::new("git").with("url", url).with_some("revision", revision).with("path", path).with_some("owner", job.account()?);
    if let Some(depth) = job.text(&["depth"])? {
        step.set("depth", Yaml::Word(depth));
    }
    match job.flag(&["recursive"])? {
        Some(true) => step.set("submodules", true),
        Some(false) => {}
        None => job.differs("submodules are checked out only with `submodules: true`"),
    }
    if job.flag(&["force"])? == Some(true) {
        step.set("local_changes", "stash");
        job.judge("force", Verdict::Differs("local changes are put aside in git's stash, not thrown away".into()));
    }
    if job.flag(&["update"])? == Some(false) {
        job.judge("update", Verdict::LeftOut("a checkout follows its revision: name a tag or a commit".into()));
    }
    if let Some(file) = job.text(&["key_file"])? {
        // The key is known to be what an earlier step has written there.
        let document = job.world.document.borrow();
        let written = document.pieces.iter().filter_map(|piece| piece.step()).find(|step| step.text("path") == Some(&file));
        let key = written.and_then(|step| step.text("content").or_else(|| step.text("private_key")));
        match key.map(str::trim).filter(|key| key.contains("secrets.")) {
            Some(key) => step.set("ssh_key", key),
            None => job.judge("key_file", Verdict::LeftOut("`ssh_key` takes the key itself, from `secrets:`".into())),
        }
    }
    Ok(step.into())
}

/// `get_url`.
pub fn get_url(job: &Job<'_>) -> Result<Out, Why> {
    let url = job.needed(&["url"])?;
    let mut dest = job.needed(&["dest"])?;
    if dest.ends_with('/') {
        dest += url.rsplit('/').next().unwrap_or_default();
    }
    let checksum = job.text(&["checksum"])?;
    job.not_needed("force", "the file is compared by its digest");
    job.not_needed("timeout", "a transfer that stands still is given up and tried again");
    let key_of_repository =
        ["/etc/apt/keyrings/", "/usr/share/keyrings/", "/etc/apt/trusted.gpg.d/"].iter().any(|folder| dest.starts_with(folder));
    if let Some(digest) =
        checksum.as_deref().and_then(|text| text.strip_prefix("sha256:")).filter(|digest| !digest.contains("://"))
    {
        if key_of_repository {
            job.world.keys.borrow_mut().push((url, None, Some(digest.to_owned())));
            job.node(&["mode", "owner", "group"]);
            return Ok(Out::NotNeeded("the key is part of the `package_source` step of its repository".into()));
        }
        let step = Step::new("file").with("path", dest).with("source", url).with("sha256", digest);
        return Ok(attributes(job, step)?.into());
    }
    if key_of_repository {
        return Err(
            "a key is trusted for one repository only, and pinned: `package_source` needs its `fingerprint` or `sha256`".into()
        );
    }
    if !url.starts_with("https://") {
        return Err("what comes over HTTP without a `sha256` could be anybody's".into());
    }
    if checksum.is_some() {
        job.judge("checksum", Verdict::LeftOut("only a `sha256` that is written here has an equivalent".into()));
    }
    job.differs("nobody verifies what is downloaded: with a `sha256` it is a `file` step with this `source`");
    let argv = ["curl", "--fail", "--silent", "--show-error", "--location", "--proto", "=https", "--output", &dest, &url];
    let step = Step::new("command").with("argv", argv.to_vec()).with("creates", dest.clone());
    let mode = Step::new("file");
    let mode = attributes(job, mode)?;
    if mode.fields.is_empty() {
        return Ok(step.into());
    }
    let (owner, bits) = (mode.text("owner").unwrap_or("root").to_owned(), mode.text("mode").unwrap_or("0644").to_owned());
    let install = format!(
        "curl --fail --silent --show-error --location --proto =https --output '{dest}.new' '{url}'\nchown '{owner}:' '{dest}.new'\nchmod {bits} '{dest}.new'\nmv '{dest}.new' '{dest}'\n"
    );
    Ok(Step::new("command").with("script", install).with("creates", dest).into())
}

/// `unarchive`.
pub fn unarchive(job: &Job<'_>) -> Result<Out, Why> {
    let source = job.needed(&["src"])?;
    let dest = job.needed(&["dest"])?.trim_end_matches('/').to_owned();
    let creates = job.text(&["creates"])?;
    let options = job.list(&["extra_opts"])?.unwrap_or_default().join(" ").replace("--strip-components ", "--strip-components=");
    let strip = options.strip_prefix("--strip-components=").filter(|count| count.parse::<u32>().is_ok()).map(str::to_owned);
    let remote = job.flag(&["remote_src", "copy"])? == Some(true) && job.node(&["copy"]).is_none() || source.contains("://");
    let is_tar = [".tar.gz", ".tgz", ".tar"].iter().any(|end| source.ends_with(end));
    if let (false, true, Some(strip)) = (remote, is_tar, &strip) {
        // One directory is taken off, so that `dest` is the archive's own.
        let step = Step::new("archive")
            .with("source", beside(job, &source, "files")?)
            .with("path", dest)
            .with("strip", Yaml::Word(strip.clone()));
        job.differs("the directory is the archive's own: what else is in it goes when the archive changes");
        return Ok(files::owners(job, step)?.into());
    }
    let Some(creates) = creates else {
        return Err("an `archive` step owns its whole directory; for one that others use too, say what it `creates`".into());
    };
    if !remote {
        return Err("an archive beside the playbook becomes a directory of its own: an `archive` step with another `path`".into());
    }
    let flags = if source.contains("{{") || is_tar || source.contains(".tar.") { options } else { String::new() };
    let ending = source.rsplit('.').next().unwrap_or_default();
    let script = match (source.contains("://"), ending == "zip") {
        (true, _) if !source.starts_with("https://") => {
            return Err("what comes over HTTP without a `sha256` could be anybody's".into());
        }
        (true, true) => return Err("an archive is `.tar` or `.tar.gz` here".into()),
        (true, false) => format!(
            "curl --fail --silent --show-error --location --proto =https '{source}' | tar --extract --auto-compress --file - --directory '{dest}' {flags}"
        ),
        (false, true) => format!("unzip -q -o '{source}' -d '{dest}'"),
        (false, false) => format!("tar --extract --file '{source}' --directory '{dest}' {flags}"),
    };
    let script = script.replace("--auto-compress --file -", if ending == "xz" { "--xz --file -" } else { "--gzip --file -" });
    if source.contains("://") {
        job.differs("nobody verifies what is downloaded: with a `sha256` and a directory of its own it is an `archive` step");
    }
    let bash: Vec<&str> = vec!["/bin/bash", "-euo", "pipefail", "-c"];
    let step =
        Step::new("command").with("script", script.trim_end()).with_some("interpreter", source.contains("://").then_some(bash));
    Ok(step.with("creates", creates).with_some("run_as", job.account()?).into())
}

/// `s3_object` and its older names.
pub fn s3_object(job: &Job<'_>) -> Result<Out, Why> {
    let mode = job.needed(&["mode"])?;
    let bucket = job.needed(&["bucket"])?;
    let object = job.needed(&["object"])?;
    job.not_needed("region", "the bucket's region is found");
    job.not_needed("overwrite", "the file is what the object is");
    if mode != "get" {
        return Err(format!("`mode: {mode}` has no equivalent; `s3_sync` sends folders"));
    }
    let dest = job.needed(&["dest"])?;
    Ok(Step::new("file").with("path", dest).with("source", format!("s3://{bucket}/{}", object.trim_start_matches('/'))).into())
}
