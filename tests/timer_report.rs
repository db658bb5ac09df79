//! A timer run under `converge: report` writes nothing and records the drift, and `agent status` says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare its folder has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn agent(arguments: &[&str], state: &Path) -> Output {
    let state = state.to_str().unwrap();
    Command::new(env!("CARGO_BIN_EXE_agent")).args(arguments).args(["--state-dir", state]).output().unwrap()
}

#[test]
fn a_report_only_looks_and_status_shows_the_drift() {
    let folder = tempfile::tempdir().unwrap();
    let (state, wished, playbook) =
        (folder.path().join("state"), folder.path().join("wished.txt"), folder.path().join("playbook.yaml"));
    let step = format!("  - file: {{ path: {}, content: hello }}\n", wished.display());
    std::fs::write(&playbook, format!("version: 1\nconverge: report\nsteps:\n{step}")).unwrap();
    let playbook = playbook.to_str().unwrap();

    let reported = agent(&["run", "--trigger", "timer", playbook], &state);
    assert_eq!(reported.status.code(), Some(10), "{}", String::from_utf8_lossy(&reported.stderr));
    assert!(!wished.exists());
    let status = agent(&["status", "--json"], &state);
    let said: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((status.status.code(), said["outcome"]["is"].as_str()), (Some(1), Some("drifted")), "{said:#}");

    let repaired = agent(&["run", playbook], &state);
    assert_eq!(repaired.status.code(), Some(0), "{}", String::from_utf8_lossy(&repaired.stderr));
    assert_eq!(std::fs::read_to_string(&wished).unwrap(), "hello");
    assert_eq!(agent(&["status"], &state).status.code(), Some(0));
}
