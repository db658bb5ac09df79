//! A scripted machine for unit tests: programs that answer as told and write down how they were called.
//!
//! A call that nobody scripted fails the test.

// For tests: a panic is how they fail, and a skipped one says so.
#![allow(clippy::missing_panics_doc, clippy::print_stderr)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::accounts::Databases;
use super::aws::Aws;
use super::deadline::Deadline;
use super::documents::Beside;
use super::programs::{Invocation, Output, Programs, Status};
use super::{Facts, Host, LineSink, StepScope, World, WorldOptions};
use crate::error::Result;
use crate::secret::Redactor;
use crate::step::Fingerprint;

/// What a scripted program does.
type Answer = Arc<dyn Fn(&Invocation) -> Result<Output> + Send + Sync>;

/// The machine under test.
#[allow(clippy::struct_excessive_bools, reason = "independent options of a run")]
pub struct Machine {
    /// Its files: state, accounts, whatever the test puts there. Gone with the machine.
    folder: tempfile::TempDir,
    script: Arc<Script>,
    runtime: tokio::runtime::Runtime,
    redactor: Redactor,
    /// Runs real programs, for real accounts.
    real: bool,
    /// May ask AWS and git servers.
    pub online: bool,
    /// May run a user's guards.
    pub guards: bool,
    /// Repairs, but stays on the revision that is deployed.
    pub stay_on_revision: bool,
    /// Tries failed revisions once more.
    pub retry_revision: bool,
    /// Was started by the timer.
    pub by_timer: bool,
    /// The playbook's `env:`.
    pub environment: IndexMap<String, String>,
    /// Fingerprints of earlier steps.
    pub fingerprints: HashMap<String, Option<Fingerprint>>,
}

/// What its programs answer, and how they were called.
#[derive(Default)]
struct Script {
    /// The first words of a command line, and what happens then; the longest match wins, of equals the last.
    answers: Mutex<Vec<(String, Answer)>>,
    calls: Mutex<Vec<Invocation>>,
    lines: Mutex<Vec<String>>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// Says that a test cannot be made here, and why.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Says so when a test needs root and is not.
pub fn not_root() -> bool {
    let not = !nix::unistd::geteuid().is_root();
    if not {
        skipped("needs root");
    }
    not
}

impl Machine {
    /// A machine on which no program is installed, with the users `root` (0) and `ubuntu` (1000).
    #[must_use]
    pub fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            script: Arc::default(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            redactor: Redactor::new(),
            real: false,
            online: true,
            guards: true,
            stay_on_revision: false,
            retry_revision: false,
            by_timer: false,
            environment: IndexMap::new(),
            fingerprints: HashMap::new(),
        };
        let home = machine.path("home/ubuntu");
        std::fs::create_dir_all(&home).expect("a home");
        machine.write(
            "etc/passwd",
            &format!("root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000:Ubuntu:{}:/bin/bash\n", home.display()),
        );
        machine.write("etc/group", "root:x:0:\nubuntu:x:1000:\n");
        std::fs::create_dir_all(machine.path("state")).expect("a state folder");
        machine
    }

    /// A machine that runs real programs, as the real users of the machine the tests run on.
    #[must_use]
    pub fn real() -> Self {
        Self { real: true, ..Self::new() }
    }

