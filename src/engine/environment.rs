//! What surrounds a run: which instance this is, and the secrets, from AWS or from the files that stand in for them.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::event::Teller;
use crate::error::{Error, Kind, Result};
use crate::host::aws::{Aws, Fetched, SecretSource};
use crate::host::inputs::read_mapping;
use crate::host::instance::{Discovery, Instance, looks_like_ec2, os_values};
use crate::playbook::{InstanceValues, Playbook, Scope};
use crate::secret::{SHORTEST_SEARCHED, Secret, Sensitive};

/// A dry-run asks the metadata service once, for this long: in an office nobody may be there to answer.
const GLANCE: Duration = Duration::from_millis(50);
/// The same where somebody is there for certain, and may be busy.
const LOOK: Duration = Duration::from_millis(900);
/// A run waits this long for it: on some images the network comes up late.
const PATIENCE: Duration = Duration::from_mins(1);

/// The instance, where it is one.
pub struct Surroundings {
    /// Values for expressions.
    pub values: InstanceValues,
    /// The instance itself; `None` off EC2, or where `--facts` stands in for it.
    pub instance: Option<Instance>,
    /// Why there is none.
    pub absent: Option<String>,
}

impl Surroundings {
    /// Asks the metadata service, or reads `--facts`.
    ///
    /// # Errors
    /// When the file is wrong; when this is an EC2 instance whose metadata service does not answer, unless it is a dry-run.
    pub fn discover(runtime: &Handle, given: Option<&Path>, dry_run: bool) -> Result<Self> {
        if let Some(path) = given {
            let mut given = read_mapping(path)?;
            let os = merged(os_values(), given.remove("os"));
            let values = InstanceValues { instance: given.remove("instance"), os };
            return match given.keys().next() {
                Some(unknown) => Err(Error::new(Kind::Usage, format!("`{unknown}` is neither `os` nor `instance`"))
                    .doing(format!("reading `{}`", path.display()))),
                None => Ok(Self { values, instance: None, absent: Some("`--facts` stands in for it".to_owned()) }),
            };
        }
        let patience = match dry_run {
            true if looks_like_ec2() => LOOK,
            true => GLANCE,
            false => PATIENCE,
        };
        let found = Instance::discover(runtime, patience);
        let (instance, absent) = match found {
            Ok(Discovery::Known(instance)) => (Some(*instance), None),
            Ok(Discovery::Absent(why)) => (None, Some(why)),
            Err(error) if dry_run => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let values = InstanceValues { instance: instance.as_ref().map(Instance::values), os: os_values() };
        Ok(Self { values, instance, absent })
    }
}

/// What this machine says, with what is given over it.
fn merged(own: Value, given: Option<Value>) -> Value {
    match (own, given) {
        (Value::Object(own), Some(Value::Object(given))) => own.into_iter().chain(given).collect::<Map<_, _>>().into(),
        (own, None) => own,
        (_, Some(given)) => given,
    }
}

/// How much of a secret may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// Its value: this is a run.
    Reads,
    /// Whether AWS has it: a dry-run with `--online`.
    Asks,
    /// Nothing from AWS: any other dry-run.
    Guesses,
}

/// What a dry-run with `--online` finds out about the secrets: whether AWS has them, never a value. It is said, and is no failure of
/// the plan: whoever plans may have other rights than the instance.
fn look_for_secrets(aws: &Aws, sources: &IndexMap<String, SecretSource>, teller: &Teller) {
    teller.notice(match aws.secret_versions(sources) {
        Err(error) => format!("a run would end before its first change: {error}"),
        Ok(versions) => {
            let said = |(name, version): (&String, &Option<String>)| match version {
                Some(version) => format!("`{name}` ({version})"),
                None => format!("`{name}` (not asked for: it can only be read)"),
            };
            format!("secrets in AWS: {}", versions.iter().map(said).collect::<Vec<_>>().join(", "))
        }
    });
}

/// Gets every secret of the playbook, at once and before anything is changed, and teaches them to the redactor: from the file that
/// is given, and what that does not hold from AWS. A dry-run reads no value from AWS, so what it was not given is missing from the
/// answer, and what needs it cannot be told; `None` when it was given nothing.
///
/// # Errors
/// When one cannot be had; missing and denied names are all listed.
pub fn fetch_secrets(
    playbook: &Playbook,
    scope: &Scope,
    aws: &Aws,
    given: Option<&Path>,
    looks: Looks,
    teller: &Teller,
) -> Result<Option<IndexMap<String, Fetched>>> {
    let mut sources = playbook.secret_sources(scope)?;
    let dry_run = looks != Looks::Reads;
    if looks == Looks::Asks && !sources.is_empty() {
        look_for_secrets(aws, &sources, teller);
    }
    if given.is_none() && dry_run {
        return Ok(None);
    }
    let mut secrets = given.map(|path| given_secrets(path, &mut sources)).transpose()?.unwrap_or_default();
    if !sources.is_empty() {
        let names = listed(sources.keys());
        if dry_run {
            teller.notice(format!("the file of `--secrets-from` does not hold {names}; what needs them cannot be told"));
        } else {
            let fetched = aws.fetch(&sources);
            let doing = |path: &Path| format!("asking AWS for what `{}` does not hold: {names}", path.display());
            secrets.extend(fetched.map_err(|error| given.map(doing).into_iter().fold(error, Error::doing))?);
        }
    }
    let secrets = playbook.classify(secrets);
    for value in secrets.values().flat_map(values) {
        if let Sensitive::Secret(secret) = value {
            scope.redactor.learn(secret);
        }
    }
    Ok(Some(secrets))
}

