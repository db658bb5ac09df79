//! Whole playbooks with small step types of our own: the text in, every problem with its place out.

mod rendering;

use std::fmt::Display;

use super::*;
use crate::error::Result as Outcome;
use crate::host::{Facts, Host};
use crate::playbook::{Fetched, Rendered, Wanted};
use crate::secret::{Secret, Sensitive};
use crate::step::fields::{AbsolutePath, Mode};
use crate::step::{Finding, Outputs, Step, Thing, Touches, Value as Output};

/// What a test step never has.
struct NoChange;

impl Display for NoChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no change")
    }
}

/// A file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    path: AbsolutePath,
    #[serde(default)]
    content: Option<Sensitive>,
    #[serde(default)]
    #[schemars(extend("x-template" = true))]
    template: Option<Sensitive>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    values: IndexMap<String, Sensitive>,
    #[serde(default)]
    restart_on: Vec<String>,
}

impl Step for Note {
    const KIND: &'static str = "note";
    const EXAMPLE: &'static str = "";
    type Change = NoChange;

    fn touches(&self) -> Touches {
        // What it would be made of.
        let made_of = self.values.keys().cloned().chain(self.mode.map(|mode| mode.to_string()));
        let touches = made_of.fold(Touches::nothing(), |touches, word| touches.read(Thing::Group(word)));
        touches.write_path(&*self.path).after(&self.restart_on)
    }

    fn problems(&self) -> Vec<String> {
        let both = self.content.is_some() && self.template.is_some();
        both.then(|| "`content` and `template` exclude each other".to_owned()).into_iter().collect()
    }

    /// Its parts as outputs, which is how the tests see what was rendered.
    fn check(&self, _: &Facts) -> Outcome<Finding<NoChange>> {
        Ok(Finding::done())
    }

    fn apply(&self, _: &NoChange, _: &Host) -> Outcome<()> {
        Ok(())
    }
}

/// A program.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shout {
    words: Vec<String>,
    #[serde(default)]
    run_as: Option<String>,
    #[serde(default)]
    times: Option<u8>,
    #[serde(default)]
    ready_within: Option<Span>,
    #[serde(rename = "Unit", default)]
    unit: IndexMap<String, String>,
    #[serde(rename = "Install", default)]
    install: IndexMap<String, String>,
}

impl Step for Shout {
    const KIND: &'static str = "shout";
    const EXAMPLE: &'static str = "";
    const SHORTHAND: Option<&'static str> = Some("words");
    type Change = NoChange;

    fn touches(&self) -> Touches {
        let words = self.words.iter().fold(Touches::nothing(), |touches, word| touches.read(Thing::Group(word.clone())));
        let more = self.unit.keys().chain(self.install.keys()).cloned();
        let more = more.chain(self.times.map(|times| times.to_string())).chain(self.ready_within.map(|span| span.to_string()));
        more.fold(words.read_user(self.run_as.as_deref()), |touches, word| touches.read(Thing::Unit(word)))
    }

    fn check(&self, _: &Facts) -> Outcome<Finding<NoChange>> {
        Ok(Finding::done())
    }

    fn apply(&self, _: &NoChange, _: &Host) -> Outcome<()> {
        Ok(())
    }
}

const TYPES: &[StepType] = &[StepType::of::<Note>(), StepType::of::<Shout>()];

fn load_in(folder: &std::path::Path, text: &str, set: &[(&str, &str)]) -> Result<Playbook, Problems> {
    let values = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let text = Text {
        label: "p".into(),
        stem: "stem".into(),
        beside: Beside::Folder(folder.to_owned()),
        content: text.to_owned(),
        digest: String::new(),
    };
    read(text, &Overrides { files: Vec::new(), values }, TYPES)
}

fn load(text: &str) -> Result<Playbook, Problems> {
    load_in(std::path::Path::new("."), text, &[])
}

fn said(result: Result<Playbook, Problems>) -> Vec<String> {
    let problems = result.err().map(|problems| problems.0).unwrap_or_default();
    let line = |problem: Problem| {
        let place = problem.position.map(|at| format!("{}:{} ", at.line, at.column)).unwrap_or_default();
        format!("{place}{}{}", problem.message, problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default())
    };
    problems.into_iter().map(line).collect()
}

const HEAD: &str = "version: 1\nvars: { user: ubuntu, n: 3 }\nsecrets: { key: ssm:/k, all: 'ssm:/a/*' }\nsteps:\n";

/// Steps begin in line 5.
fn steps(text: &str) -> Result<Playbook, Problems> {
    load(&format!("{HEAD}{text}"))
}

