//! `agent iam-policy`: the least that the instance's role must be allowed for one playbook. Nothing about AWS is written down here: each part
//! of a playbook says what it asks for, and this puts it together.

mod document;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::overrides::OverrideArguments;
use super::terminal;
use super::user_data::Binary;
use crate::engine::environment::Surroundings;
use crate::engine::run::network_threads;
use crate::error::{Error, Kind, Result};
use crate::host::aws::{Permission, Place, SecretSource};
use crate::host::instance::os_values;
use crate::lifecycle::permissions;
use crate::playbook::{InstanceValues, Location, Playbook, Scope, Wanted};
use document::Document;

/// Stand-ins that are valid in every name, until what they stand for is filled in.
const REGION: &str = "placeholder-region";
const ACCOUNT: &str = "placeholder-account";
/// Expressions choose by them, so each is tried.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
/// For what else differs from instance to instance.
const ANYTHING: &str = "placeholder-anything";

/// What fetching secrets is called, by action.
const SECRETS: [(&str, &str); 4] = [
    ("ReadParameters", "ssm:GetParameters"),
    ("ReadParametersBelow", "ssm:GetParametersByPath"),
    ("ReadManagedSecrets", "secretsmanager:GetSecretValue"),
    ("ReadSecretObjects", "s3:GetObject"),
];

/// Print the policy that the role of an instance needs for a playbook, and no more
///
/// It covers the agent's own calls: the playbook, its secrets, its steps, its logs, its lifecycle hook. What `command` steps and the
/// application ask AWS for is theirs to add.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    agent iam-policy playbook.yaml --at s3://bucket/playbook.yaml --binary s3://bucket/agent --set environment=prod\n  \
    agent iam-policy playbook.yaml --account 123456789012 --region eu-west-1 > policy.json\n\n\
    Without `--account` and `--region` the policy has the placeholders of CloudFormation, for `Fn::Sub`.")]
pub struct Arguments {
    /// A file, a folder with `playbook.yaml` or its `.tar.gz`, `s3://…`, `ssm:…` or `https://…#sha256=…`
    playbook: Location,
    /// Where instances find the playbook, as for `agent user-data`
    #[arg(long, value_name = "LOCATION")]
    at: Option<Location>,
    /// Where instances find the agent, as for `agent user-data`
    #[arg(long, value_name = "LOCATION")]
    binary: Option<Binary>,
    /// A key of your own (its ARN or id) that parameters, secrets or objects are encrypted with; may be given more than once
    #[arg(long = "kms-key", value_name = "KEY")]
    keys: Vec<String>,
    /// The account; `*` for any
    #[arg(long, value_name = "ID", default_value = "${AWS::AccountId}", hide_default_value = true)]
    account: String,
    /// The region; `*` for any
    #[arg(long, value_name = "REGION", default_value = "${AWS::Region}", hide_default_value = true)]
    region: String,
    /// The partition: `aws`, `aws-cn` or `aws-us-gov`
    #[arg(long, value_name = "NAME", default_value = "aws")]
    partition: String,
    /// Read `os` and `instance` from this file, as `agent facts --json` prints them
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArguments,
}

/// Prints it.
///
/// # Errors
/// When the name of a secret, the logs or the hook depend on what is not known here.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let playbook = match Playbook::load(&arguments.playbook, &arguments.overrides.overrides()) {
        Ok(playbook) => playbook,
        Err(problems) => {
            terminal::problems(&problems);
            return Ok(ExitCode::from(Kind::Playbook.exit_code()));
        }
    };
    let (document, notes) = policy(arguments, &playbook, values(arguments)?)?;
    notes.iter().for_each(|note| terminal::complain(&format!("note: {note}\n")));
    let text = serde_json::to_string_pretty(&document).map_err(|error| Error::from_source(Kind::Bug, &error))?;
    let text = text.replace(REGION, &arguments.region).replace(ACCOUNT, &arguments.account).replace(ANYTHING, "*");
    terminal::print(&format!("{text}\n"));
    Ok(ExitCode::SUCCESS)
}

