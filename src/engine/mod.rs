//! Carries out a playbook: order, check, apply, check again; what happens is told as [`event::Event`]s.
//!
//! From the inside out: [`attempt`] takes one step from check to check, [`forecast`] judges one step in a dry-run, [`scheduler`]
//! walks the [`graph`] and starts what is ready.

pub mod attempt;
pub mod diff;
pub mod event;
pub mod forecast;
pub mod graph;
pub mod job;
pub mod locks;
mod poll;
pub mod scheduler;
pub mod stop;
mod turn;
mod voice;

#[cfg(test)]
mod scripted;
