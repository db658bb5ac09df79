//! The thread that ships: reads what there is room for, sends what is due, records what is acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::in_order;
use super::checkpoint::Checkpoints;
use super::queue::Queue;
use super::send::{Destination, send};
use super::settings::{LogSettings, days};
use super::sources::Sources;
use crate::host::aws::LogService;
use crate::host::retry::Retry;
use crate::host::state::StateFolder;
use crate::secret::Redactor;

/// All that waits, of all streams, is no more than this; sources wait, the run's own oldest lines go.
const BUDGET: usize = 8 * 1024 * 1024;
/// Between two looks at the sources.
const GLANCE: Duration = Duration::from_millis(200);
/// How long a flush waits for what the journals have and `journalctl` has not handed on, and how often it looks.
const CATCH_UP: Duration = Duration::from_secs(1);
const BEHIND: Duration = Duration::from_millis(10);
/// What waits is sent this often, and at once when a call would be half full.
const EVERY: Duration = Duration::from_secs(1);
const HALF_FULL: usize = 512 * 1024;
/// One call is tried this long; the lines stay, and it is tried again after a pause.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(10);

/// What is shipped, by whom, and where its places are recorded.
pub struct Plan {
    /// The `logs:` block, rendered and without problems.
    pub settings: LogSettings,
    /// The stream where the playbook names none: the instance id.
    pub stream: String,
    /// The calls; usually `Arc::new(aws)`.
    pub service: Arc<dyn LogService>,
    /// The process's throttle gate.
    pub retry: Retry,
    /// Where places are recorded.
    pub state: StateFolder,
    /// Masks what leaves.
    pub redactor: Redactor,
    /// Says one sentence to whoever follows the run.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
}

/// How long its end may take: a call that is under way is not waited for any longer than this.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Ships until it is dropped. Nothing it does fails a run.
pub struct Shipper {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    own: Destination,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<Destination, Queue>,
    flush: Option<Instant>,
    stopped: bool,
    /// The thread is over, and with it every `journalctl` it had started.
    over: bool,
}

impl Shipper {
    /// Begins to ship. Nothing is sent before there is something to send.
    #[must_use]
    pub fn start(plan: Plan) -> Self {
        let own = Destination {
            group: plan.settings.group.clone(),
            stream: plan.settings.stream.clone().unwrap_or_else(|| plan.stream.clone()),
            days: plan.settings.retention.and_then(days),
        };
        let shared = Arc::new(Shared { plan, own, state: Mutex::default(), changed: Condvar::new() });
        let working = shared.clone();
        if let Err(error) = std::thread::Builder::new().name("logs".to_owned()).spawn(move || {
            Work::new(&working).run();
            working.lock().over = true;
            working.changed.notify_all();
        }) {
            shared.lock().over = true;
            (shared.plan.say)(&format!("no logs are shipped: {error}"));
        }
        Self { shared }
    }

    /// One line of the run itself, at this instant in milliseconds since 1970. Never waits for the network.
    pub fn line(&self, at: i64, text: &str) {
        let clean = self.shared.plan.redactor.clean(text);
        let mut state = self.shared.lock();
        let others: usize = state.queues.iter().filter(|(to, _)| **to != self.shared.own).map(|(_, queue)| queue.bytes()).sum();
        let queue = state.queues.entry(self.shared.own.clone()).or_default();
        queue.push_own(at, &clean, BUDGET.saturating_sub(others));
    }

    /// Ships all there is, for at most this long. Whether it all went out.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        state.flush = Some(deadline);
        self.shared.changed.notify_all();
        while state.flush.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.queues.values().all(Queue::is_empty)
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        self.shared.changed.notify_all();
        // Or whoever started us would find our children when we are gone.
        let end = Instant::now() + LAST_MOMENT;
        while !state.over {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What only the thread knows.
struct Work<'s> {
    shared: &'s Shared,
    sources: Sources,
    checkpoints: Checkpoints,
    /// When a stream is looked at next, and what was last said about it.
    due: BTreeMap<Destination, (Instant, Option<String>)>,
}

impl<'s> Work<'s> {
    fn new(shared: &'s Shared) -> Self {
        let plan = &shared.plan;
        let sources = Sources::new(&plan.settings, &plan.stream);
        Self { shared, sources, checkpoints: Checkpoints::read(&plan.state), due: BTreeMap::new() }
    }

