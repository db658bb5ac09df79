//! The step on a scripted machine (what is called, and when) and with the real Python of this one.

use serde_json::json;

use super::*;
use crate::host::fakes::Machine;
use crate::host::programs::{Output, Status};

fn step(machine: &Machine, more: serde_json::Value) -> Venv {
    let mut fields = json!({ "path": machine.path("home/me/app/.venv"), "owner": "me" });
    let serde_json::Value::Object(more) = more else { panic!("{more}") };
    fields.as_object_mut().unwrap().extend(more);
    serde_json::from_value(fields).unwrap()
}

fn plan(step: &Venv, machine: &Machine) -> Vec<String> {
    step.check(&machine.facts()).unwrap().changes.iter().map(|planned| planned.change.to_string()).collect()
}

fn settle(step: &Venv, machine: &Machine) -> Result<Vec<String>> {
    let found = step.check(&machine.facts())?;
    for planned in &found.changes {
        step.apply(&planned.change, &machine.host())?;
    }
    assert_eq!(plan(step, machine), Vec::<String>::new(), "applied, and not done");
    Ok(found.changes.iter().map(|planned| planned.change.to_string()).collect())
}

/// A machine whose Python and installers make files as the real ones do.
fn scripted() -> Machine {
    let machine = Machine::new().in_earnest(&[]);
    machine.write("usr/bin/python3.11", "");
    let python = machine.path("usr/bin/python3.11");
    let done = || Ok(Output { status: Status::Code(0), stdout: Vec::new(), stderr: Vec::new() });
    let environment = machine.path("home/me/app/.venv");
    let make = {
        let environment = environment.clone();
        move |_: &_| {
            std::fs::create_dir_all(environment.join("bin")).unwrap();
            std::fs::create_dir_all(environment.join("lib/python3.11/site-packages")).unwrap();
            std::fs::write(environment.join("pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.2\n").unwrap();
            std::os::unix::fs::symlink(&python, environment.join("bin/python")).ok();
            done()
        }
    };
    let pip = environment.join("bin/python").display().to_string();
    let install = move |_: &_| {
        for name in ["flask-2.0.1", "redis-5.0"] {
            let folder = environment.join(format!("lib/python3.11/site-packages/{name}.dist-info"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("RECORD"), "").unwrap();
        }
        done()
    };
    machine.program_does("python3", make).program_does(&format!("{pip} -m pip install"), install)
}

fn programs(machine: &Machine) -> Vec<String> {
    machine.calls().into_iter().filter(|line| !line.starts_with("/proc/self/exe")).collect()
}

#[test]
fn an_environment_is_made_filled_and_then_left_alone() {
    let machine = scripted();
    let file = machine.write("home/me/app/requirements.txt", "flask==2.0.1\nredis\n");
    let step = step(&machine, json!({ "requirements": file }));
    let lines = settle(&step, &machine).unwrap();
    assert_eq!(lines, ["create the environment with `python3`".to_owned(), format!("install packages: `{}`", file.display())]);
    let calls = programs(&machine);
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[1].ends_with(&format!("--no-compile -r {}", file.display())), "{calls:?}");
    assert!(machine.invocations().iter().all(|call| call.program == "getent" || call.user.as_deref() == Some("me")));
    machine.forget_calls();
    assert_eq!(plan(&step, &machine), Vec::<String>::new());
    assert_eq!(programs(&machine), Vec::<String>::new(), "a check starts no Python");
}

#[test]
fn what_changed_is_installed_again_and_what_is_half_made_is_made_anew() {
    let machine = scripted();
    let file = machine.write("home/me/app/requirements.txt", "flask==2.0.1\n");
    let step = step(&machine, json!({ "requirements": [file] }));
    settle(&step, &machine).unwrap();
    let before = step.check(&machine.facts()).unwrap().fingerprint;
    machine.write("home/me/app/requirements.txt", "flask==2.0.1\nredis>=4\n");
    assert!(plan(&step, &machine)[0].contains("changed since"), "{:?}", plan(&step, &machine));
    settle(&step, &machine).unwrap();
    assert_ne!(step.check(&machine.facts()).unwrap().fingerprint, before);
    machine.write("home/me/app/requirements.txt", "flask==2.0.2\nredis>=4\n");
    assert_eq!(plan(&step, &machine), ["install packages: `flask` is 2.0.1 and shall be 2.0.2"]);
    machine.write("home/me/app/requirements.txt", "flask==2.0.1\nredis>=4\n");
    std::fs::remove_file(machine.path("home/me/app/.venv/lib/python3.11/site-packages/redis-5.0.dist-info/RECORD")).unwrap();
    assert_eq!(plan(&step, &machine)[0], "make the environment anew: `redis` is installed by half");
    settle(&step, &machine).unwrap();
    std::fs::remove_file(machine.path("usr/bin/python3.11")).unwrap();
    assert!(plan(&step, &machine)[0].contains("has gone"));
}

#[test]
fn an_installation_that_failed_is_tried_again_though_all_names_are_there() {
    let machine = scripted();
    let file = machine.write("home/me/app/requirements.txt", "flask\n");
    let step = step(&machine, json!({ "requirements": file }));
    let host = machine.host();
    step.apply(&VenvChange::Create { python: "python3".into() }, &host).unwrap();
    let folder = machine.path("home/me/app/.venv/lib/python3.11/site-packages/flask-2.0.1.dist-info");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("RECORD"), "").unwrap();
    assert!(plan(&step, &machine)[0].contains("not installed by the agent yet"));
    settle(&step, &machine).unwrap();
}

