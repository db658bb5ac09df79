//! What the service that ships is configured with: a `logs:` block as a playbook has it, in a file of its own, with the names of
//! the secrets that have to be masked. A run writes it from its playbook; it can be written by hand as well.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::block::Block;
use super::document::Text;
use super::evaluate::{Evaluator, Without};
use super::frame::Frame;
use super::names::Declared;
use super::node::{Key, Node, NodeKind};
use super::secrets::Secrets;
use super::shape::did_you_mean;
use super::source::Source;
use super::{Fetched, InstanceValues, Location, Overrides, Playbook, Problem, Problems, Scope};
use super::{expression, load, log_rules, secrets, vars, yaml};
use crate::error::{Error, Kind, Result};
use crate::host::aws::SecretSource;
use crate::logs::settings::LogSettings;

/// What a configuration may have. A whole playbook is one, too.
const KEYS: &[&str] = &["version", "name", "vars", "instance", "logs", "secrets"];

/// A configuration of the service.
#[derive(Debug)]
pub struct LogConfiguration {
    name: String,
    /// Whose logs these are: a copy of the file in an image is nobody's.
    instance: Option<String>,
    vars: IndexMap<String, Json>,
    frame: Arc<Frame>,
    logs: Block<LogSettings>,
    secrets: Secrets,
}

impl LogConfiguration {
    /// Reads the file: a map with `logs:`, or the block itself.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        read(load::fetch(&Location::Path(path.to_owned()), std::time::Duration::ZERO)?)
    }

    /// The instance it was written for.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// What is shipped.
    ///
    /// # Errors
    /// When an expression does not render; of kind `Missing` when it depends on an instance and there is none.
    pub fn settings(&self, values: &InstanceValues) -> Result<LogSettings> {
        self.logs.render(&self.scope(values))
    }

    /// Where the secrets are.
    ///
    /// # Errors
    /// As [`LogConfiguration::settings`].
    pub fn secret_sources(&self, values: &InstanceValues) -> Result<IndexMap<String, SecretSource>> {
        self.secrets.sources(&self.frame, &self.scope(values))
    }

    /// What was fetched, with `secret: true` honoured.
    #[must_use]
    pub fn classify(&self, fetched: IndexMap<String, Fetched>) -> IndexMap<String, Fetched> {
        self.secrets.classify(fetched)
    }

    fn scope(&self, values: &InstanceValues) -> Scope {
        Scope { name: self.name.clone(), vars: self.vars.clone(), values: values.clone(), ..Scope::default() }
    }
}

