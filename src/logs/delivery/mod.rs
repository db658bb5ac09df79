//! From the outbox to the service: a few threads that carry batches, and try for ever what may succeed some day.
//!
//! Nothing is acknowledged before the service has it and has said what it did not store. What it will never take is found by
//! halving and kept in a file, so that one line cannot hold up a stream.

mod compression;
mod courier;
mod creation;
mod dead_letters;
mod leftovers;
mod pause;

pub use compression::Compression;
pub use dead_letters::{DEAD_LETTER_LIMIT, DEAD_LETTERS};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::courier::{Courier, End};
use self::creation::{Missing, Retentions};
use self::dead_letters::DeadLetters;
use self::pause::Pause;
use super::complaints::Complaints;
use super::figures::Figures;
use super::outbox::Outbox;
use crate::error::{Context as _, Result};
use crate::host::aws::LogStore;
use crate::host::clock::Clock;
use crate::host::retry::Gate;
use crate::host::state::StateFolder;

/// How many requests are on their way at most. The outbox gives out one per stream, and more while a backlog waits.
const SENDERS: usize = 4;

/// What delivery works with.
pub struct Means {
    /// The calls; usually `Arc::new(aws)`.
    pub service: Arc<dyn LogStore>,
    /// The clock on which it waits.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub figures: Figures,
    /// Whether requests are compressed.
    pub compression: Compression,
    /// Where what the service never takes is kept.
    pub state: StateFolder,
    /// How large that file may get.
    pub dead_letter_limit: u64,
    /// What is wrong is said here.
    pub complaints: Complaints,
}

/// The senders at work.
pub struct Delivery {
    outbox: Outbox,
    courier: Arc<Courier>,
    senders: Vec<JoinHandle<()>>,
}

impl Delivery {
    /// Begins to carry what the outbox gives out.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(outbox: &Outbox, means: Means) -> Result<Self> {
        let courier = Arc::new(Courier::new(means));
        let mut senders = Vec::new();
        for number in 0..SENDERS {
            let (outbox, courier) = (outbox.clone(), courier.clone());
            let sender = std::thread::Builder::new().name(format!("send-{number}"));
            senders.push(sender.spawn(move || send(&outbox, &courier)).doing(|| "starting a thread that ships logs".to_owned())?);
        }
        Ok(Self { outbox: outbox.clone(), courier, senders })
    }

    /// Ships what waits for at most this long, then ends. Whether all of it is stored; what is not was not acknowledged.
    #[must_use]
    pub fn stop(self, limit: Duration) -> bool {
        self.outbox.seal_all();
        let all = self.outbox.wait_idle(limit);
        self.courier.pause.end();
        self.outbox.stop();
        // Idle senders end at once. One that waits for an answer is not waited for: its batch was not acknowledged.
        if all {
            for sender in self.senders {
                let _ = sender.join();
            }
        }
        all
    }
}

impl Courier {
    fn new(means: Means) -> Self {
        let pause = Arc::new(Pause::new(means.clock));
        Self {
            service: means.service,
            figures: means.figures,
            compression: means.compression,
            complaints: means.complaints,
            gate: Gate::default(),
            pause,
            letters: DeadLetters::new(&means.state, means.dead_letter_limit),
            troubled: std::sync::Mutex::default(),
            making: std::sync::Mutex::default(),
            missing: Missing::default(),
            retentions: Retentions::default(),
            refused: std::sync::atomic::AtomicU32::new(0),
        }
    }
}

/// One sender: a batch after the other until it is time to stop.
fn send(outbox: &Outbox, courier: &Courier) {
    while let Some(batch) = outbox.next_batch() {
        // A batch that is neither acknowledged nor given back would hold up its stream for ever.
        let end = catch_unwind(AssertUnwindSafe(|| courier.carry(&batch))).unwrap_or_else(|_| courier.failed(&batch));
        match end {
            End::Settled => outbox.acknowledge(batch),
            End::Later(then) => outbox.give_back(batch, then),
            End::Stopped => {
                outbox.give_back(batch, Instant::now());
                return;
            }
        }
    }
}

#[cfg(test)]
pub(in crate::logs) mod scripted;
#[cfg(test)]
mod tests;
