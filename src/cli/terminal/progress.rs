//! A run as it goes: a line for every step that ended, and on a terminal one live line for each that is at work.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::style::{Style, Tone};
use super::words::{ending, error, narrowed, seconds, steps, tame, tone};
use crate::engine::event::{Ending, Event, Failure, Listener, Stamped};

/// What turns while a step is at work.
const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
/// Time between two drawings of the live lines.
const FRAME: Duration = Duration::from_millis(120);

/// Where lines go. Live lines stand below the others and are drawn again and again.
pub struct Screen {
    live: bool,
    style: Style,
    width: fn() -> usize,
    out: fn(&str),
}

impl Screen {
    pub fn new(live: bool, style: Style, width: fn() -> usize, out: fn(&str)) -> Self {
        Self { live, style, width, out }
    }

    /// Prints a line that stays.
    pub fn line(&self, line: &str) {
        (self.out)(&format!("{line}\n"));
    }
}

/// Shows a run.
pub struct Progress {
    shared: Arc<Shared>,
    diff: bool,
    verbose: bool,
}

struct Shared {
    screen: Screen,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    running: BTreeMap<usize, Running>,
    kinds: BTreeMap<usize, String>,
    endings: Vec<Ending>,
    /// How many live lines stand there now.
    drawn: usize,
    frame: usize,
    finished: bool,
}

struct Running {
    label: String,
    since: Instant,
    doing: String,
}

impl Progress {
    /// Begins to show; on a terminal a thread redraws the live lines until the run is over.
    pub fn start(diff: bool, verbose: bool, screen: Screen) -> Self {
        let live = screen.live;
        let shared = Arc::new(Shared { screen, state: Mutex::default(), over: Condvar::new() });
        if live {
            let drawing = shared.clone();
            // Without the thread the lines stand still, which is no reason to fail a run.
            let _ = std::thread::Builder::new().name("terminal".into()).spawn(move || drawing.redraw_until_over());
        }
        Self { shared, diff, verbose }
    }
}

impl Shared {
    fn redraw_until_over(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.finished {
            state.frame += 1;
            let text = self.erase(&mut state) + &self.live_lines(&mut state);
            (self.screen.out)(&text);
            state = self.over.wait_timeout(state, FRAME).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Prints lines that stay, above the live ones.
    fn say(&self, state: &mut State, text: &str) {
        let text = self.erase(state) + text + &self.live_lines(state);
        (self.screen.out)(&text);
    }

    fn erase(&self, state: &mut State) -> String {
        let lines = std::mem::take(&mut state.drawn);
        if lines == 0 || !self.screen.live { String::new() } else { format!("\x1b[{lines}A\x1b[J") }
    }

    fn live_lines(&self, state: &mut State) -> String {
        if !self.screen.live || state.finished {
            return String::new();
        }
        let spinner = FRAMES.get(state.frame % FRAMES.len()).copied().unwrap_or('|');
        let width = (self.screen.width)().saturating_sub(1);
        let mut text = String::new();
        for (number, step) in &state.running {
            let elapsed = seconds(u64::try_from(step.since.elapsed().as_millis()).unwrap_or(u64::MAX));
            let line = format!("{spinner} {number:>2} {} {elapsed}  {}", step.label, step.doing);
            // A line that wraps could not be erased.
            let line: String = line.chars().take(width).collect();
            let _ = writeln!(text, "{}", self.screen.style.paint(Tone::Quiet, &line));
        }
        state.drawn = state.running.len();
        text
    }
}

impl Listener for Progress {
    fn hear(&self, stamped: &Stamped) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let style = self.shared.screen.style;
        match &stamped.event {
            Event::StepStarted { step, label, kind, .. } => {
                let label = tame(label);
                state.running.insert(*step, Running { label, since: Instant::now(), doing: String::new() });
                state.kinds.insert(*step, kind.clone());
            }
            Event::StepWaiting { step, reason } => {
                state.doing(*step, reason);
                // Where no live line shows it, a run that only waits must not look as if it hung.
                if !self.shared.screen.live {
                    self.shared.say(&mut state, &format!("  {step:>2} waits: {}\n", tame(reason)));
                }
            }
            Event::Output { step, line } => {
                state.doing(*step, line);
                if self.verbose {
                    self.shared.say(&mut state, &format!("  {step:>2} | {}\n", tame(line)));
                }
            }
            Event::StepRetried { step, attempt, because } => {
                let text = format!("  {step:>2} try {attempt}, because: {}\n", tame(because));
                self.shared.say(&mut state, &style.paint(Tone::Change, &text));
            }
            Event::Change { step, text, diff, applying, .. } => {
                state.doing(*step, text);
                let left = if *applying { "" } else { "left as it is: " };
                let mut line = format!("  {step:>2} {left}{}\n", tame(text));
                if let Some(diff) = diff.as_ref().filter(|_| self.diff) {
                    line += &style.diff(diff, "       ");
                }
                self.shared.say(&mut state, &line);
            }
            event => {
                let text = state.last_words(event, style);
                state.finished |= matches!(event, Event::RunFinished { .. });
                self.shared.say(&mut state, &text);
                self.shared.over.notify_all();
            }
        }
    }
}

impl State {
    /// What a step does now, for its live line.
    fn doing(&mut self, step: usize, what: &str) {
        if let Some(running) = self.running.get_mut(&step) {
            running.doing = tame(what);
        }
    }