#[test]
fn uv_is_used_where_it_is_and_secrets_stay_out_of_arguments() {
    let machine = scripted().program("uv", "").program("/usr/bin/uv", "");
    let file = machine.write("home/me/app/requirements.txt", "flask==2.0.1 --hash=sha256:00\n");
    let step = step(&machine, json!({ "requirements": file, "index_url": "https://user:hunter22@index.example/simple" }));
    step.apply(&VenvChange::Create { python: "python3".into() }, &machine.host()).unwrap();
    let failed = step.apply(&VenvChange::Install { why: String::new() }, &machine.host());
    assert!(failed.unwrap_err().to_string().contains("has gone"), "our uv makes nothing, and that is noticed");
    let calls = programs(&machine);
    assert!(calls[0].starts_with("/usr/bin/uv venv") && calls[1].starts_with("/usr/bin/uv pip install"), "{calls:?}");
    assert!(calls[1].contains("--require-hashes"));
    assert!(calls.iter().all(|call| !call.contains("hunter22")));
    let invocation = machine.invocations().into_iter().rfind(|call| call.program.ends_with("/uv")).unwrap();
    assert!(invocation.environment.contains_key("UV_DEFAULT_INDEX"));
}

#[test]
fn what_is_missing_is_said_with_a_way_out() {
    let machine = Machine::new().in_earnest(&[]).program_ends("python3 -m venv", 1, "ensurepip is not available.", "");
    let file = machine.write("home/me/app/requirements.txt", "flask\n");
    let apply = |step: &Venv, change| step.apply(&change, &machine.host()).unwrap_err();
    let error = apply(&step(&machine, json!({ "requirements": file })), VenvChange::Create { python: "python3".into() });
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.advice().unwrap().contains("python3-venv"), "{error}");
    let absent = step(&machine, json!({ "requirements": machine.path("home/me/nothing.txt") }));
    assert_eq!(absent.check(&machine.facts()).unwrap_err().kind(), Kind::Missing);
    machine.write("home/me/app/poetry.lock", "");
    let project = step(&machine, json!({ "project": machine.path("home/me/app") }));
    assert!(project.check(&machine.facts()).unwrap().changes.len() == 2);
    let error = apply(&project, VenvChange::Create { python: "python3".into() });
    assert!(error.to_string().contains("poetry is not installed"), "{error}");
    let project =
        step(&machine, json!({ "project": machine.path("home/me/app"), "index_url": "https://user:hunter22@index.example" }));
    let error = apply(&project, VenvChange::Create { python: "python3".into() });
    assert!(error.to_string().contains("poetry takes its index from") && !error.to_string().contains("hunter22"), "{error}");
}

#[test]
fn wrong_values_are_told_at_once() {
    let problems = |more: serde_json::Value| {
        let mut fields = json!({ "path": "/srv/venv" });
        let serde_json::Value::Object(more) = more else { panic!("{more}") };
        fields.as_object_mut().unwrap().extend(more);
        serde_json::from_value::<Venv>(fields).unwrap().problems()
    };
    assert_eq!(problems(json!({ "packages": ["flask==2.0.1"] })), Vec::<String>::new());
    for (fields, expected) in [
        (json!({}), "is needed"),
        (json!({ "packages": ["flask"], "project": "/srv/app" }), "brings its own lock"),
        (json!({ "packages": ["--index-url=http://x"] }), "is not a package"),
        (json!({ "packages": ["flask"], "wheelhouse": "/w", "index_url": "https://x" }), "replaces the index"),
        (json!({ "project": "/srv/app", "wheelhouse": "/w" }), "a lock says itself"),
        (json!({ "packages": ["flask"], "python": "-c" }), "is not the name"),
        (json!({ "project": "/srv/app", "installer": "pip" }), "knows neither"),
    ] {
        let found = problems(fields.clone());
        assert!(found.len() == 1 && found[0].contains(expected), "{fields}: {found:?}");
    }
    let wrong = |requirements: serde_json::Value| {
        serde_json::from_value::<Venv>(json!({ "path": "/srv/venv", "requirements": requirements })).unwrap_err().to_string()
    };
    assert!(wrong(json!("requirements.txt")).contains("must be an absolute path"));
    assert!(wrong(json!(["/a/../b"])).contains("must not contain"));
}

