//! `--json`: the events of a run as JSON lines, each as soon as it happens.

use super::terminal;
use crate::engine::event::{Listener, Stamped};

/// Prints every event as a line.
pub struct JsonLines;

impl Listener for JsonLines {
    fn hear(&self, event: &Stamped) {
        if let Ok(line) = serde_json::to_string(event) {
            terminal::print(&format!("{line}\n"));
        }
    }
}
