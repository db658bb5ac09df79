//! Carries out a playbook: order, check, apply, check again; what happens is told as [`event::Event`]s.
//!
//! From the inside out: [`attempt`] takes one step from check to check, [`forecast`] judges one step in a dry-run, [`scheduler`]
//! walks the [`graph`] and starts what is ready.

pub mod attempt;
pub mod diff;
pub mod duty;
pub mod environment;
pub mod event;
pub mod explanation;
pub mod forecast;
pub mod graph;
pub mod homes;
pub mod horizon;
pub mod job;
pub mod locks;
pub mod metrics;
pub mod options;
pub mod own_binary;
pub mod owner;
pub mod panics;
mod poll;
mod rollback;
pub mod reboot;
pub mod record;
mod refused;
pub mod run;
pub mod scheduler;
pub mod selection;
pub mod shipping;
pub mod stop;
pub mod summary;
pub mod tally;
mod turn;
mod voice;

#[cfg(test)]
mod scripted;