    /// A path below the machine's own folder.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("the machine's folder").join(below)
    }

    /// Puts a file into the machine's own folder.
    pub fn write(&self, below: &str, content: &str) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// What a file in the machine's own folder holds.
    pub fn content(&self, below: &str) -> String {
        std::fs::read_to_string(self.path(below)).expect("the file")
    }

    /// A command line that starts with these words prints this and exits with 0.
    #[must_use]
    pub fn program(self, words: &str, stdout: &str) -> Self {
        self.program_ends(words, 0, stdout, "")
    }

    /// A command line that starts with these words ends with this code.
    #[must_use]
    pub fn program_ends(self, words: &str, code: i32, stdout: &str, stderr: &str) -> Self {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
        self.program_does(words, move |_| {
            Ok(Output { status: Status::Code(code), stdout: stdout.clone(), stderr: stderr.clone() })
        })
    }

    /// A command line that starts with these words does this.
    #[must_use]
    pub fn program_does(self, words: &str, act: impl Fn(&Invocation) -> Result<Output> + Send + Sync + 'static) -> Self {
        self.answers().push((words.to_owned(), Arc::new(act)));
        self
    }

    /// The helper works as in earnest, as ourselves, and so do these programs; we are user `me`, with a home of our own.
    #[must_use]
    pub fn in_earnest(self, programs: &[&str]) -> Self {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let home = self.path("home/me");
        std::fs::create_dir_all(&home).expect("a home");
        self.write("etc/passwd", &format!("me:x:{uid}:{gid}:me:{}:/bin/sh\n", home.display()));
        self.write("etc/group", &format!("me:x:{gid}:\n"));
        ["/proc/self/exe"].iter().chain(programs).fold(self, |machine, name| {
            let home = home.clone();
            machine.program_does(name, move |invocation| real_program(invocation, &home))
        })
    }

    /// The same on a machine that is already in use: later answers replace earlier ones.
    pub fn from_now_on(&self, words: &str, stdout: &str) {
        let stdout = stdout.as_bytes().to_vec();
        let answer: Answer =
            Arc::new(move |_| Ok(Output { status: Status::Code(0), stdout: stdout.clone(), stderr: Vec::new() }));
        self.answers().push((words.to_owned(), answer));
    }

    /// The command lines that were run, in order. Questions to `getent` are left out: every step asks them.
    pub fn calls(&self) -> Vec<String> {
        self.invocations().iter().map(command_line).filter(|line| !line.starts_with("getent ")).collect()
    }

    /// The same with all there is to know about each.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.script.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.script.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The live lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.script.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Masks what leaves the machine.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// What a step's check gets. A new world each time, so nothing is remembered from the last.
    pub fn facts(&self) -> Facts {
        let options = WorldOptions {
            online: self.online,
            guards: self.guards,
            stay_on_revision: self.stay_on_revision,
            retry_revision: self.retry_revision,
            by_timer: self.by_timer,
            environment: self.environment.clone(),
            state: self.path("state"),
            redactor: self.redactor.clone(),
            runtime: self.runtime.handle().clone(),
        };
        let aws = Aws::new(self.runtime.handle().clone());
        let world = if self.real {
            World::new(options, aws)
        } else {
            let programs = Arc::new(Scripted(self.script.clone()));
            World::with_parts(options, aws, programs, Databases(self.path("etc")))
        };
        let script = self.script.clone();
        let lines: LineSink =
            Arc::new(move |line| script.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned()));
        let scope = StepScope {
            deadline: Deadline::at(Instant::now() + Duration::from_secs(30)),
            fingerprints: Arc::new(self.fingerprints.clone()),
            waiting: lines.clone(),
            lines,
            beside: Beside::Folder(self.path("playbook")),
        };
        Facts::new(world, scope)
    }

    /// What a step's apply gets.
    pub fn host(&self) -> Host {
        Host::new(self.facts())
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Vec<(String, Answer)>> {
        self.script.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn command_line(invocation: &Invocation) -> String {
    let mut words = vec![invocation.program.as_str()];
    words.extend(invocation.arguments.iter().map(String::as_str));
    words.join(" ")
}

/// Runs a program as the real thing does, as far as a test needs it.
fn real_program(invocation: &Invocation, home: &Path) -> Result<Output> {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    let mut child = Command::new(&invocation.program)
        .args(&invocation.arguments)
        .env("HOME", home)
        .envs(invocation.environment.iter().map(|(name, value)| (name, String::from_utf8_lossy(value.expose()).into_owned())))
        .current_dir(invocation.directory.as_deref().unwrap_or(Path::new("/")))
        .stdin(match &invocation.stdin_file {
            Some(file) => file.try_clone()?.into(),
            None => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(invocation.stdin.as_ref().map_or(&[], |text| text.expose()))?;
    }
    let output = child.wait_with_output()?;
    let status = output.status.code().map_or_else(|| Status::Signal(output.status.signal().unwrap_or(0)), Status::Code);
    Ok(Output { status, stdout: output.stdout, stderr: output.stderr })
}

struct Scripted(Arc<Script>);

impl Programs for Scripted {
    fn run(&self, invocation: &Invocation, _: &Deadline, lines: Option<&LineSink>) -> Result<Output> {
        let line = command_line(invocation);
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).push(invocation.clone());
        let answer = {
            let answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let starts = |words: &str| line == words || line.strip_prefix(words).is_some_and(|rest| rest.starts_with(' '));
            answers
                .iter()
                .filter(|(words, _)| starts(words))
                .max_by_key(|(words, _)| words.len())
                .map(|(_, answer)| answer.clone())
        };
        let Some(answer) = answer else {
            // `getent` knows nothing unless told: the machine's own databases were asked before.
            if invocation.program == "getent" {
                return Ok(Output { status: Status::Code(2), stdout: Vec::new(), stderr: Vec::new() });
            }
            panic!("nobody expected `{line}`");
        };
        let output = answer(invocation)?;
        if let Some(sink) = lines {
            output.text().lines().for_each(|line| sink(line));
        }
        Ok(output)
    }

    /// A program is installed if something is scripted for it.
    fn locate(&self, name: &str) -> Option<PathBuf> {
        let answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers.iter().any(|(words, _)| words.split(' ').next() == Some(name));
        known.then(|| if name.starts_with('/') { name.into() } else { Path::new("/usr/bin").join(name) })
    }
}

#[test]
fn the_longest_and_latest_answer_wins() {
    let machine = Machine::new().program("apt-get", "any").program("apt-get update", "update");
    let run = |line: &[&str]| machine.facts().ask(&Invocation::new("apt-get", line)).unwrap().text();
    assert_eq!((run(&["update", "-q"]), run(&["install"])), ("update".into(), "any".into()));
    machine.from_now_on("apt-get update", "later");
    assert_eq!(run(&["update"]), "later");
    assert_eq!(machine.calls(), ["apt-get update -q", "apt-get install", "apt-get update"]);
    assert_eq!(machine.facts().program("apt-get"), Some("/usr/bin/apt-get".into()));
    assert!(machine.facts().program("dnf").is_none());
}

#[test]
#[should_panic(expected = "nobody expected `reboot now`")]
fn a_call_nobody_scripted_fails_the_test() {
    let _ = Machine::new().facts().ask(&Invocation::new("reboot", &["now"]));
}
