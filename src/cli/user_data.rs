//! `agent user-data`: the script for a launch template. What can be found wrong with the playbook is found here, before any machine
//! boots.

mod script;

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use super::overrides::OverrideArguments;
use super::terminal;
use crate::error::{Error, Kind, Result};
use crate::host::digest::Sha256;
use crate::host::documents::{self, Beside};
use crate::host::{inputs, process};
use crate::playbook::{Location, Overrides, Playbook};
use crate::step::fields::Span;
pub use script::Binary;
use script::Wish;

/// EC2 takes no more.
const LARGEST: usize = 16 * 1024;

/// Print user-data that fetches this agent, verifies it, and runs a playbook with it
///
/// A playbook that is a file here is checked, and pinned by its digest: instances run exactly this version, or nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    agent user-data playbook.yaml --at s3://bucket/playbook.yaml --binary s3://bucket/agent --set environment=prod\n  \
    agent user-data s3://bucket/shop.tar.gz --binary https://example.com/agent --vars vars/prod.yaml --format mime\n  \
    agent user-data playbook.yaml --at /opt/playbook.yaml --binary s3://bucket/agent -- --no-timer\n\n\
    An object in S3 is fetched with the instance's role, without the AWS CLI. A presigned address works until it expires, which a\n\
    launch template does not know.")]
pub struct Arguments {
    /// The playbook: a file here, or where instances find it: `s3://bucket/key`, `ssm:/name`, `https://…#sha256=…`
    playbook: Location,
    /// Where instances find the playbook that is a file here: at one of these locations, or at a path in their image
    #[arg(long, value_name = "LOCATION")]
    at: Option<Location>,
    /// Where instances find the agent: `s3://bucket/key`, or an `https://` address that asks for no credentials
    #[arg(long, value_name = "LOCATION")]
    binary: Binary,
    /// Digest of the agent that is there [default: of this one]
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Sha256>,
    /// Region of the agent's bucket [default: the instance's]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How long an instance goes on trying to fetch the agent
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    patience: Span,
    /// A script, or the same as a MIME part, to stand by itself or between others
    #[arg(long, value_enum, default_value_t = Format::Script)]
    format: Format,
    #[command(flatten)]
    overrides: OverrideArguments,
    /// More options for `agent install`
    #[arg(last = true, value_name = "OPTION")]
    install: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A shell script
    Script,
    /// A part of a MIME message
    Mime,
}

/// Prints it.
///
/// # Errors
/// `Usage` when instances could not find the playbook, or there would be too much of it.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let overrides = arguments.overrides.overrides();
    let (location, beside) = match placed(arguments, &overrides) {
        Ok(placed) => placed,
        Err(Refusal::Problems(problems)) => {
            terminal::problems(&problems);
            return Ok(ExitCode::from(Kind::Playbook.exit_code()));
        }
        Err(Refusal::Error(error)) => return Err(error),
    };
    let mut install = vec![location.to_string()];
    install.extend(options(&overrides, &beside)?);
    install.extend(arguments.install.iter().cloned());
    let sha256 = if let Some(told) = arguments.sha256 {
        told
    } else {
        terminal::complain(&format!("note: instances will run the agent that prints this ({})\n", own_name()));
        process::own_digest()?.parse().map_err(|why: String| Error::new(Kind::Bug, why))?
    };
    let region = arguments.region.as_deref();
    let wish = Wish { binary: &arguments.binary, sha256, region, patience: arguments.patience.0, install: &install };
    let script = script::text(&wish);
    let text = match arguments.format {
        Format::Script => script,
        Format::Mime => mime(&script),
    };
    if text.len() > LARGEST {
        return Err(Error::new(Kind::Usage, format!("this user-data has {} bytes, and EC2 takes {LARGEST}", text.len()))
            .hint("put variables into a vars file of the playbook's `.tar.gz`"));
    }
    terminal::print(&text);
    Ok(ExitCode::SUCCESS)
}

enum Refusal {
    Problems(crate::playbook::Problems),
    Error(Error),
}

