//! The only file that prints, with what it needs: words, a plan, progress. Data goes to standard output, everything else to
//! standard error; colour only where a person looks and has not said no.

mod plan;
mod progress;
pub mod style;
pub mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::event::{Event, Listener, Stamped};
use crate::error::{Context as _, Result};
use crate::playbook::Problems;
use plan::Plan;
use progress::{Progress, Screen};
use style::Style;

/// The style of what is printed as data.
pub fn style() -> Style {
    Style::of(&io::stdout())
}

/// Prints data. A reader that went away is no failure of ours.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints for people.
pub fn complain(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Lets a command write to standard output and standard error, and gives the exit code it says.
///
/// # Errors
/// When one of the two does not take it, and it is not that nobody reads any more.
pub fn with_streams(work: impl FnOnce(&mut dyn io::Write, &mut dyn io::Write) -> io::Result<u8>) -> Result<ExitCode> {
    match work(&mut io::stdout().lock(), &mut io::stderr().lock()) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error).doing(|| "printing".to_owned()),
    }
}

/// Draws every problem of a playbook.
pub fn problems(problems: &Problems) {
    for problem in &problems.0 {
        complain(&format!("{}\n", problem.draw("error").trim_end()));
        complain("\n");
    }
    let count = problems.0.len();
    complain(&format!("{count} {} found; nothing was touched\n", if count == 1 { "problem" } else { "problems" }));
}

/// What clap says, in its own words and colours: help to standard output, complaints to standard error.
pub fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    // Help and version are no errors to clap either: 0. Everything else is 2, as for a wrong playbook.
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Diagnostics of the agent itself, where `AGENT_LOG` asks for them.
pub fn trace_if_asked() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("AGENT_LOG") {
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
    }
}

/// Whoever shows a run: a plan when nothing is written, else progress.
pub fn listener(diff: bool, verbose: bool) -> Arc<dyn Listener> {
    Arc::new(Show { diff, verbose, chosen: Mutex::default(), early: Screen::stderr() })
}

/// Knows only from the first event which of the two it is.
struct Show {
    diff: bool,
    verbose: bool,
    chosen: Mutex<Option<Box<dyn Listener>>>,
    /// What is said before the run begins.
    early: Screen,
}

impl Listener for Show {
    fn hear(&self, stamped: &Stamped) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        // The second pass of a warm pool begins anew.
        if let Event::RunStarted { dry_run, .. } = &stamped.event {
            let (diff, verbose) = (self.diff, self.verbose);
            *chosen = Some(if *dry_run {
                Box::new(Plan::new(diff, Style::of(&io::stdout()), print))
            } else {
                Box::new(Progress::start(diff, verbose, Screen::stderr()))
            });
        }
        match (&*chosen, &stamped.event) {
            (Some(chosen), _) => chosen.hear(stamped),
            (None, Event::Notice { text }) => self.early.line(&format!("note: {}", words::tame(text))),
            (None, Event::Lifecycle { text }) => self.early.line(&format!("lifecycle: {}", words::tame(text))),
            (None, _) => {}
        }
    }
}

impl Style {
    /// The style of this stream.
    fn of(stream: &(impl io::IsTerminal + ?Sized)) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: stream.is_terminal() && !refused && !dumb }
    }
}

impl Screen {
    /// Standard error, with live lines where it is a terminal.
    fn stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = io::stderr().is_terminal() && !dumb;
        Self::new(live, Style::of(&io::stderr()), width, complain)
    }
}

/// How many columns standard error has; 80 where it does not say.
#[allow(unsafe_code, reason = "the one ioctl that asks for the width of a terminal")]
fn width() -> usize {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a live `winsize`, which is what this request fills in.
    let answer = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    if answer == 0 && size.ws_col > 0 { usize::from(size.ws_col) } else { 80 }
}