#[test]
fn the_document_is_checked_key_by_key() {
    for (text, expected) in [
        ("name: x\n", "1:1 `version` is missing; begin with `version: 1`"),
        ("version: 2\nstepz: []\n", "1:10 this agent reads version 1 of the language, not `2`; a newer agent may read it"),
        ("- a\n", "1:1 a playbook is a map, not a list; it begins with `version: 1`"),
        ("version: 1\nstep: []\nsteps: []\n", "2:1 unknown key `step`; did you mean `steps`?"),
        ("version: 1\n", "1:1 `steps` is missing"),
        ("version: 1\nsteps: {}\n", "2:8 `steps` is a list, not a map"),
        (
            "version: 1\non_failure: abandom\nsteps: []\n",
            "2:13 `abandom` is not one of `abandon`, `continue`; did you mean `abandon`?",
        ),
        (
            "version: 1\nrequires: '>=99'\nsteps: []\n",
            "2:11 this playbook requires an agent `>=99`, and this one is 0.1.0; install a newer agent",
        ),
        ("version: 1\nlifecycle: { grup: x }\nsteps: []\n", "2:14 unknown key `grup`; did you mean `group`?"),
        (
            "version: 1\nlogs: { group: aws/x }\nsteps: []\n",
            "2:16 `aws/x` is not the name of a log group: letters, digits and `._-/#`, not beginning with `aws/`",
        ),
        (
            "version: 1\nvars: { keep: 8d }\nlogs: { group: a, retention: '{{ keep }}' }\nsteps: []\n",
            "3:30 the service cannot keep logs for `8d`; it can for 1d, 3d, 5d, 7d, 14d, 30d, 60d, 90d, 120d, 150d, 180d, 365d, 400d, 545d, 731d, 1096d, 1827d, 2192d, 2557d, 2922d, 3288d, 3653d",
        ),
        (
            "version: 1\nlogs: { group: a, tags: { 'aws:x': y } }\nsteps: []\n",
            "2:27 `aws:x` is not the key of a tag: at most 128 letters, digits, spaces and `_.:/=+-@`, not beginning with `aws:`",
        ),
        (
            "version: 1\nvars: { team: 'a?' }\nlogs: { group: a, tags: { team: '{{ team }}' } }\nsteps: []\n",
            "3:33 `a?` is not the value of a tag: at most 256 letters, digits, spaces and `_.:/=+-@`",
        ),
        (
            "version: 1\nlogs:\n  group: a\n  sources:\n  - file: /var/log/a\n    unit: a.service\nsteps: []\n",
            "5:5 a log source has exactly one of `file`, `unit`, `identifier` and `kernel`",
        ),
        (
            "version: 1\nlogs:\n  group: a\n  sources:\n  - file: var/log/a\nsteps: []\n",
            "5:11 the log file `var/log/a` must be an absolute path",
        ),
        (
            "version: 1\nlogs:\n  group: a\n  mask:\n    patterns: ['[A-Z]{6}', 'x*']\nsteps: []\n",
            "5:28 `x*` cannot be a mask: it matches everything",
        ),
        ("version: 1\nlogs: { group: '{{ nam }}' }\nsteps: []\n", "2:20 unknown variable `nam`; did you mean `name`?"),
        (
            "version: 1\nlogs: { group: '{{ secrets.k }}' }\nsecrets: { k: ssm:/k }\nsteps: []\n",
            "2:16 a secret is not allowed here; file contents, env files, keys, passwords, and a command's `env` and `stdin` take secrets",
        ),
        (
            "version: 1\ndeadline: '{{ instance.id }}'\nsteps: []\n",
            "2:11 `deadline` must be known before the run; vars may be used here, nothing else",
        ),
        (
            "version: 1\nvars: { name: x }\nsteps: []\n",
            "2:9 a variable cannot be called `name`; expressions know this word already",
        ),
        (
            "version: 1\nvars: { a-b: x }\nsteps: []\n",
            "2:9 `a-b` is no name for a variable: letters, digits and `_` make one; write `a_b`; in an expression `-` subtracts",
        ),
        (
            "version: 1\nvars: { a: '{{ secrets.k }}' }\nsecrets: { k: ssm:/k }\nsteps: []\n",
            "2:12 a secret is not allowed here; variables are shown to everybody; use `secrets.…` in the step itself",
        ),
        (
            "version: 1\nvars: { e: { required: true, one_of: [prod, dev] } }\nsteps: []\n",
            "2:9 the variable `e` has no value; give it with `--set e=prod` or in a file with `--vars FILE`",
        ),
        (
            "version: 1\nvars: { e: { default: x, requird: true } }\nsteps: []\n",
            "2:26 unknown key `requird` in the declaration of `e`; did you mean `required`?",
        ),
        ("version: 1\nsecrets: { k: { form: ssm:/k } }\nsteps: []\n", "2:17 unknown key `form`; did you mean `from`?"),
    ] {
        assert_eq!(said(load(text)).first().map(String::as_str), Some(expected), "{text}");
    }
    assert_eq!(said(load("version: 1\nx-mine: {a: 1}\nsteps: []\n")), [""; 0]);
}