/// Where instances find the playbook, and the files that come with it.
fn placed(arguments: &Arguments, overrides: &Overrides) -> Result<(Location, Beside), Refusal> {
    let usage = |because: String, hint: &str| Err(Refusal::Error(Error::new(Kind::Usage, because).hint(hint)));
    let given = &arguments.playbook;
    let Location::Path(path) = given else {
        if arguments.at.is_some() {
            return usage(
                format!("`{given}` says already where instances find the playbook"),
                "`--at` goes with a file of this machine",
            );
        }
        return match given {
            Location::UserData => {
                usage("user-data cannot hold the playbook: it holds this script".to_owned(), "name another location")
            }
            Location::Path(_) | Location::Https(_) => Ok((given.clone(), Beside::Nothing)),
            Location::S3(_) | Location::Parameter(_) => {
                if !given.to_string().contains('#') {
                    let text = "is not pinned: every run takes what is there; give the file here and `--at`, or add `#sha256=…`";
                    terminal::complain(&format!("warning: `{given}` {text}\n"));
                }
                Ok((given.clone(), Beside::Nothing))
            }
        };
    };
    let playbook = Playbook::load(given, overrides).map_err(Refusal::Problems)?;
    let beside = playbook.beside().clone();
    match &arguments.at {
        None => usage(
            format!("instances do not find `{given}`, which is a file of this machine"),
            "bring it to them and say where it is: `--at s3://bucket/key`, or `--at /path` in their image",
        ),
        Some(Location::UserData) => {
            usage("user-data cannot hold the playbook: it holds this script".to_owned(), "name another location")
        }
        Some(Location::Path(there)) if !there.is_absolute() => {
            usage(format!("`{}` is no absolute path", there.display()), "a path in the image of the instances begins with `/`")
        }
        Some(there @ Location::Path(_)) => Ok((there.clone(), beside)),
        Some(_) if documents::is_folder(path) => usage(
            format!("`{given}` is a folder, and instances get it as one archive"),
            "pack it, and give the archive: `tar --create --gzip --file shop.tar.gz shop`",
        ),
        Some(there) => pinned(there, &playbook.digest).map(|location| (location, beside)).map_err(Refusal::Error),
    }
}

/// The location with the digest of what has to be there.
fn pinned(location: &Location, digest: &str) -> Result<Location> {
    let text = location.to_string();
    let (address, told) = text.split_once("#sha256=").map_or((text.as_str(), None), |(address, told)| (address, Some(told)));
    if told.is_some_and(|told| !told.eq_ignore_ascii_case(digest)) {
        return Err(Error::new(Kind::Usage, format!("the file has sha256 `{digest}`, and `--at` says another one"))
            .hint("leave `#sha256=…` out: it is added"));
    }
    format!("{address}#sha256={digest}").parse().map_err(|why: String| Error::new(Kind::Usage, why))
}