    fn run(&mut self) {
        loop {
            let mut state = self.shared.lock();
            if !state.stopped && state.flush.is_none() {
                state = self.shared.changed.wait_timeout(state, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
            }
            let (stopped, flush) = (state.stopped, state.flush);
            drop(state);
            if stopped {
                return;
            }
            self.sweep(flush);
            if flush.is_some() {
                self.shared.lock().flush = None;
                self.shared.changed.notify_all();
            }
        }
    }

    /// Reads and sends; while flushing, until nothing is left or the deadline has come.
    fn sweep(&mut self, flush: Option<Instant>) {
        if flush.is_some() {
            // The first look at a source begins to follow it.
            self.read();
            self.sources.await_newest();
        }
        let patience = Instant::now() + CATCH_UP;
        loop {
            let read = self.read();
            let waiting: Vec<Destination> =
                self.shared.lock().queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(to, _)| to.clone()).collect();
            let mut sent = false;
            for to in waiting {
                if self.is_due(&to, flush) {
                    sent |= self.send(&to, flush);
                }
            }
            if let Err(error) = self.checkpoints.write(&self.shared.plan.state) {
                tracing::warn!(%error, "log offsets are not recorded");
            }
            let behind = !(read || sent) && Instant::now() < patience && self.sources.is_behind();
            if behind {
                std::thread::sleep(BEHIND);
            }
            let go_on = flush.is_some_and(|deadline| Instant::now() < deadline) && (read || sent || behind);
            if !go_on {
                return;
            }
        }
    }

    /// Reads what there is room for; whether there was anything.
    fn read(&mut self) -> bool {
        let waiting: usize = self.shared.lock().queues.values().map(Queue::bytes).sum();
        let plan = &self.shared.plan;
        // Half of the budget is the run's own: a chatty source must not push its events out.
        let room = (BUDGET / 2).saturating_sub(waiting);
        let (lines, problems) = self.sources.read(room, &self.checkpoints, &plan.redactor);
        for problem in problems {
            (plan.say)(&problem);
        }
        let any = !lines.is_empty();
        let mut state = self.shared.lock();
        for line in lines {
            state.queues.entry(line.to).or_default().push_source(line.at, &line.text, line.reaches);
        }
        any
    }

    fn is_due(&self, to: &Destination, flush: Option<Instant>) -> bool {
        let Some((due, problem)) = self.due.get(to) else { return true };
        let half_full = || self.shared.lock().queues.get(to).is_some_and(|queue| queue.bytes() > HALF_FULL);
        flush.is_some() || *due <= Instant::now() || (problem.is_none() && half_full())
    }

    /// Makes one call; whether it was acknowledged.
    fn send(&mut self, to: &Destination, flush: Option<Instant>) -> bool {
        let plan = &self.shared.plan;
        let mut state = self.shared.lock();
        let Some(queue) = state.queues.get_mut(to) else { return false };
        let dropped = queue.take_dropped();
        let events = queue.next_call();
        drop(state);
        let count = events.len();
        let (events, mut refused) = in_order(events, jiff::Timestamp::now().as_millisecond());
        let deadline = flush.unwrap_or_else(|| Instant::now() + PATIENCE);
        let answer = if events.is_empty() {
            Ok(crate::host::aws::Rejected::default())
        } else {
            send(&*plan.service, &plan.retry, to, &events, deadline)
        };
        let mut state = self.shared.lock();
        let Some(queue) = state.queues.get_mut(to) else { return false };
        let (reached, failed) = match answer {
            Ok(rejected) => {
                refused += rejected.too_new + rejected.too_old;
                (queue.acknowledge(count), None)
            }
            Err(error) => {
                queue.release();
                (Vec::new(), Some(error.to_string()))
            }
        };
        drop(state);
        for (source, place) in reached {
            self.checkpoints.reach(&source, place);
        }
        if dropped > 0 {
            (plan.say)(&format!("{dropped} lines of this run were not shipped: there was no room to keep them"));
        }
        if refused > 0 {
            (plan.say)(&format!("{refused} log lines were refused for their time: the clock is wrong, or they are too old"));
        }
        let before = self.due.get(to).and_then(|(_, said)| said.clone());
        if let Some(problem) = failed.as_ref().filter(|problem| before.as_ref() != Some(problem)) {
            (plan.say)(&format!("logs are not shipped for now: {problem}"));
        }
        let pause = if failed.is_some() { PAUSE } else { EVERY };
        let acknowledged = failed.is_none();
        self.due.insert(to.clone(), (Instant::now() + pause, failed));
        acknowledged
    }
}

#[cfg(test)]
pub(super) mod scripted;
#[cfg(test)]
mod tests;
