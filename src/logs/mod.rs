//! Ships files, journals and what runs say of themselves to `CloudWatch` Logs, so that nothing is lost while its source exists.
//!
//! Files and journals are the buffer: what the service has not acknowledged is read again. `files` and `journals` read, `text` makes
//! events of bytes, `outbox` holds what waits, `delivery` carries it, `places` records what is acknowledged, and `pipeline` is all of
//! them at work. Failing to ship never fails a run.

pub mod complaints;
pub mod control;
pub mod delivery;
pub mod emf;
pub mod figures;
pub mod files;
pub mod journals;
mod keeper;
pub mod limits;
pub mod outbox;
pub mod own_events;
pub mod pipeline;
pub mod places;
pub mod secrets;
pub mod settings;
pub mod text;

pub use keeper::Keeper;
pub use pipeline::Means;
