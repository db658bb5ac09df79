//! The way over, on playbooks and cloud-configs as people write them: what they become (`expected.yaml`), what is said about them
//! (`report.txt`), that the one passes `agent check`, and that no task is lost on the way.
//!
//! `UPDATE=1 cargo test --test import` writes both files anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read the tree has failed")]

use std::path::{Path, PathBuf};

use bootstrap_agent::import::{Imported, Verdict, Wish, import};
use bootstrap_agent::playbook::{Location, Overrides, Playbook};

/// The file, what is given with `--set`, and how much of it may get lost: a better translation lowers the number.
struct Sample {
    file: &'static str,
    given: &'static [(&'static str, &'static str)],
    tasks: (usize, usize),
}

const SAMPLES: [Sample; 6] = [
    Sample {
        file: "tests/bench/ansible/playbook.yaml",
        given: &[("bucket", "project-artifacts"), ("installer", "pip"), ("instance_id", "unused")],
        tasks: (16, 16),
    },
    Sample { file: "tests/import/node-web/site.yml", given: &[], tasks: (26, 28) },
    Sample { file: "tests/import/django/playbook.yml", given: &[("env_name", "staging")], tasks: (22, 24) },
    Sample { file: "tests/import/jenkins/main.yml", given: &[], tasks: (16, 17) },
    Sample { file: "tests/import/docker-host/user-data.yml", given: &[], tasks: (21, 25) },
    Sample { file: "tests/import/worker/cloud-config.yaml", given: &[], tasks: (18, 20) },
];

/// Where a sample's expected files are: beside it, or where they are not in somebody else's way.
fn folder(sample: &Sample) -> PathBuf {
    let own = Path::new(sample.file).parent().unwrap().to_owned();
    if own.starts_with("tests/import") { own } else { PathBuf::from("tests/import/bench") }
}

fn imported(sample: &Sample) -> Imported {
    let values = sample.given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let overrides = Overrides { files: Vec::new(), values };
    import(&Wish { path: Path::new(sample.file), overrides: &overrides, hosts: None })
        .unwrap_or_else(|problems| panic!("{}\n{problems}", sample.file))
}

#[test]
fn samples_become_what_is_expected_of_them() {
    for sample in &SAMPLES {
        let imported = imported(sample);
        for (name, found) in [("expected.yaml", imported.text.clone()), ("report.txt", imported.report.text())] {
            let path = folder(sample).join(name);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                expected == found,
                "{} is not what it was; `UPDATE=1 cargo test --test import` writes it anew\n{found}",
                path.display()
            );
        }
        if std::env::var_os("UPDATE").is_some() {
            continue;
        }
        let share = imported.report.tasks();
        assert_eq!((share.done, share.all), sample.tasks, "{}", sample.file);
    }
}

#[test]
fn what_comes_of_it_passes_check() {
    for sample in &SAMPLES {
        let text = imported(sample).text;
        // Beside the original, where its templates are.
        let path = Path::new(sample.file).with_file_name(format!("imported-{}.tmp.yaml", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        let read = Playbook::load(&Location::Path(path.clone()), &Overrides::default());
        std::fs::remove_file(&path).unwrap();
        let playbook = read.unwrap_or_else(|problems| panic!("{}\n{problems}\n{text}", sample.file));
        assert!(!playbook.entries.is_empty(), "{}", sample.file);
    }
}

/// The lines of the files of an Ansible sample on which something of a list begins: a play, a role, a task, a handler.
fn beginnings(folder: &Path) -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let below = |name: &str| entry.components().any(|part| part.as_os_str() == name);
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "yml")
                && !below("group_vars")
                && !below("vars")
                && !below("defaults")
            {
                for (index, line) in std::fs::read_to_string(&entry).unwrap().lines().enumerate() {
                    let Some((key, _)) = line.trim_start().strip_prefix("- ").and_then(|rest| rest.split_once(':')) else {
                        continue;
                    };
                    if key.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c)) {
                        found.push((entry.display().to_string(), index + 1, key.to_owned()));
                    }
                }
            }
        }
    }
    found
}

#[test]
fn every_task_is_in_the_output_or_in_the_report() {
    let mut seen = 0;
    for sample in
        SAMPLES.iter().filter(|sample| !["bench", "docker-host", "worker"].iter().any(|other| sample.file.contains(other)))
    {
        let Imported { text, report, .. } = imported(sample);
        let said = report.text();
        for (file, line, key) in beginnings(&folder(sample)) {
            let place = format!("{file}:{line}");
            let mentioned = text.contains(&format!("{place}\n"))
                || text.contains(&format!("{place}:"))
                || said.contains(&format!("{place}:"));
            // A play, a block, a role is its tasks; the report for programs has it all the same.
            let opened = report.items().iter().any(|item| item.at.file.as_ref() == file && item.at.line == line)
                && (["hosts", "block", "role", "import_tasks"].contains(&key.as_str()) || line <= 2);
            assert!(mentioned || opened, "{place} is mentioned nowhere\n{text}\n{said}");
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} tasks");
}

#[test]
fn what_is_left_out_says_why_and_stays_as_a_comment() {
    let mut seen = 0;
    for sample in &SAMPLES {
        let Imported { text, report, .. } = imported(sample);
        for item in report.items().into_iter().filter(|item| item.is_task) {
            if let Verdict::LeftOut(why) = &item.verdict {
                let comment = format!("# {}:{}: left out: ", item.at.file, item.at.line);
                assert!(text.contains(&comment) && !why.is_empty(), "{comment}\n{text}");
                seen += 1;
            }
        }
    }
    assert!(seen > 5, "only {seen} were left out");
}
