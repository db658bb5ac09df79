//! Ships the run's own events and the playbook's log sources to `CloudWatch` Logs, while the run goes on.
//!
//! One thread reads, batches and sends. What comes from a file or a journal is acknowledged before its place is recorded, so a
//! crash sends twice rather than never; what the run itself says is kept in bounded memory. Failing to ship never fails a run.

mod batch;
mod checkpoint;
pub mod complaints;
pub mod control;
pub mod delivery;
pub mod emf;
pub mod figures;
pub mod files;
mod journal;
pub mod journals;
mod keeper;
pub mod limits;
pub mod outbox;
pub mod own_events;
pub mod pipeline;
pub mod places;
mod queue;
mod send;
pub mod secrets;
pub mod settings;
mod shipper;
mod sources;
mod tail;
pub mod text;

pub use keeper::{Keeper, Means};
pub use shipper::{Plan, Shipper};
