//! `agent schema`: the JSON Schema of a playbook, on stdout.

use std::io::Write;

use crate::playbook;

/// Prints the JSON Schema of a playbook, made from the step types of this agent.
///
/// Point an editor to it from a playbook's first line.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = "Example:\n  agent schema > playbook.schema.json\n\nand as a playbook's first line:\n  \
                        # yaml-language-server: $schema=playbook.schema.json")]
pub struct SchemaArguments {}

impl SchemaArguments {
    /// Writes the schema to `out`; gives the exit code.
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn run(self, out: &mut dyn Write) -> std::io::Result<u8> {
        serde_json::to_writer_pretty(&mut *out, &playbook::schema())?;
        writeln!(out)?;
        Ok(0)
    }
}