/// The secrets of a file, which are then no longer among those to be fetched. Names the playbook does not know are all listed.
fn given_secrets(path: &Path, sources: &mut IndexMap<String, SecretSource>) -> Result<IndexMap<String, Fetched>> {
    let (mut secrets, mut strangers) = (IndexMap::new(), Vec::new());
    for (name, value) in read_mapping(path)? {
        if sources.shift_remove(&name).is_some() {
            secrets.insert(name, stand_in(value));
        } else {
            strangers.push(name);
        }
    }
    if strangers.is_empty() {
        return Ok(secrets);
    }
    let known: Vec<&String> = sources.keys().chain(secrets.keys()).collect();
    let error = Error::new(Kind::Usage, format!("the playbook's `secrets:` has no {}", listed(&strangers)));
    Err(error.doing(format!("reading `{}`", path.display())).hint(format!("it has {}", listed(known))))
}

fn listed(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is said of secrets that are too short to be found in what programs print; `None` where all are long enough.
#[must_use]
pub fn too_short_to_search(secrets: &IndexMap<String, Fetched>) -> Option<String> {
    let short = |value: &Sensitive| value.is_secret() && (1..SHORTEST_SEARCHED).contains(&value.size());
    let mut names = Vec::new();
    for (name, fetched) in secrets {
        match fetched {
            Fetched::One(value) if short(value) => names.push(format!("`{name}`")),
            Fetched::One(_) => {}
            Fetched::Map(map) => {
                names.extend(map.iter().filter(|(_, value)| short(value)).map(|(key, _)| format!("`{name}.{key}`")));
            }
        }
    }
    let list = names.join(", ");
    (!names.is_empty())
        .then(|| format!("shorter than {SHORTEST_SEARCHED} bytes, so not masked where a program prints it: {list}"))
}

fn values(fetched: &Fetched) -> Vec<&Sensitive> {
    match fetched {
        Fetched::One(value) => vec![value],
        Fetched::Map(map) => map.values().collect(),
    }
}

fn stand_in(value: Value) -> Fetched {
    let secret = |value: Value| {
        Sensitive::Secret(Secret::new(match value {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    };
    match value {
        Value::Object(map) => Fetched::Map(map.into_iter().map(|(name, value)| (name, secret(value))).collect()),
        value => Fetched::One(secret(value)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::event::{Event, Listener, Stamped};
    use crate::playbook::{Location, Overrides};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Listener for Heard {
        fn hear(&self, stamped: &Stamped) {
            if let Event::Notice { text } = &stamped.event {
                self.0.lock().unwrap().push(text.clone());
            }
        }
    }

    /// What a dry-run knows, by name, when it is given these secrets; and what it said of the others.
    fn dry_run_given(secrets: &str) -> Result<(Vec<String>, Vec<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let (playbook, given) = (folder.path().join("p.yaml"), folder.path().join("secrets.yaml"));
        let declared = "{ key: ssm:/key, tls: s3://keys/tls.pem, env: ssm:/env/* }";
        std::fs::write(&playbook, format!("version: 1\nsecrets: {declared}\nsteps: []\n")).unwrap();
        std::fs::write(&given, secrets).unwrap();
        let playbook = Playbook::load(&Location::Path(playbook), &Overrides::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let aws = Aws::new(runtime.handle().clone());
        let (teller, heard) = (Teller::default(), Arc::new(Heard::default()));
        teller.add(heard.clone());
        let known = fetch_secrets(&playbook, &Scope::default(), &aws, Some(&given), Looks::Guesses, &teller)?.unwrap();
        let said = heard.0.lock().unwrap().clone();
        Ok((known.into_keys().collect(), said))
    }

    #[test]
    fn a_dry_run_goes_without_the_secrets_it_was_not_given_and_lists_them_once() {
        let (known, said) = dry_run_given("env: { PORT: \"8000\" }").unwrap();
        assert_eq!(known, ["env"]);
        let missing = "the file of `--secrets-from` does not hold `key`, `tls`; what needs them cannot be told";
        assert_eq!(said, [missing]);
        let (known, said) = dry_run_given("{ key: a, tls: b, env: {} }").unwrap();
        assert_eq!((known.len(), said.len()), (3, 0));
    }

    #[test]
    fn names_that_the_playbook_does_not_know_are_all_listed() {
        let error = dry_run_given("{ key: hunter2hunter2, tsl: hunter2hunter2, evn: {} }").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.causes().collect::<Vec<_>>(), ["the playbook's `secrets:` has no `tsl`, `evn`"]);
        assert_eq!(error.advice(), Some("it has `tls`, `env`, `key`"));
    }

    #[test]
    fn secrets_too_short_to_be_searched_for_are_named_and_no_others() {
        let secret = |text: &str| Sensitive::Secret(Secret::new(text));
        let map = [("PORT", secret("8000")), ("KEY", secret("long enough")), ("MODE", Sensitive::Plain("dev".into()))];
        let map = map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let secrets: IndexMap<String, Fetched> = [
            ("pin".to_owned(), Fetched::One(secret("1234567"))),
            ("key".to_owned(), Fetched::One(secret("12345678"))),
            ("empty".to_owned(), Fetched::One(secret(""))),
            ("env".to_owned(), Fetched::Map(map)),
        ]
        .into_iter()
        .collect();
        let said = too_short_to_search(&secrets).unwrap();
        assert!(said.ends_with(": `pin`, `env.PORT`"), "{said}");
        assert!(!said.contains("1234567") && !said.contains("8000"), "{said}");
        assert!(too_short_to_search(&IndexMap::new()).is_none());
    }
}