fn read(text: Text) -> Result<LogConfiguration, Problems> {
    let source = Arc::new(Source::new(&text.label, &text.content));
    let root = yaml::read(&source, &text.content)?;
    let whole = root.member("logs");
    let block = whole.unwrap_or(&root);
    if !matches!(block.kind, NodeKind::Map(_)) {
        return Err(source.problem(block.mark, format!("the `logs` block is a map, not {}", block.noun())).into());
    }
    let mut problems = Vec::new();
    let around: &[(Key, Node)] = if whole.is_some() { root.members() } else { &[] };
    let is_playbook = root.member("steps").is_some();
    for (key, _) in around.iter().filter(|(key, _)| !is_playbook && !KEYS.contains(&key.text.as_str())) {
        let problem = source.problem(key.mark, format!("unknown key `{}`", key.text));
        problems.push(Problem { hint: did_you_mean(&key.text, KEYS.iter().copied()), ..problem });
    }
    let around = |name: &str| around.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
    let name = around("name").and_then(Node::text).filter(|name| !expression::is_in(name)).unwrap_or(&text.stem).to_owned();
    let mut scope = Scope { name: name.clone(), ..Scope::default() };
    let secrets = secrets::read(around("secrets"), &source, &mut problems);
    let declared = Declared { secrets: secrets.kinds(), ..Declared::default() };
    let bare = Frame { source: Arc::clone(&source), declared: Arc::new(declared), beside: text.beside };
    let vars = vars::resolve(around("vars"), &vars::Giver::CommandLine(&Overrides::default()), &bare, &scope, &mut problems);
    let declared = Declared { vars: vars.names, secrets: secrets.kinds(), ..Declared::default() };
    let frame = Arc::new(Frame { declared: Arc::new(declared), ..bare });
    scope.vars = vars.values;
    secrets.check(&frame, &scope, &mut problems);
    let logs = Block::<LogSettings>::new(block, &frame, &mut problems);
    log_rules::check(block, &frame, &Evaluator::new(&scope, &frame.declared, Without::Unknown), &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let instance = around("instance").and_then(Node::text).map(str::to_owned);
    Ok(LogConfiguration { name, instance, vars: scope.vars, frame, logs, secrets })
}

impl Playbook {
    /// The configuration of the service, for these settings of ours on this instance: everything rendered, no secret in it.
    ///
    /// # Errors
    /// When the name of a secret does not render.
    pub fn log_configuration(&self, settings: &LogSettings, scope: &Scope, instance: &str) -> Result<String> {
        let kinds = self.secrets.kinds();
        let mut secrets = Map::new();
        for (name, source) in self.secret_sources(scope)? {
            // What the playbook insists is no secret need not be masked.
            let insists = kinds.get(&name).and_then(|kind| kind.secret);
            if insists != Some(false) {
                let declaration = json!({ "from": source.to_string(), "secret": insists.unwrap_or(false) });
                secrets.insert(name, if insists.is_some() { declaration } else { json!(source.to_string()) });
            }
        }
        let bug = |error: serde_json::Error| Error::from_source(Kind::Bug, &error);
        let logs = serde_json::to_value(settings).map_err(bug)?;
        let whole = json!({ "version": 1, "name": self.name, "instance": instance, "logs": logs, "secrets": secrets });
        serde_json::to_string_pretty(&literal(whole)).map_err(bug)
    }
}

/// As a file of ours says it: without what is not there, and with no text that could be taken for an expression.
#[must_use]
pub fn literal(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, literal(value))).collect()
        }
        Json::Array(items) => items.into_iter().map(literal).collect(),
        Json::String(text) if expression::is_in(&text) => format!("{{{{ {} }}}}", Json::String(text)).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<LogConfiguration, Problems> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs.yaml");
        std::fs::write(&path, text).unwrap();
        LogConfiguration::load(&path)
    }

    fn values() -> InstanceValues {
        InstanceValues { instance: Some(json!({ "id": "i-1" })), ..InstanceValues::default() }
    }

    #[test]
    fn a_block_by_itself_and_one_of_a_playbook_are_read_alike() {
        let block = "group: g\nstream: '{{ instance.id }}'\nsources:\n- file: /var/log/a.log\n";
        let indented = format!("  {}\n", block.trim_end().replace('\n', "\n  "));
        let bare = load(block).unwrap().settings(&values()).unwrap();
        assert_eq!((bare.group.as_str(), bare.stream.as_deref(), bare.sources.len()), ("g", Some("i-1"), 1));
        for around in ["", "vars: { a: b }\n", "version: 1\nsteps: []\ndeadline: 5m\n"] {
            let whole = load(&format!("{around}logs:\n{indented}")).unwrap();
            assert_eq!(whole.settings(&values()).unwrap(), bare);
            assert_eq!(whole.settings(&InstanceValues::default()).unwrap_err().kind(), Kind::Missing);
        }
    }

    #[test]
    fn problems_are_told_with_their_place() {
        let problems = load("logs:\n  group: aws/x\n  sourcs: []\nsecret: {}\n").unwrap_err().to_string();
        for said in ["2:10", "3:3", "did you mean `sources`", "did you mean `secrets`"] {
            assert!(problems.contains(said), "{said} is missing in {problems}");
        }
        assert!(load("- a\n").is_err());
    }

    #[test]
    fn what_a_run_writes_is_what_it_means() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        let text = "version: 1\nname: shop\nvars: { e: prod }\n\
            secrets:\n  key: ssm:/k\n  all: ssm:/{{ e }}/*\n  open: { from: ssm:/o, secret: false }\n  sealed: { from: ssm:/s, secret: true }\n\
            logs:\n  group: /{{ name }}\n  retention: 7d\n  mask: { patterns: ['a{3}'] }\n  sources:\n  - { unit: a.service, stream: \"ü '{{ e }}' {{ '{' ~ '{x' }}\" }\n\
            steps: []\n";
        std::fs::write(&path, text).unwrap();
        let playbook = Playbook::load(&Location::Path(path), &Overrides::default()).unwrap();
        let scope = Scope { name: playbook.name.clone(), vars: playbook.vars.clone(), ..Scope::default() };
        let settings = playbook.logs(&scope).unwrap().unwrap();
        let written = playbook.log_configuration(&settings, &scope, "i-7").unwrap();
        let read = load(&written).unwrap();
        assert_eq!(read.instance(), Some("i-7"));
        assert_eq!(read.settings(&InstanceValues::default()).unwrap(), settings);
        assert_eq!(settings.sources.first().and_then(|source| source.stream.as_deref()), Some("ü 'prod' {{x"));
        let sources = read.secret_sources(&InstanceValues::default()).unwrap();
        let sources: Vec<String> = sources.iter().map(|(name, source)| format!("{name} {source}")).collect();
        assert_eq!(sources, ["key ssm:/k", "all ssm:/prod/*", "sealed ssm:/s"]);
        assert!(!written.contains("null"));
    }
}
