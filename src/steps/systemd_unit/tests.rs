//! Facts in, changes out; changes in, calls out.

use super::*;
use crate::host::fakes::Machine;

/// A name that no machine has.
const APP: &str = "
name: bootstrap-agent-test-app.service
Unit: { Description: Background removal API, After: network-online.target }
Service:
  User: ubuntu
  WorkingDirectory: /home/ubuntu/tcc
  ExecStart: /home/ubuntu/tcc/.venv/bin/uvicorn main:app --host 0.0.0.0 --port 8000
  Environment: [A=1, B=2]
  Restart: always
  RestartSec: 5
  NoNewPrivileges: true
restart_on: [code]
";

const DOWN: &str = "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n";
const UP: &str = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=0\n\
    NeedDaemonReload=no\nType=notify\nInvocationID=ab\n";

fn step(yaml: &str) -> SystemdUnit {
    serde_yaml::from_str(yaml).unwrap()
}

fn machine(show: &str) -> Machine {
    let mut machine = Machine::new().program("systemctl", "").program("systemctl --no-pager show", show);
    machine.fingerprints.insert("code".into(), Some(Fingerprint([1; 32])));
    machine
}

fn plan(step: &SystemdUnit, machine: &Machine) -> Vec<String> {
    step.check(&machine.facts()).unwrap().changes.iter().map(|planned| planned.change.to_string()).collect()
}

/// The changes but for those about the file, which is never there in a unit test.
fn unit_plan(step: &SystemdUnit, machine: &Machine) -> Vec<String> {
    plan(step, machine).into_iter().skip(2).collect()
}