#[test]
fn every_problem_of_a_step_is_told_with_its_place() {
    for (text, expected) in [
        ("- nota: {}\n", "5:3 unknown step type `nota`; did you mean `note`?"),
        ("- zzzzzz: {}\n", "5:3 unknown step type `zzzzzz`; the step types are note, shout"),
        ("- id: x\n", "5:3 this step has no type; the step types are note, shout"),
        ("- just text\n", "5:3 a step is a map such as `packages: [git]`, not text"),
        (
            "- shout: [a]\n  note: {path: /a}\n",
            "6:3 a step has one type, and this one is a `shout` already; begin a new step: `- note:`",
        ),
        ("- shout: [a]\n  neds: []\n", "6:3 unknown key `neds`; did you mean `needs`?"),
        ("- note:\n  path: /a\n", "6:3 unknown key `path`; `path` belongs under `note:`; indent it"),
        ("- include: { fil: x }\n", "5:14 unknown key `fil`; did you mean `file`?"),
        ("- note: /a\n", "5:9 `note` takes a map of fields, not text"),
        ("- note: {path: a}\n", "5:16 `a` cannot stand here; it must be an absolute path without `..`"),
        (
            "- note: {path: /a, mode: 644x}\n",
            "5:26 `644x` cannot stand here; it must be permission bits in octal, quoted: `\"0640\"`",
        ),
        ("- note: {path: /../a}\n", "5:16 `/../a` must not contain `..`"),
        ("- note: {path: /a, content: b, template: Cargo.toml}\n", "5:3 `content` and `template` exclude each other"),
        ("- note: {path: '/{{ usr }}'}\n", "5:21 unknown variable `usr`; did you mean `user`?"),
        ("- note: {path: '{{ user }}'}\n", "5:16 `ubuntu` cannot stand here; it must be an absolute path without `..`"),
        ("- note: {path: /a, content: '{{ secrets.kye }}'}\n", "5:33 unknown secret `kye`; did you mean `key`?"),
        (
            "- shout: ['{{ secrets.key }}']\n",
            "5:11 a secret is not allowed here; file contents, env files, keys, passwords, and a command's `env` and `stdin` take secrets",
        ),
        (
            "- note: {path: /a, content: 'x {{ user'}\n",
            "5:32 this `{{` is never closed; for the text itself write `{{ \"{{\" }}`",
        ),
        (
            "- note: {path: /a, template: ../x}\n",
            "5:30 `../x` must lie beside the playbook; a template's path is relative to the playbook's folder, without `..`",
        ),
    ] {
        assert_eq!(said(steps(text)), [expected], "{text}");
    }
}

#[test]
fn the_common_keys_are_checked_like_the_fields() {
    for (text, expected) in [
        ("- shout: [a]\n  retries: -1\n", "6:12 `-1` is less than 0"),
        (
            "- shout: [a]\n  may_fail: yes\n",
            "6:13 `true` or `false` is expected here, not `yes`; write `true`; older YAML read this word as a truth value",
        ),
        ("- shout: [a]\n  timeout: '{{ n }}'\n", "6:12 `timeout` cannot be an expression"),
        (
            "- shout: [a]\n  when: '{{ n }}'\n",
            "6:9 `when` is a bare expression; leave the braces out: `when: environment == \"prod\"`",
        ),
        (
            "- shout: [a]\n  when: secrets.key == 'x'\n",
            "6:9 a secret is not allowed here; whether a step runs would tell about the secret",
        ),
        ("- shout: [a]\n  when: m == 3\n", "6:9 unknown variable `m`; did you mean `n`?"),
        (
            "- note: {path: /a}\n  run_as: x\n",
            "6:11 `note` takes no `run_as`; use the step's `owner`; `run_as` is for steps that start a program of yours",
        ),
        (
            "- {id: a, shout: [a]}\n- {id: a, shout: [b]}\n",
            "6:8 the id `a` is here twice; first in line 5; ids are how steps name each other; choose another",
        ),
        (
            "- {id: code, shout: [a]}\n- {needs: [coed], shout: [b]}\n",
            "6:12 there is no step `coed` above this one; did you mean `code`?",
        ),
        (
            "- {needs: b, shout: [b]}\n- {id: b, shout: [a]}\n",
            "5:11 step `b` does not stand above this one; a step can wait for steps above it only; move one of them",
        ),
        (
            "- {id: code, shout: [a]}\n- note: {path: '/{{ user }}', restart_on: [cod]}\n",
            "6:44 there is no step `cod` above this one; did you mean `code`?",
        ),
        (
            "- shout: ['{{ steps.late.x }}']\n- {id: late, shout: [a]}\n",
            "5:15 step `late` does not stand above this one; a step can use the outputs of steps above it",
        ),
        ("- shout: {words: [a], times: '{{ user }}'}\n", "5:30 a whole number is expected here, not the text `ubuntu`"),
    ] {
        assert_eq!(said(steps(text)), [expected], "{text}");
    }
    assert_eq!(said(steps("- nota: {}\n- note: {mode: x}\n- shout: [a]\n  wehn: x\n")).len(), 4);
}

