//! Keeps what people read true: every playbook and every playbook in README is accepted, every command line in README parses, and
//! schema and reference beside the package are what the code says. `UPDATE=1 cargo test --test documentation` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read the tree has failed")]

use std::path::{Path, PathBuf};

use bootstrap_agent::playbook::{Location, Overrides, Playbook};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The fenced blocks of a Markdown text: their language and their lines.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, lines))) => *lines += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// A value for every variable that a playbook insists on: the first of its `one_of`, a digest where the name says so, else any text.
fn required(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| line.contains("required: true"))
        .filter_map(|line| {
            let name = line.split(':').next()?.trim().to_owned();
            let choices = line.split_once("one_of: [").map(|(_, rest)| rest.split([',', ']']).next().unwrap_or_default());
            let other = if name.ends_with("sha256") { "0".repeat(64) } else { "anything".to_owned() };
            Some((name, choices.map_or(other, |choice| choice.trim().to_owned())))
        })
        .collect()
}

fn accepted(path: &Path, overrides: &Overrides) {
    if let Err(problems) = Playbook::load(&Location::Path(path.to_owned()), overrides) {
        panic!("{}\n{problems}", path.display());
    }
}

/// The YAML files of a folder, none when there is no such folder.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    found.sort();
    found
}

/// Every playbook of the gallery: files, and folders with a `playbook.yaml`; recipes are files in a folder of their own.
fn gallery() -> Vec<PathBuf> {
    let top = root().join("playbooks");
    let folders = std::fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().path().join("playbook.yaml"));
    let mut found: Vec<_> = folders.filter(|path| path.is_file()).collect();
    found.extend(yaml_files(&top));
    found.extend(yaml_files(&top.join("recipes")));
    found
}

#[test]
fn every_playbook_is_accepted_in_every_environment() {
    let mut environments_seen = 0;
    for playbook in gallery() {
        let environments = yaml_files(&playbook.parent().unwrap().join("vars"));
        environments_seen += environments.len();
        for environment in &environments {
            accepted(&playbook, &Overrides { files: vec![environment.clone()], values: Vec::new() });
        }
        let values = required(&std::fs::read_to_string(&playbook).unwrap());
        accepted(&playbook, &Overrides { files: Vec::new(), values });
    }
    assert!(!gallery().is_empty() && environments_seen > 0, "no playbook, or no environment");
}

#[test]
fn every_playbook_in_the_readme_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for (language, text) in blocks(&readme()) {
        if language == "yaml" && text.lines().any(|line| line.starts_with("version:")) {
            let path = folder.path().join("README.yaml");
            std::fs::write(&path, &text).unwrap();
            accepted(&path, &Overrides { files: Vec::new(), values: required(&text) });
            seen += 1;
        }
    }
    assert!(seen > 0, "README shows no playbook");
}

/// The words of a command line as a shell would split them, up to whatever is not the agent's: a comment, a pipe, a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '#' | '|' | '>' | '&' | ';') => break,
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().unwrap().push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The agent's command lines in a block: with or without a prompt, `sudo` and variables before them.
fn command_lines(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| {
            let words = words(line.trim().trim_start_matches("$ "));
            let before = |word: &String| word == "sudo" || word.contains('=');
            let at = words.iter().position(|word| !before(word))?;
            (Path::new(&words[at]).file_name()? == "agent").then(|| words[at..].to_vec())
        })
        .collect()
}