#[test]
fn the_file_is_written_as_systemd_reads_it() {
    assert_eq!(
        step(APP).text(),
        "# Written by bootstrap-agent from its playbook; changes made here are overwritten.\n\n\
         [Unit]\nDescription=Background removal API\nAfter=network-online.target\n\n\
         [Service]\nUser=ubuntu\nWorkingDirectory=/home/ubuntu/tcc\n\
         ExecStart=/home/ubuntu/tcc/.venv/bin/uvicorn main:app --host 0.0.0.0 --port 8000\n\
         Environment=A=1\nEnvironment=B=2\nRestart=always\nRestartSec=5\nNoNewPrivileges=true\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    assert!(step("{ name: a.timer, Timer: { OnCalendar: daily } }").text().ends_with("WantedBy=timers.target\n"));
    assert!(!step("{ name: a.service, enabled: false, Service: { ExecStart: /bin/a } }").text().contains("Install"));
    let told = step("{ name: a.service, Service: { ExecStart: /bin/a }, Install: { RequiredBy: b.service } }").text();
    assert!(told.ends_with("[Install]\nRequiredBy=b.service\n"));
}

#[test]
fn a_new_unit_is_written_enabled_and_started() {
    let app = step(APP);
    let machine = machine(DOWN);
    let name = "bootstrap-agent-test-app.service";
    assert_eq!(
        plan(&app, &machine),
        [
            format!("create `/etc/systemd/system/{name}`"),
            "let systemd read its unit files again".into(),
            format!("enable `{name}`"),
            format!("start `{name}`"),
        ]
    );
    let start = app.check(&machine.facts()).unwrap().changes.pop().unwrap().change;
    machine.from_now_on("systemctl --no-pager show", UP);
    machine.forget_calls();
    app.apply(&start, &machine.host()).unwrap();
    let calls = machine.calls();
    assert!(calls.contains(&format!("systemctl --no-ask-password --no-pager --quiet start -- {name}")), "{calls:?}");
    assert_eq!(unit_plan(&app, &machine), Vec::<String>::new(), "the start is on record");
}

#[test]
fn what_changed_since_the_last_start_is_restarted() {
    let app = step(APP);
    let mut machine = machine(UP);
    let [once] = &unit_plan(&app, &machine)[..] else { panic!() };
    assert!(once.contains("restart") && once.contains("no record"), "{once}");
    let restart = app.check(&machine.facts()).unwrap().changes.pop().unwrap().change;
    app.apply(&restart, &machine.host()).unwrap();
    assert!(unit_plan(&app, &machine).is_empty());
    machine.fingerprints.insert("code".into(), Some(Fingerprint([2; 32])));
    let [again] = &unit_plan(&app, &machine)[..] else { panic!() };
    assert!(again.contains("has changed since its last start"), "{again}");
    machine.fingerprints.insert("code".into(), None);
    assert!(app.check(&machine.facts()).unwrap().unknown.is_some_and(|why| why.contains("`code`")));
}

#[test]
fn a_unit_that_dies_at_its_start_fails_with_its_journal_and_leaves_no_record() {
    let app = step(APP);
    let machine = machine(DOWN).program("journalctl", "ImportError: no module named main\n");
    let start = app.check(&machine.facts()).unwrap().changes.pop().unwrap().change;
    let dying = "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nExecMainStatus=1\nNRestarts=2\nType=simple\n";
    machine.from_now_on("systemctl --no-pager show", dying);
    let error = app.apply(&start, &machine.host()).unwrap_err();
    assert!(error.to_string().contains("2 times so far"), "{error}");
    assert_eq!(error.last_lines(), ["ImportError: no module named main"]);
    machine.from_now_on("systemctl --no-pager show", UP);
    assert_eq!(unit_plan(&app, &machine).len(), 1, "it was never started with these inputs");
}

#[test]
fn without_systemd_there_is_a_plan_all_the_same() {
    let mut machine = Machine::new()
        .program_does("systemctl", |_| Err(crate::error::Error::new(crate::error::Kind::Missing, "no such program")));
    machine.fingerprints.insert("code".into(), Some(Fingerprint([1; 32])));
    assert_eq!(plan(&step(APP), &machine).len(), 4);
    let dropin = step("{ name: ssh.service, dropin: bootstrap-agent-test, Service: { LimitNOFILE: 9 } }");
    let found = dropin.check(&machine.facts()).unwrap();
    assert_eq!(found.unknown.as_deref(), Some(NOT_RUNNING));
    assert_eq!(found.changes[0].change.to_string(), "create `/etc/systemd/system/ssh.service.d/bootstrap-agent-test.conf`");
}

#[test]
fn a_oneshot_that_has_run_is_done() {
    let once = step("{ name: bootstrap-agent-test-once.service, Service: { Type: oneshot, ExecStart: /bin/true } }");
    let idle = "LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=enabled\nResult=success\nType=oneshot\n";
    let machine = machine(idle);
    let [start] = &unit_plan(&once, &machine)[..] else { panic!() };
    assert!(start.starts_with("start"), "{start}");
    let change = once.check(&machine.facts()).unwrap().changes.pop().unwrap().change;
    once.apply(&change, &machine.host()).unwrap();
    assert!(unit_plan(&once, &machine).is_empty());
}

#[test]
fn what_it_needs_is_declared() {
    let touches = step(APP).touches();
    assert!(touches.reads.contains(&Thing::User("ubuntu".into())));
    assert!(touches.reads.contains(&Thing::Path("/home/ubuntu/tcc/.venv/bin/uvicorn".into())));
    assert!(touches.writes.contains(&Thing::Unit("bootstrap-agent-test-app.service".into())));
    assert_eq!((touches.after.as_slice(), touches.locks.as_slice()), (&["code".to_owned()][..], &["systemd"][..]));
}

#[test]
fn what_would_never_boot_is_a_problem() {
    assert_eq!(step(APP).problems(), Vec::<String>::new());
    let with = |after: &str, rest: &str| {
        step(&format!("{{ name: a.service, Unit: {{ After: {after} }}, Service: {{ ExecStart: /bin/a }}{rest} }}")).problems()
    };
    assert!(with("cloud-final.service", "")[0].contains("ordering cycle"));
    assert!(with("[network-online.target, cloud-init.target]", "")[0].contains("ordering cycle"));
    assert!(with("'cloud-final.service multi-user.target'", "")[0].contains("wait for ever"));
    assert!(with("'cloud-final.service multi-user.target'", ", state: unchanged").is_empty());
    for wrong in [
        "{ name: app, Service: { ExecStart: /bin/a } }",
        "{ name: ../app.service, Service: { ExecStart: /bin/a } }",
        "{ name: a.service }",
        "{ name: a.service, Service: { Type: simple } }",
        "{ name: a.service, Service: { ExecStart: \"/bin/a\\nUser=root\" } }",
        "{ name: a.timer, Service: { ExecStart: /bin/a } }",
        "{ name: a@.service, state: started, Service: { ExecStart: /bin/a } }",
        "{ name: a.service, dropin: ../x, Service: { Nice: 1 } }",
    ] {
        assert!(!step(wrong).problems().is_empty(), "{wrong}");
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn the_real_systemd_refuses_a_key_it_does_not_know() {
    if !std::path::Path::new("/usr/bin/systemd-analyze").exists() {
        println!("skipped: no systemd-analyze here; the lab has it");
        return;
    }
    let machine = Machine::new().program_does("systemd-analyze", |asked| {
        let output = std::process::Command::new("systemd-analyze").args(&asked.arguments).output()?;
        let status = crate::host::programs::Status::Code(output.status.code().unwrap_or(-1));
        Ok(crate::host::programs::Output { status, stdout: output.stdout, stderr: output.stderr })
    });
    let accepted = |yaml: &str| {
        let unit = step(yaml);
        machine.host().verify_unit(&unit.name, &unit.text(), unit.dropin.is_some())
    };
    accepted("{ name: a.service, Service: { ExecStart: /bin/true, Restart: always } }").unwrap();
    accepted("{ name: a.service, dropin: x, Service: { LimitNOFILE: 9 } }").unwrap();
    let error = accepted("{ name: a.service, Service: { ExecStart: /bin/true, Restrat: always } }").unwrap_err();
    assert!(error.to_string().contains("Restrat"), "{error}");
}
