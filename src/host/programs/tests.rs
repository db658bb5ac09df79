//! Programs are run for real here: the clock, the signals and the pipes are what can go wrong.

use std::sync::{Arc, Mutex};

use super::*;
use crate::secret::Secret;

fn programs() -> RealPrograms {
    RealPrograms {
        environment: IndexMap::new(),
        redactor: Redactor::new(),
        accounts: Databases::of_machine(),
        state: std::path::PathBuf::new(),
    }
}

fn sh(script: &str) -> Invocation {
    Invocation::new("sh", &["-c", script])
}

fn soon() -> Deadline {
    Deadline::at(Instant::now() + Duration::from_secs(20))
}

#[test]
fn the_environment_is_ours_alone() {
    let mut programs = programs();
    programs.environment.insert("HTTPS_PROXY".into(), "http://proxy:3128".into());
    let mut invocation = Invocation::new("env", &[]);
    invocation.environment.insert("TOKEN".into(), Sensitive::Secret(Secret::new("t0ken")));
    let text = programs.run(&invocation, &soon(), None).unwrap().text();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "HTTPS_PROXY", "LANG", "LC_ALL", "LOGNAME", "PATH", "TOKEN", "USER"]);
    assert!(text.contains("LC_ALL=C.UTF-8") && text.contains("TOKEN=t0ken"));
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    assert_eq!(programs().run(&sh("exit 3"), &soon(), None).unwrap().status, Status::Code(3));
    assert_eq!(programs().run(&sh("kill -9 $$"), &soon(), None).unwrap().status, Status::Signal(9));
    let missing = programs().run(&Invocation::new("no-such-program", &[]), &soon(), None).unwrap_err();
    assert_eq!(missing.kind(), Kind::Missing);
}

#[test]
fn standard_input_is_fed_and_is_closed_without_one() {
    let mut invocation = Invocation::new("wc", &["-c"]);
    assert_eq!(programs().run(&invocation, &soon(), None).unwrap().text().trim(), "0");
    // More than a pipe holds, so feeding and reading must go on side by side.
    invocation.stdin = Some(Sensitive::Secret(Secret::new(vec![b'x'; 300_000])));
    assert_eq!(programs().run(&invocation, &soon(), None).unwrap().text().trim(), "300000");
    invocation.program = "true".into();
    invocation.arguments.clear();
    assert!(programs().run(&invocation, &soon(), None).unwrap().success());
}

#[test]
fn a_program_past_its_time_is_stopped_with_all_it_started() {
    let mark = tempfile::NamedTempFile::new().unwrap();
    let script = format!("(sleep 3; echo late > {}) & echo started; sleep 30", mark.path().display());
    let before = Instant::now();
    let error = programs().run(&sh(&script).within(Duration::from_millis(300)), &soon(), None).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    assert_eq!(error.last_lines(), ["started"]);
    assert!(before.elapsed() < Duration::from_secs(5));
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!(std::fs::read(mark.path()).unwrap(), b"", "a child of the stopped program went on");
}