#[test]
fn every_command_line_in_the_readme_parses() {
    let mut seen = 0;
    for (language, text) in blocks(&readme()) {
        if ["", "sh", "bash", "console", "text"].contains(&language.as_str()) {
            for line in command_lines(&text) {
                // A line that is cut short for the reader is no command line.
                if line.iter().any(|word| word.contains('…') || word == "...") {
                    continue;
                }
                if let Err(error) = bootstrap_agent::cli::command().try_get_matches_from(&line) {
                    let help = error.kind() == clap::error::ErrorKind::DisplayHelp
                        || error.kind() == clap::error::ErrorKind::DisplayVersion;
                    assert!(help, "`{}`: {error}", line.join(" "));
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "README shows no command line");
}

#[test]
fn a_command_line_is_found_wherever_a_reader_would() {
    let block = "$ sudo A=b agent run \\\n  --set 'x=a b' p.yaml # c\n  target/debug/agent check p > f\nnot agent\n";
    let expected = vec![vec!["agent", "run", "--set", "x=a b", "p.yaml"], vec!["target/debug/agent", "check", "p"]];
    assert_eq!(command_lines(block), expected);
    assert_eq!(blocks("a\n```sh\nx\n```\nb\n```\ny\n```\n"), [("sh".into(), "x\n".into()), (String::new(), "y\n".into())]);
    assert_eq!(required("  environment: { required: true, one_of: [prod, dev] }\n"), [("environment".into(), "prod".into())]);
}

fn helps(command: &clap::Command, name: &str) -> usize {
    let help = command.clone().render_long_help().to_string();
    assert!(help.contains("Example"), "`{name} --help` carries no example:\n{help}");
    let visible = command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help");
    1 + visible.map(|inner| helps(inner, &format!("{name} {}", inner.get_name()))).sum::<usize>()
}

#[test]
fn the_help_of_every_command_carries_an_example() {
    let seen = helps(&bootstrap_agent::cli::command(), "agent");
    assert!(seen > 6, "only {seen} commands");
}

/// Compares a file beside the package with what the code says, or writes it anew when asked to.
fn is_current(name: &str, text: &str) {
    let path = root().join("packaging").join(name);
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{} is not what the code says; UPDATE=1 cargo test --test documentation writes it", path.display());
}

#[test]
fn the_schema_beside_the_package_is_what_the_types_say() {
    let mut text = serde_json::to_string_pretty(&bootstrap_agent::playbook::schema()).unwrap();
    text.push('\n');
    for row in bootstrap_agent::steps::STEP_TYPES {
        assert!(text.contains(&format!("\"{}\"", row.kind)), "the schema does not know `{}`", row.kind);
    }
    is_current("playbook.schema.json", &text);
}

#[test]
fn the_reference_beside_the_package_is_what_the_code_says() {
    let text = bootstrap_agent::cli::reference::document(&bootstrap_agent::cli::command());
    for row in bootstrap_agent::steps::STEP_TYPES {
        assert!(text.contains(&format!("\n### `{}`\n", row.kind)), "the reference does not know `{}`", row.kind);
    }
    is_current("reference.md", &text);
}

/// The playbook that the walk from Ansible arrives at: its blocks of YAML, one after the other.
#[test]
fn the_walk_from_ansible_arrives_at_a_playbook_that_is_accepted() {
    let walk = std::fs::read_to_string(root().join("playbooks/from-ansible.md")).unwrap();
    let ansible = std::fs::read_to_string(root().join("tests/bench/ansible/playbook.yaml")).unwrap();
    let user_data = std::fs::read_to_string(root().join("tests/bench/ansible/ansible.sh")).unwrap();
    let blocks = blocks(&walk);
    let playbook: String = blocks.iter().filter(|(language, _)| language == "yaml").map(|(_, text)| text.as_str()).collect();
    let read = Playbook::parse("from-ansible.md", &playbook).unwrap_or_else(|problems| panic!("{playbook}\n{problems}"));
    let types = |playbook: &Playbook| playbook.entries.iter().map(|entry| entry.step_type.kind).collect::<Vec<_>>();
    let whole = Location::Path(root().join("playbooks/background-removal.yaml"));
    let whole = Playbook::load(&whole, &Overrides::default()).unwrap();
    assert_eq!(types(&read), types(&whole), "the walk arrives somewhere else");

    // What it quotes is what the bench runs.
    let mut quoted = 0;
    for (_, text) in blocks.iter().filter(|(language, _)| language == "yml" || language == "bash") {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "…") {
            assert!(ansible.contains(line) || user_data.contains(line), "`{line}` is in neither of the two");
            quoted += 1;
        }
    }
    assert!(quoted > 20, "only {quoted} lines are quoted");
    for (_, text) in blocks.iter().filter(|(language, _)| language == "sh") {
        for line in command_lines(text) {
            assert!(bootstrap_agent::cli::command().try_get_matches_from(&line).is_ok(), "`{}`", line.join(" "));
        }
    }
}

fn check_playbooks(folder: &Path) -> (bool, String) {
    let mut script = std::process::Command::new(root().join("packaging/ci/check-playbooks"));
    let said = script.arg(folder).env("AGENT", env!("CARGO_BIN_EXE_agent")).output().unwrap();
    (said.status.success(), format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr)))
}

#[test]
fn the_script_for_ci_accepts_our_playbooks_and_no_broken_one() {
    let (accepted, said) = check_playbooks(&root().join("playbooks"));
    assert!(accepted, "{said}");
    for environment in gallery().iter().flat_map(|playbook| yaml_files(&playbook.parent().unwrap().join("vars"))) {
        assert!(said.contains(&format!("--vars {}", environment.display())), "{} was not judged\n{said}", environment.display());
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(!check_playbooks(folder.path()).0, "nothing to judge is nothing to be content with");
    std::fs::create_dir(folder.path().join("vars")).unwrap();
    std::fs::write(folder.path().join("p.yaml"), "version: 1\nvars: { size: 1 }\nsteps:\n  - packages: [git]\n").unwrap();
    std::fs::write(folder.path().join("vars/prod.yaml"), "size: 2\n").unwrap();
    assert!(check_playbooks(folder.path()).0);
    std::fs::write(folder.path().join("vars/test.yaml"), "sise: 2\n").unwrap();
    let (accepted, said) = check_playbooks(folder.path());
    assert!(!accepted && said.contains("did you mean `size`?") && said.contains("2 judged, 1 failed"), "{said}");
}
