//! `--vars` and `--set`, which `run` and `check` share.

use std::path::PathBuf;

use crate::playbook::Overrides;

/// What overrides a playbook's variables.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OverrideArguments {
    /// A file of variables, of this machine or of the playbook's `.tar.gz`; may be given more than once, the last one wins
    #[arg(long = "vars", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One variable, after all files; may be given more than once
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    values: Vec<(String, String)>,
}

impl OverrideArguments {
    /// As the playbook's loader takes them.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides { files: self.files.clone(), values: self.values.clone() }
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not like `name=value`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(name_and_value("a").unwrap_err().contains("name=value"));
    }
}