#[test]
fn a_deadline_that_moves_nearer_stops_a_program_gently() {
    let begun = Instant::now();
    // A heartbeat that is not taken any more, half a second into the program's work.
    let moved = move || (begun.elapsed() >= Duration::from_millis(500)).then_some(begun);
    let script = "trap 'echo asked to stop; exit 0' TERM; while :; do sleep 0.1; done";
    let error = programs().run(&sh(script), &soon().or(moved), None).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    assert!(error.last_lines().contains(&"asked to stop".to_owned()), "{:?}", error.last_lines());
    assert!((500..15_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn a_program_that_will_not_stop_is_killed() {
    let script = "trap '' TERM; while :; do sleep 1; done";
    let before = Instant::now();
    let error = programs().run(&sh(script).within(Duration::from_millis(100)), &soon(), None).unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    assert!((5..20).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}

#[test]
fn an_output_left_open_is_an_error_of_its_own() {
    let before = Instant::now();
    let error = programs().run(&sh("sleep 30 & echo forked"), &soon(), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains("keeps its output open"), "{error}");
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn lines_are_shown_while_it_runs_and_hold_no_secret() {
    let programs = programs();
    programs.redactor.learn(&Secret::new("swordfish-swordfish"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let sink: LineSink = Arc::new(move |line| kept.lock().unwrap().push(line.to_owned()));
    let script = "printf 'first\\nswordfish-'; sleep 0.2; echo swordfish; echo last";
    let output = programs.run(&sh(script).live(), &soon(), Some(&sink)).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["first", "***", "last"]);
    assert!(output.text().contains("swordfish-swordfish"), "what the program printed is there for who asked");
    let failed = programs.run(&sh("echo swordfish-swordfish; exit 1"), &soon(), None).unwrap();
    let error = failed.required(&sh("x"), &programs.redactor).unwrap_err();
    assert_eq!(error.last_lines(), ["***"]);
}

#[test]
fn memory_is_bounded_whatever_a_program_prints() {
    let much = "head -c 20000000 /dev/zero; echo end";
    assert!(programs().run(&sh(much), &soon(), None).unwrap_err().to_string().contains("more than 16 MiB"));
    let output = programs().run(&sh(&format!("({much}) >&2")), &soon(), None).unwrap();
    assert_eq!(output.stderr.len(), 1 << 20);
    assert!(output.stderr.ends_with(b"end\n"));
}

#[test]
fn another_user_gets_their_own_groups_and_nothing_of_roots() {
    if crate::host::fakes::not_root() {
        return;
    }
    let script = "id -u; id -G; pwd; ulimit -c; umask; echo $HOME $USER";
    let mut invocation = sh(script).as_user("daemon");
    invocation.directory = Some("/tmp".into());
    let text = programs().run(&invocation, &soon(), None).unwrap().text();
    assert_eq!(text.lines().collect::<Vec<_>>(), ["1", "1", "/tmp", "0", "0022", "/usr/sbin daemon"]);
    let locked = tempfile::tempdir().unwrap();
    std::fs::set_permissions(locked.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    invocation.directory = Some(locked.path().to_owned());
    assert_eq!(programs().run(&invocation, &soon(), None).unwrap_err().kind(), Kind::Denied);
    assert_eq!(programs().run(&sh("id").as_user("no-such-user"), &soon(), None).unwrap_err().kind(), Kind::Missing);
}

#[test]
fn a_child_dies_with_the_thread_that_waits_for_it() {
    let mark = tempfile::NamedTempFile::new().unwrap();
    let script = format!("echo $$ > {}; exec sleep 30", mark.path().display());
    // A process of its own stands in for an agent that is killed with -9.
    let me = std::env::current_exe().unwrap();
    let mut agent = std::process::Command::new(me)
        .args(["--exact", "host::programs::tests::run_what_the_environment_says", "--ignored", "--nocapture"])
        .env("TEST_SCRIPT", script)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = loop {
        let text = std::fs::read_to_string(mark.path()).unwrap();
        if let Ok(pid) = text.trim().parse::<i32>() {
            break pid;
        }
        assert!(agent.try_wait().unwrap().is_none(), "the agent's stand-in ended before its program started");
        std::thread::sleep(Duration::from_millis(20));
    };
    agent.kill().unwrap();
    agent.wait().unwrap();
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        // A zombie whose new parent has not looked yet counts as gone.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
            || !Path::new(&format!("/proc/{pid}")).exists()
    });
    assert!(gone, "the program outlived the agent");
}

#[test]
#[ignore = "the other half of `a_child_dies_with_the_thread_that_waits_for_it`"]
fn run_what_the_environment_says() {
    if let Ok(script) = std::env::var("TEST_SCRIPT") {
        let _ = programs().run(&sh(&script), &soon(), None);
    }
}