/// What expressions know of instances: what they have in common, for each architecture there is.
fn values(arguments: &Arguments) -> Result<Vec<InstanceValues>> {
    if let Some(path) = &arguments.facts {
        return Ok(vec![Surroundings::discover(network_threads()?.handle(), Some(path), true)?.values]);
    }
    let of = |arch: &str| {
        let mut os = os_values();
        // What is counted stays a number: this machine's.
        for (name, value) in
            [("id", ANYTHING), ("version", ANYTHING), ("codename", ANYTHING), ("hostname", ANYTHING), ("arch", arch)]
        {
            if let Some(os) = os.as_object_mut() {
                os.insert(name.to_owned(), value.into());
            }
        }
        let instance = json!({
            "id": ANYTHING, "type": ANYTHING, "region": REGION, "az": ANYTHING, "account": ACCOUNT, "local_ip": ANYTHING,
            "lifecycle": { "warming": false },
        });
        InstanceValues { instance: Some(instance), os }
    };
    Ok(ARCHITECTURES.map(of).to_vec())
}

/// The document, and what it does not say.
fn policy(arguments: &Arguments, playbook: &Playbook, values: Vec<InstanceValues>) -> Result<(Document, Vec<String>)> {
    let place = Place { partition: arguments.partition.clone(), region: REGION.to_owned(), account: ACCOUNT.to_owned() };
    let of = |values| Scope { name: playbook.name.clone(), vars: playbook.vars.clone(), values, ..Scope::default() };
    let scopes: Vec<Scope> = values.into_iter().map(of).collect();
    let scope = scopes.first().cloned().unwrap_or_default();
    let mut document = Document::new(place);
    let mut notes = Vec::new();
    if let Some(Binary::Object { bucket, key }) = &arguments.binary {
        document.allow("ReadAgent", [Permission::to_read(bucket, key)]);
    }
    document.allow("ReadPlaybook", arguments.at.as_ref().unwrap_or(&arguments.playbook).permission());
    let sources = playbook.secret_sources(&scope).map_err(|error| error.hint("give `--facts FILE` of an instance"))?;
    let secrets: Vec<Permission> = sources.values().flat_map(SecretSource::permissions).collect();
    for (purpose, action) in SECRETS {
        document.allow(purpose, secrets.iter().filter(|permission| permission.action == action).cloned());
    }
    let mut steps = Vec::new();
    for (entry, scope) in playbook.entries.iter().flat_map(|entry| scopes.iter().map(move |scope| (entry, scope))) {
        // What is skipped here may be wanted where the instance differs.
        let differs = |when: &str| ["os.", "instance.", "steps."].iter().any(|name| when.contains(name));
        if matches!(entry.is_wanted(scope), Ok(Wanted::No(when)) if !differs(&when)) {
            continue;
        }
        match entry.permissions(scope) {
            Ok(Some(permissions)) => steps.extend(permissions),
            Ok(None) | Err(_) => {
                notes.push(format!("what step {} `{}` asks AWS for depends on the run; add it", entry.number, entry.label));
            }
        }
    }
    notes.dedup();
    document.allow("Steps", steps);
    if let Some(logs) = playbook.logs(&scope).map_err(|error| error.hint("give `--facts FILE` of an instance"))? {
        document.allow("WriteLogs", logs.permissions_to_write());
        document.allow("MakeLogGroups", logs.permissions_to_make_groups());
        document.allow("KeepLogs", logs.permissions_to_keep());
    }
    if let Some(lifecycle) = playbook.lifecycle(&scope)? {
        document.allow("AnswerHook", permissions::to_answer(&lifecycle));
    } else {
        notes.push("the playbook has no `lifecycle:`; for the hook of a group, say which one it answers".to_owned());
    }
    document.allow("FindHook", permissions::to_find());
    let via = services_with_keys(&document);
    if !arguments.keys.is_empty() {
        document.allow_decryption(&arguments.keys, &via);
    } else if !via.is_empty() {
        notes.push("what is encrypted with a key of your own needs `--kms-key`".to_owned());
    }
    if playbook.entries.iter().any(|entry| entry.step_type.kind == "command") {
        notes.push("what programs of `command` steps ask AWS for is not in it".to_owned());
    }
    Ok((document, notes))
}

/// The services that decrypt for whoever asks them.
fn services_with_keys(document: &Document) -> Vec<&'static str> {
    let asks = |action: &str| document.allows(|permission| permission.action == action);
    let parameters = asks("ssm:GetParameters") || asks("ssm:GetParametersByPath");
    let all = [("ssm", parameters), ("secretsmanager", asks("secretsmanager:GetSecretValue")), ("s3", asks("s3:GetObject"))];
    all.into_iter().filter_map(|(service, asked)| asked.then_some(service)).collect()
}

#[cfg(test)]
mod tests;
