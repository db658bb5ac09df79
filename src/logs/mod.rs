//! Ships the run's own events and the playbook's log sources to CloudWatch Logs.

pub mod settings;
