//! Playbooks of several files: what each may name, and how each problem is told with its own file.

use std::path::Path;

use crate::playbook::{Location, Overrides, Playbook, Rendered, Scope};
use crate::step::{Outputs, Value};

const BASE: &str = "version: 1
vars:
  user: { required: true }
  home: \"/home/{{ user }}\"
steps:
  - id: conf
    directory: \"{{ home }}/conf\"
  - id: reload
    command: { argv: [\"true\"], on_change: [conf] }
  - id: last
    needs: [conf]
    command: { argv: [echo, \"{{ steps.conf.path }}\", \"{{ steps['conf'].path }}\"], always: true }
";

fn load(files: &[(&str, &str)]) -> Result<Playbook, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let location = Location::Path(folder.path().to_owned());
    Playbook::load(&location, &Overrides::default()).map_err(|problems| {
        let place = |problem: &crate::playbook::Problem| {
            problem.position.as_ref().map_or(String::new(), |position| {
                let file = Path::new(&*position.file).strip_prefix(folder.path()).unwrap().display().to_string();
                format!("{file}:{}:{} ", position.line, position.column)
            })
        };
        let told = |problem: &crate::playbook::Problem| {
            let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
            format!("{}{}{hint}", place(problem), problem.message).replace(&format!("{}/", folder.path().display()), "")
        };
        problems.0.iter().map(told).collect()
    })
}

fn refused(playbook: &str, more: &[(&str, &str)]) -> Vec<String> {
    let text = format!("version: 1\nvars: {{ who: app }}\nsteps:\n{playbook}");
    let mut files = vec![("playbook.yaml", text.as_str()), ("base.yaml", BASE)];
    files.extend(more);
    load(&files).map(|_| ()).unwrap_err()
}

#[test]
fn the_steps_of_another_file_take_the_place_of_the_entry() {
    let playbook = "version: 1
vars: { who: app }
steps:
  - id: conf
    directory: /srv/conf
  - include: { file: base.yaml, vars: { user: \"{{ who }}\" } }
  - id: other
    include: { file: base.yaml, vars: { user: other } }
  - command: { argv: [echo, \"{{ steps.base/conf.path }}\"], on_change: [conf, base/conf, other/conf] }
    needs: [other/last]
";
    let playbook = load(&[("playbook.yaml", playbook), ("base.yaml", BASE)]).unwrap();
    let ids: Vec<&str> = playbook.entries.iter().map(|entry| entry.id.as_deref().unwrap_or("-")).collect();
    assert_eq!(ids, ["conf", "base/conf", "base/reload", "base/last", "other/conf", "other/reload", "other/last", "-"]);
    assert_eq!(playbook.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    let [_, conf, reload, last, other, .., outside] = playbook.entries.as_slice() else { panic!("{ids:?}") };
    assert!(conf.position.file.ends_with("/base.yaml") && conf.position.line == 6, "{}", conf.position);
    assert_eq!(conf.label, "base/conf");
    assert_eq!(last.needs.as_deref(), Some(&["base/conf".to_owned()][..]));
    assert_eq!((last.uses.as_slice(), outside.uses.as_slice()), (&["base/conf".to_owned()][..], &["base/conf".to_owned()][..]));

    let scope = Scope { name: playbook.name.clone(), vars: playbook.vars.clone(), ..Scope::default() };
    let touches = |entry: &crate::playbook::Entry| format!("{:?}", entry.touches(&scope).unwrap().unwrap());
    assert!(touches(conf).contains("\"/home/app/conf\""), "{}", touches(conf));
    assert!(touches(other).contains("\"/home/other/conf\""), "the same file with other variables");
    assert_eq!(reload.touches(&scope).unwrap().unwrap().after, ["base/conf"]);
    let Rendered::Unknown { why } = last.render(&scope).unwrap() else { panic!("an output is needed") };
    assert!(why.contains("before step `base/conf` has run"), "{why}");
    let outputs = |path: &str| Outputs::from([("path".to_owned(), Value::from(path))]);
    let steps = [("conf".to_owned(), outputs("outer")), ("base/conf".to_owned(), outputs("inner"))].into();
    let scope = Scope { steps, ..scope };
    assert!(matches!(last.render(&scope).unwrap(), Rendered::Ready(_)));
    let Rendered::Ready(outside) = outside.render(&scope).unwrap() else { panic!("all of it is known") };
    assert_eq!(outside.touches().after, ["conf", "base/conf", "other/conf"]);
}

#[test]
fn files_include_files_and_paths_are_those_of_the_playbooks_folder() {
    let inner =
        "version: 1\nvars: { name_of: x }\nsteps:\n  - { id: a, file: { path: \"/srv/{{ name_of }}\", source: files/a } }\n";
    let outer = "version: 1\nvars: { n: y }\nsteps:\n  - include: { file: ./shared/inner.yaml, vars: { name_of: \"{{ n }}\" } }\n  - command: { argv: [\"true\"], on_change: [inner/a] }\n";
    let playbook = "version: 1\nsteps:\n  - include: outer.yaml\n  - command: { argv: [\"true\"], on_change: [outer/inner/a] }\n";
    let files = [("playbook.yaml", playbook), ("outer.yaml", outer), ("shared/inner.yaml", inner), ("files/a", "a")];
    let playbook = load(&files).unwrap();
    let scope = Scope::default();
    let after: Vec<_> = playbook.entries.iter().map(|entry| entry.touches(&scope).unwrap().unwrap().after).collect();
    assert_eq!(after, [vec![], vec!["outer/inner/a".to_owned()], vec!["outer/inner/a".to_owned()]]);
    assert_eq!(playbook.entries[0].id.as_deref(), Some("outer/inner/a"));
    assert!(format!("{:?}", playbook.entries[0].touches(&scope)).contains("\"/srv/y\""));
}

#[test]
fn what_is_wrong_with_an_entry_is_told_where_it_stands() {
    for (entry, said) in [
        ("  - include: { file: none.yaml }\n", "playbook.yaml:4:22 the file `none.yaml` cannot be read: "),
        ("  - include: { file: ../base.yaml }\n", "playbook.yaml:4:22 `../base.yaml` must lie beside the playbook; "),
        ("  - include: { file: /base.yaml }\n", "playbook.yaml:4:22 `/base.yaml` must lie beside the playbook; "),
        ("  - include: { file: \"{{ who }}\" }\n", "playbook.yaml:4:22 `include` needs the name of a `file`"),
        ("  - include: { vars: {} }\n", "playbook.yaml:4:14 `include` needs the name of a `file`"),
        (
            "  - include: base.yaml\n",
            "playbook.yaml:4:14 `base.yaml` needs a value for its variable `user`; give it here: `vars: { user: … }`",
        ),
        (
            "  - include: { file: base.yaml, vars: { usr: x, user: y } }\n",
            "playbook.yaml:4:41 the file has no variable `usr`; did you mean `user`?",
        ),
        ("  - include: { file: base.yaml, vars: { user: \"{{ nobody }}\" } }\n", "playbook.yaml:4:51 unknown variable `nobody`"),
        (
            "  - include: { file: base.yaml, vars: { user: x } }\n    when: \"true\"\n",
            "playbook.yaml:5:5 an `include` takes an `id` beside it, not `when`; ",
        ),
        (
            "  - id: \"1\"\n    include: { file: base.yaml, vars: { user: x } }\n",
            "playbook.yaml:4:9 `1` cannot stand before the ids of steps; ",
        ),
        (
            "  - include: { file: base.yaml, vars: { user: x } }\n  - include: { file: base.yaml, vars: { user: y } }\n",
            "playbook.yaml:5:5 two files are included as `base`; ",
        ),
        (
            "  - include: { file: base.yaml, vars: { user: x } }\n  - command: { argv: [a], on_change: [base/cnf] }\n",
            "playbook.yaml:5:39 there is no step `base/cnf` above this one; did you mean `base/conf`?",
        ),
        (
            "  - include: { file: base.yaml, vars: { user: x } }\n  - command: { argv: [a], on_change: [conf] }\n",
            "playbook.yaml:5:39 there is no step `conf` above this one",
        ),
        ("  - include: { file: playbook.yaml }\n", "playbook.yaml:4:22 this file includes itself: "),
    ] {
        let found = refused(entry, &[]);
        assert!(found.first().is_some_and(|first| first.starts_with(said)), "{entry}: {found:#?}");
    }
}

#[test]
fn what_is_wrong_in_an_included_file_is_told_with_its_name() {
    let include = "  - include: bad.yaml\n";
    for (text, said) in [
        ("version: 1\nsteps:\n  - director: /a\n", "bad.yaml:3:5 unknown step type `director`; did you mean `directory`?"),
        ("version: 1\nsteps:\n  - directory: \"/{{ who }}\"\n", "bad.yaml:3:21 unknown variable `who`"),
        (
            "version: 1\nsteps:\n  - command: { argv: [a], on_change: [base] }\n",
            "bad.yaml:3:39 there is no step `base` above this one",
        ),
        (
            "version: 1\nsecrets: {}\nsteps: []\n",
            "bad.yaml:2:1 an included file has `vars` and `steps`, and no `secrets`; it belongs into the playbook",
        ),
        (
            "version: 1\nstep: []\nsteps: []\n",
            "bad.yaml:2:1 an included file has `vars` and `steps`, and no `step`; did you mean `steps`?",
        ),
        ("version: 2\nsteps: []\n", "bad.yaml:1:10 this agent reads version 1"),
        ("steps: []\n", "bad.yaml:1:1 `version` is missing"),
        ("version: 1\n", "bad.yaml:1:1 `steps` is missing"),
        (
            "version: 1\nvars: { a: { required: true, one_of: [b] } }\nsteps: []\n",
            "playbook.yaml:4:14 `bad.yaml` needs a value for its variable `a`; give it here: `vars: { a: b }`",
        ),
        (
            "version: 1\nsteps:\n  - include: worse.yaml\n",
            "worse.yaml:3:14 this file includes itself: `bad.yaml`, then `worse.yaml`, then `bad.yaml`",
        ),
    ] {
        let found = refused(include, &[("bad.yaml", text), ("worse.yaml", "version: 1\nsteps:\n  - include: bad.yaml\n")]);
        assert!(found.first().is_some_and(|first| first.starts_with(said)), "{text}: {found:#?}");
    }
}

#[test]
fn a_few_lines_do_not_become_thousands_of_steps() {
    let ten = |next: &str| {
        let entry = |number| format!("  - {{ id: n{number}, include: {next} }}\n");
        let entries = (0..10).map(entry).collect::<Vec<_>>().concat();
        format!("version: 1\nsteps:\n{entries}")
    };
    let files: Vec<(String, String)> =
        (0..5).map(|number| (format!("f{number}.yaml"), ten(&format!("f{}.yaml", number + 1)))).collect();
    let mut all = vec![("f5.yaml", "version: 1\nsteps: []\n")];
    all.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let found = refused("  - include: f0.yaml\n", &all);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("more than 100 files are included"), "{found:#?}");
    let chain: Vec<(String, String)> = (0..12)
        .map(|number| (format!("d{number}.yaml"), format!("version: 1\nsteps:\n  - include: d{}.yaml\n", number + 1)))
        .collect();
    let all: Vec<(&str, &str)> = chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(refused("  - include: d0.yaml\n", &all)[0].contains("more than 8 deep"));
}