#[test]
fn another_python_than_the_one_asked_for_is_replaced() {
    let installed = |python: &str| Installed { python: python.into(), home: "/usr/bin".into(), ..Installed::default() };
    let wrong = |asked: &str, there: &str| {
        let step: Venv = serde_json::from_value(json!({ "path": "/v", "packages": ["x"], "python": asked })).unwrap();
        step.wrong_python(&installed(there))
    };
    assert_eq!(wrong("python3", "3.11.2"), None);
    assert_eq!(wrong("python3.11", "3.11.2"), None);
    assert_eq!(wrong("/usr/bin/python3.11", "3.11.2"), None);
    assert!(wrong("python3.1", "3.11.2").is_some() && wrong("python3.12", "3.11.2").is_some());
    assert!(wrong("/opt/python/bin/python3.11", "3.11.2").is_some());
}

/// A wheel is a zip file; Python writes it, so that the test needs no network.
const MAKE_WHEEL: &str = "import sys, zipfile
name, folder = sys.argv[1:]
with zipfile.ZipFile(f'{folder}/{name}-1.0-py3-none-any.whl', 'w') as wheel:
    info = f'{name}-1.0.dist-info'
    wheel.writestr(f'{name}.py', 'answer = 42\\n')
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(f'{info}/RECORD', f'{name}.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n')
";

fn system_python() -> Option<String> {
    // A shim that chooses among Pythons is not one; ask it where the real one is.
    let ask =
        |words: &[&str]| std::process::Command::new("python3").args(words).output().ok().filter(|output| output.status.success());
    ask(&["-c", "import ensurepip, venv"])?;
    let output = ask(&["-c", "import sys; print(sys.executable)"])?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn the_real_python_and_pip_do_it() {
    let Some(python) = system_python() else {
        std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: needs python3 with venv\n").unwrap();
        return;
    };
    let pip = |machine: &Machine| machine.path("home/me/app/.venv/bin/python").display().to_string();
    let machine = Machine::new();
    let program = pip(&machine);
    real(&machine.in_earnest(&[&python, &program]), &python);
}

#[test]
fn the_real_uv_does_it() {
    let found = std::process::Command::new("which").arg("uv").output().ok().filter(|output| output.status.success());
    let (Some(python), Some(uv)) = (system_python(), found) else {
        std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: needs python3 and uv\n").unwrap();
        return;
    };
    let uv = String::from_utf8_lossy(&uv.stdout).trim().to_owned();
    let machine = Machine::new().in_earnest(&[&uv]);
    std::os::unix::fs::symlink(&uv, machine.path("uv")).unwrap();
    real(&machine, &python);
}

fn real(machine: &Machine, python: &str) {
    let wheels = machine.path("wheels");
    std::fs::create_dir_all(&wheels).unwrap();
    let status = std::process::Command::new(python).args(["-c", MAKE_WHEEL, "hello", wheels.to_str().unwrap()]).status().unwrap();
    assert!(status.success());
    let file = machine.write("home/me/app/requirements.txt", "hello==1.0\n");
    let mut fields = json!({ "requirements": file, "wheelhouse": wheels, "python": python });
    if let Ok(uv) = machine.path("uv").read_link() {
        fields["uv"] = json!(uv);
    }
    let step = step(machine, fields);
    assert_eq!(settle(&step, machine).unwrap().len(), 2);
    let inside = machine.path("home/me/app/.venv/bin/python");
    let output = std::process::Command::new(inside).args(["-c", "import hello; print(hello.answer)"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42");
    // What the index does not have is told with a way out, and the environment stays.
    machine.write("home/me/app/requirements.txt", "hello==2.0\n");
    let error = settle(&step, machine).unwrap_err();
    assert!(error.advice().unwrap().contains("does the index"), "{error} {:?}", error.last_lines());
    machine.write("home/me/app/requirements.txt", "hello==1.0\n");
    settle(&step, machine).unwrap();
}