#[test]
fn vars_may_use_those_above_and_are_overridden_with_their_type_kept() {
    let text = "version: 1\nvars:\n  env: { default: prod, one_of: [prod, dev] }\n  port: 8000\n  zip: '01234'\n  url: 'http://{{ env }}:{{ port }}'\n  \
                lazy: 1.10\n  list: [a]\nsteps: []\n";
    let vars =
        |set: &[(&str, &str)]| load_in(std::path::Path::new("."), text, set).map(|playbook| serde_json::json!(playbook.vars));
    let expected = serde_json::json!({
        "env": "prod", "port": 8000, "zip": "01234", "url": "http://prod:8000", "lazy": "1.10", "list": ["a"]
    });
    assert_eq!(vars(&[]).unwrap(), expected);
    let changed = vars(&[("env", "dev"), ("port", "9"), ("zip", "7"), ("list", "[b, c]")]).unwrap();
    let expected = serde_json::json!({
        "env": "dev", "port": 9, "zip": "7", "url": "http://dev:9", "lazy": "1.10", "list": ["b", "c"]
    });
    assert_eq!(changed, expected);
    let refused = |set| said(load_in(std::path::Path::new("."), text, set));
    assert_eq!(refused(&[("env", "dve")]), ["1:1 `env` is `dve`, which is not one of `prod`, `dev`; did you mean `dev`?"]);
    assert_eq!(refused(&[("prt", "1")]), ["`--set prt=…`: the playbook has no variable `prt`; did you mean `port`?"]);
}

#[test]
fn vars_files_are_checked_for_unknown_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prod.yaml");
    std::fs::write(&file, "user: root\nusr: x\n").unwrap();
    let overrides = Overrides { files: vec![file.clone()], values: Vec::new() };
    let load = || {
        let content = "version: 1\nvars: { user: a }\nsteps: []\n".to_owned();
        let text = Text { label: "p".into(), stem: "s".into(), beside: Beside::Nothing, content, digest: String::new() };
        read(text, &overrides, TYPES)
    };
    assert_eq!(said(load()), ["2:1 the playbook has no variable `usr`; did you mean `user`?"]);
    std::fs::write(&file, "user: root\n").unwrap();
    assert_eq!(load().unwrap().vars["user"], "root");
}

#[test]
fn the_schema_knows_every_key_and_accepts_what_the_reader_accepts() {
    let schema = crate::playbook::schema::of(TYPES);
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), KEYS);
    let step = schema["properties"]["steps"]["items"]["properties"].as_object().unwrap();
    for key in ["id", "needs", "when", "run_as", "note", "shout"] {
        assert!(step.contains_key(key), "{key}");
    }
    // Every reference has a target.
    let text = schema.to_string();
    let references: Vec<&str> = text.split("\"#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 5);
    for name in references {
        assert!(schema["$defs"].get(name).is_some(), "{name} has no definition");
    }
    // `times` is a number or an expression; `words` may stand for the whole step.
    let shout = &schema["$defs"]["Shout"]["properties"]["times"]["anyOf"];
    assert_eq!(shout[1], serde_json::json!({ "$ref": "#/$defs/Expression" }));
    assert_eq!(step["shout"]["anyOf"].as_array().unwrap().len(), 2);
}

#[test]
fn what_only_a_boot_would_show_is_warned_about() {
    let text = "version: 1\ndeadline: 7m\nsteps:\n\
                - shout: { words: [a], Unit: { After: a.service cloud-final.service } }\n\
                - shout: { words: [a], Unit: { After: cloud-final.service }, Install: { WantedBy: cloud-init.target } }\n\
                - shout: { words: [a], ready_within: 8m }\n\
                - { shout: [a], timeout: 1h }\n\
                - { shout: { words: [a], ready_within: 3m }, timeout: 1m }\n";
    let warnings = load(text).unwrap().warnings;
    let told: Vec<String> = warnings.iter().map(|w| format!("{}: {}", w.position.as_ref().unwrap(), w.message)).collect();
    assert_eq!(
        told,
        [
            "p:4:39: cloud-final.service itself waits for multi-user.target, so this unit would never be started at boot",
            "p:6:38: `ready_within` is 8m, and the whole run has 7m",
            "p:7:5: the step's `timeout` is 1h, and the whole run has 7m",
        ]
    );
}
