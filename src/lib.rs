//! THE MAP of the bootstrap agent. One idea: a playbook is a list of steps, a step is a wish about the machine; the engine asks
//! each step for the difference between wish and machine (check), shows it (dry-run) or carries it out (apply), then checks again.
//!
//! The folders, in layer order: a file uses only what stands below it, and files in `steps/` never use each other. A test
//! (`tests/architecture.rs`) keeps it so.

// One file per command; `terminal` is the only file that prints.
pub mod cli;
// Graph and scheduler, events as values, deadline, run record, lock; the way back to an application's last healthy release.
pub mod engine;
// The Auto Scaling lifecycle hook: state machine, heartbeat, persisted verdict.
pub mod lifecycle;
// The way over: an Ansible playbook or a cloud-config becomes a playbook of ours, and what could not be said is listed.
pub mod import;
// Text to `Playbook`: all problems at once, each with file:line:column; variables, expressions, secrets block.
pub mod playbook;
// One file per step type; `mod.rs` holds the table of types.
pub mod steps;
// The shipper: files and journals to lines, lines to batches, batches to the service; what is not acknowledged is not recorded.
pub mod logs;
// THE CONTRACT of a step.
pub mod step;
// Every touch of the outside world, in our words.
pub mod host;
// Secrets as a type, and the redactor.
pub mod secret;
// One error for the whole agent.
pub mod error;

// Deliberately absent: plugins, global state, `utils`, undo of steps (only an application's revision goes back), an orchestrator for
// many machines.