/// The overrides as instances can be given them: files of this machine become values, files of the playbook's archive stay files.
fn options(overrides: &Overrides, beside: &Beside) -> Result<Vec<String>> {
    let (mut files, mut values): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for file in &overrides.files {
        // As a run looks for it: here, or else beside the playbook.
        let found = match beside {
            Beside::Folder(folder) if !documents::is_file(file) => folder.join(file),
            _ => file.clone(),
        };
        if beside.is_in_archive(file) || !documents::is_file(&found) {
            if !values.is_empty() {
                return Err(out_of_order(file));
            }
            files.extend(["--vars".to_owned(), file.display().to_string()]);
        } else {
            for (name, value) in inputs::read_mapping(&found)? {
                values.extend(["--set".to_owned(), format!("{name}={}", as_set(&name, value)?)]);
            }
        }
    }
    for (name, value) in &overrides.values {
        values.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    files.extend(values);
    Ok(files)
}

/// A value as `--set` reads it: text stands as it is.
fn as_set(name: &str, value: serde_json::Value) -> Result<String> {
    match value {
        serde_json::Value::String(text) if text.starts_with(['[', '{', '"', '\'']) => Err(Error::new(
            Kind::Usage,
            format!("`{name}` begins like a list, a map or a quoted text, which `--set` would make of it"),
        )
        .hint("put the vars file into the playbook's `.tar.gz`")),
        serde_json::Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}

fn out_of_order(file: &Path) -> Error {
    let because = format!("`{}` of the playbook's archive comes after a file of this machine", file.display());
    Error::new(Kind::Usage, because).hint("name the files of the archive first: what is named last wins")
}

fn own_name() -> String {
    format!("{} for {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

/// As one part of a message. By itself it is a message, too, which cloud-init reads.
fn mime(script: &str) -> String {
    format!(
        "Content-Type: text/x-shellscript; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\
         Content-Disposition: attachment; filename=\"bootstrap-agent.sh\"\n\n{script}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(words: &[&str]) -> Arguments {
        let words = ["user-data", "--binary", "s3://bucket/agent"].iter().chain(words);
        <Line as clap::Parser>::try_parse_from(words).unwrap().arguments
    }

    fn found(words: &[&str]) -> Result<String, String> {
        let arguments = arguments(words);
        match placed(&arguments, &arguments.overrides.overrides()) {
            Ok((location, _)) => Ok(location.to_string()),
            Err(Refusal::Error(error)) => Err(error.to_string()),
            Err(Refusal::Problems(problems)) => Err(problems.to_string()),
        }
    }

    fn playbook(folder: &Path) -> String {
        let path = folder.join("p.yaml");
        std::fs::write(&path, "version: 1\nvars: { a: { required: true } }\nsteps: []\n").unwrap();
        path.display().to_string()
    }

    #[test]
    fn a_file_of_this_machine_is_checked_and_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let file = playbook(folder.path());
        let digest = Sha256::of(&std::fs::read(&file).unwrap());
        let at = |location: &str| found(&[&file, "--at", location, "--set", "a=b"]);
        assert_eq!(at("s3://b/p.yaml"), Ok(format!("s3://b/p.yaml#sha256={digest}")));
        assert_eq!(at("https://h/p"), Ok(format!("https://h/p#sha256={digest}")));
        assert_eq!(at("/opt/p.yaml"), Ok("/opt/p.yaml".to_owned()));
        assert!(at(&format!("s3://b/p#sha256={}", Sha256::of(b"x"))).unwrap_err().contains("says another one"));
        assert!(at("opt/p.yaml").unwrap_err().contains("no absolute path"));
        assert!(found(&[&file, "--set", "a=b"]).unwrap_err().contains("instances do not find"));
        assert!(found(&[&file, "--at", "s3://b/p.yaml"]).unwrap_err().contains("`a`"), "what is required is missed here already");
        std::fs::rename(&file, folder.path().join("playbook.yaml")).unwrap();
        let there = folder.path().display().to_string();
        assert!(found(&[&there, "--at", "s3://b/p", "--set", "a=b"]).unwrap_err().contains("one archive"));
    }

    #[test]
    fn a_location_stays_as_it_is() {
        assert_eq!(found(&["s3://b/p.yaml"]), Ok("s3://b/p.yaml".to_owned()));
        assert!(found(&["s3://b/p.yaml", "--at", "s3://b/q"]).unwrap_err().contains("says already"));
        assert!(found(&["user-data"]).unwrap_err().contains("holds this script"));
    }

    #[test]
    fn vars_files_of_this_machine_become_values() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prod.yaml").display().to_string();
        std::fs::write(&file, "environment: prod\nports: [1, 2]\n").unwrap();
        let of = |words: &[&str]| options(&arguments(words).overrides.overrides(), &Beside::Nothing);
        let options = of(&["s3://b/p.tar.gz", "--vars", "vars/a.yaml", "--vars", &file, "--set", "x=1"]).unwrap();
        assert_eq!(options, ["--vars", "vars/a.yaml", "--set", "environment=prod", "--set", "ports=[1,2]", "--set", "x=1"]);
        assert!(of(&["s3://b/p.tar.gz", "--vars", &file, "--vars", "vars/a.yaml"]).is_err());
        std::fs::write(&file, "a: '[no list]'\n").unwrap();
        assert!(of(&["s3://b/p.tar.gz", "--vars", &file]).unwrap_err().to_string().contains("begins like"));
    }

    #[test]
    fn a_part_has_headers_and_then_the_script() {
        let part = mime("#!/bin/sh\ntrue\n");
        let (headers, body) = part.split_once("\n\n").unwrap();
        assert_eq!(body, "#!/bin/sh\ntrue\n");
        assert!(headers.lines().all(|line| line.contains(": ")) && headers.contains("MIME-Version: 1.0"), "{headers}");
    }
}