    /// The lines for what begins or ends.
    fn last_words(&mut self, event: &Event, style: Style) -> String {
        match event {
            Event::RunStarted { playbook, trigger, steps: count, .. } => {
                let text = format!("{trigger} run of `{}` ({})", tame(playbook), steps(*count));
                format!("{}\n", style.paint(Tone::Strong, &text))
            }
            Event::StepFinished { step, label, ending: ended, milliseconds, reason, .. } => {
                self.running.remove(step);
                self.endings.push(*ended);
                let why = match (ended, reason) {
                    (Ending::Skipped | Ending::NotStarted, Some(reason)) => format!(": {}", tame(&reason.because.join(": "))),
                    _ => String::new(),
                };
                let line = format!("{step:>4} {}: {} ({}){why}", tame(label), ending(*ended), seconds(*milliseconds));
                let mut text = format!("{}\n", style.paint(tone(*ended), &line));
                if let (Ending::Failed | Ending::FailedButAllowed, Some(reason)) = (ended, reason) {
                    let _ = writeln!(text, "\n{}", self.step_error(*step, label, *ended, reason));
                }
                text
            }
            Event::Narrowed { only } => format!("note: {}\n", tame(&narrowed(only))),
            Event::Notice { text } => format!("note: {}\n", tame(text)),
            Event::Lifecycle { text } => format!("lifecycle: {}\n", tame(text)),
            Event::RunFailed { reason } => error("error", "the run did not come to its steps", reason),
            Event::RunFinished { interrupted, milliseconds, .. } => {
                format!("{}\n", style.paint(Tone::Strong, &self.summary(interrupted.as_deref(), *milliseconds)))
            }
            _ => String::new(),
        }
    }

    fn step_error(&self, step: usize, label: &str, ended: Ending, reason: &Failure) -> String {
        let kind = self.kinds.get(&step).map(|kind| format!(" ({kind})")).unwrap_or_default();
        let severity = if ended == Ending::Failed { "error" } else { "warning" };
        error(severity, &format!("step {step} `{label}`{kind} is not done"), reason)
    }

    fn summary(&self, interrupted: Option<&str>, milliseconds: u64) -> String {
        let count = |ending: Ending| self.endings.iter().filter(|other| **other == ending).count();
        let (changed, failed, waiting) = (count(Ending::Changed), count(Ending::Failed), count(Ending::NotStarted));
        let (all, took) = (self.endings.len(), seconds(milliseconds));
        let allowed = match count(Ending::FailedButAllowed) {
            0 => String::new(),
            allowed => format!(" ({allowed} failed and may)"),
        };
        if let Some(signal) = interrupted {
            return format!("interrupted by {signal} after {took}");
        }
        if failed + waiting > 0 || all == 0 {
            return format!("failed: {} of {all} failed, {waiting} not started, in {took}{allowed}", steps(failed));
        }
        if changed == 0 {
            return format!("nothing to do: {} checked in {took}{allowed}", steps(all));
        }
        format!("done: {changed} of {} changed in {took}{allowed}", steps(all))
    }
}

#[cfg(test)]
mod tests;
