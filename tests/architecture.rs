//! Keeps the house as `src/lib.rs` draws it: layers, the table of step types, and the rules a grep can see.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test that cannot read the tree has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The layers, highest first; `src/lib.rs` declares the modules in this order.
fn layers() -> Vec<String> {
    let map = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let layers: Vec<String> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    assert!(layers.len() >= 10, "the map lists {layers:?}");
    layers
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the file holds unit tests or their tools only, and so is not in the binary.
fn is_test_code(path: &Path) -> bool {
    let tests = |part: &std::ffi::OsStr| ["tests", "tests.rs", "fakes.rs", "scripted.rs"].iter().any(|name| part == *name);
    path.components().any(|part| tests(part.as_os_str()))
}

/// Every source file of the binary below `folder`, relative to `src`, with its text up to its unit tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue; // Unit tests with a file or folder of their own.
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !is_test_code(path.strip_prefix(root()).unwrap())
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                found.push((path.strip_prefix(root().join("src")).unwrap().to_owned(), shipped));
            }
        }
    }
    assert!(!found.is_empty(), "no source below src/{folder}");
    found
}

/// The layer a file belongs to: its first folder, or its name.
fn layer_of(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn a_file_uses_only_what_stands_below_it() {
    let layers = layers();
    let mut wrong = Vec::new();
    for (path, text) in sources("") {
        let Some(own) = layers.iter().position(|layer| *layer == layer_of(&path)) else { continue };
        for (upper, layer) in layers.iter().enumerate().take(own) {
            let below_test_seam = path.starts_with("step.rs") || path.starts_with("step");
            // The contract and the world name each other: a step is handed facts, facts carry fingerprints.
            if below_test_seam && layer == "host" || own > upper && layer == "step" && layer_of(&path) == "host" {
                continue;
            }
            for (number, line) in text.lines().enumerate() {
                let code = line.trim_start();
                if !code.starts_with("//") && code.contains(&format!("crate::{layer}::")) {
                    wrong.push(format!("{}:{}: uses `{layer}`, which stands above it", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn step_types_never_use_each_other() {
    for (path, text) in sources("steps") {
        assert!(path.ends_with("mod.rs") || !text.contains("crate::steps::"), "{} uses another step type", path.display());
    }
}

#[test]
fn the_folder_of_steps_is_the_table_of_types() {
    let table: BTreeSet<String> = bootstrap_agent::steps::STEP_TYPES.iter().map(|row| row.kind.to_owned()).collect();
    let files: BTreeSet<String> = std::fs::read_dir(root().join("src/steps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .filter(|stem| stem != "mod")
        .collect();
    assert!(!table.is_empty());
    assert_eq!(table, files);
}

/// The playbook of a case; `None` where the case is that it is refused.
fn run_in(case: &Path) -> Option<String> {
    let settings = std::fs::read_to_string(case.join("case.yaml")).unwrap_or_default();
    let refused = settings.lines().any(|line| line.starts_with("refused: true"));
    if refused { None } else { std::fs::read_to_string(case.join("playbook.yaml")).ok() }
}

#[test]
fn every_step_type_has_a_case() {
    let cases = std::fs::read_dir(root().join("tests/cases")).unwrap();
    let text: String = cases.filter_map(|case| run_in(&case.unwrap().path())).collect();
    assert!(!text.is_empty(), "no case found");
    for row in bootstrap_agent::steps::STEP_TYPES {
        let used = text.lines().any(|line| line.trim_start().trim_start_matches("- ").starts_with(&format!("{}:", row.kind)));
        assert!(used, "no case in tests/cases uses the step type `{}`", row.kind);
    }
}

#[test]
fn secrets_are_exposed_in_host_and_the_renderer_only() {
    for (path, text) in sources("") {
        let allowed =
            ["host", "playbook", "secret", "secret.rs"].contains(&layer_of(&path).as_str()) || path.starts_with("secret.rs");
        assert!(allowed || !text.contains(".expose"), "{} exposes a secret", path.display());
    }
}

#[test]
fn only_command_health_and_reboot_build_guards() {
    for (path, text) in sources("") {
        let allowed = path.starts_with("host")
            || ["command", "health", "reboot"].iter().any(|step| path.ends_with(format!("steps/{step}.rs")));
        assert!(allowed || !text.contains("Guard::new"), "{} builds a guard", path.display());
    }
}

#[test]
fn only_the_terminal_prints() {
    for (path, text) in sources("") {
        let allowed = path.starts_with("cli/terminal.rs") || path.starts_with("cli/terminal");
        let prints = ["println!", "eprintln!", "print!(", "stdout()", "stderr()"].iter().any(|word| text.contains(word));
        assert!(allowed || path.starts_with("host") || !prints, "{} prints", path.display());
    }
}

#[test]
fn the_outside_world_is_touched_in_host_only() {
    let forbidden =
        ["std::fs::", "std::process::Command", "std::net::", "std::thread::sleep", "std::env::var", "SystemTime::now"];
    for (path, text) in sources("steps").into_iter().chain(sources("playbook")) {
        for word in forbidden {
            let code = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(word));
            assert!(!code, "{} uses `{word}`; ask `host/` instead", path.display());
        }
    }
}

#[test]
fn every_file_says_why_it_exists_and_holds_one_idea() {
    let mut lengths = Vec::new();
    for (path, text) in sources("") {
        assert!(text.starts_with("//!"), "{} does not say why it exists", path.display());
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines before its tests: two ideas in one room", path.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    println!("{} files, median {} lines", lengths.len(), lengths[lengths.len() / 2]);
}

/// The literals that follow these words in a text.
fn literals(text: &str, before: &[&str]) -> BTreeSet<String> {
    let after =
        |word: &&str| text.split(*word).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect::<Vec<_>>();
    before.iter().flat_map(after).collect()
}

#[test]
fn what_a_step_gives_to_later_steps_is_what_it_says_it_gives() {
    let mut given = 0;
    for row in bootstrap_agent::steps::STEP_TYPES {
        let own = |path: &Path| {
            path.file_stem().is_some_and(|stem| stem == row.kind) || path.components().any(|part| part.as_os_str() == row.kind)
        };
        let code: String = sources("steps").into_iter().filter(|(path, _)| own(path)).map(|(_, text)| text).collect();
        let mut found = literals(&code, &["with_output(\"", "outputs.insert(\""]);
        if let Some((_, map)) = code.split_once("Outputs::from_iter([") {
            found.extend(literals(map.split("])").next().unwrap_or_default(), &["(\""]));
        }
        let said: BTreeSet<String> = row.outputs.iter().map(|(name, _)| (*name).to_owned()).collect();
        given += found.len();
        assert_eq!(found, said, "`{}` in its code and in its `OUTPUTS`", row.kind);
    }
    assert!(given > 10, "only {given} outputs found");
}
