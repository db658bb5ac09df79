//! `agent artefacts`: the files that packages hold beside the binary, from the binary itself: manual pages, completions, schema,
//! reference, units. So no package can be about another version than its binary.

use std::io::Write;

use clap_complete::Shell;

use super::{install, reference};
use crate::playbook;

/// Print a file that packages hold; without PATH, list where these files belong.
#[derive(Debug, Clone, clap::Args)]
#[command(hide = true, after_help = "Example:\n  agent artefacts usr/share/man/man1/agent.1")]
pub struct ArtefactArguments {
    /// Where the file belongs, below the root of the file system
    path: Option<String>,
}

impl ArtefactArguments {
    /// Writes the file or the list to `out`; gives the exit code.
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<u8> {
        let files = files();
        let Some(path) = &self.path else {
            files.iter().try_for_each(|(path, _)| writeln!(out, "{path}"))?;
            return Ok(0);
        };
        let Some((_, text)) = files.iter().find(|(known, _)| known == path) else {
            writeln!(err, "error: no package holds `{path}`\n\nhint: `agent artefacts` lists what they hold")?;
            return Ok(2);
        };
        out.write_all(text.as_bytes())?;
        Ok(0)
    }
}

/// Paths and texts. Where distributions differ, it is Debian's place.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let command = super::command();
    let mut files = vec![
        ("usr/share/doc/bootstrap-agent/reference.md".to_owned(), reference::document(&command)),
        ("usr/share/bootstrap-agent/playbook.schema.json".to_owned(), format!("{:#}\n", playbook::schema())),
        ("usr/share/man/man1/bootstrap-agent.1".to_owned(), ".so man1/agent.1\n".to_owned()),
    ];
    for page in reference::commands(&command) {
        files.push((format!("usr/share/man/man1/{}.1", page.name.replace(' ', "-")), reference::roff::manual(&page)));
    }
    let mut pages = reference::topics();
    let about = pages.first().map(|page| page.about.clone()).unwrap_or_default();
    pages.extend(reference::steps());
    let book = reference::roff::book(reference::PLAYBOOK, &about, &pages);
    files.push((format!("usr/share/man/man5/{}.5", reference::PLAYBOOK), book));
    for name in ["agent", "bootstrap-agent"] {
        for (shell, path) in [
            (Shell::Bash, format!("usr/share/bash-completion/completions/{name}")),
            (Shell::Zsh, format!("usr/share/zsh/vendor-completions/_{name}")),
            (Shell::Fish, format!("usr/share/fish/vendor_completions.d/{name}.fish")),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), name, &mut script);
            files.push((path, String::from_utf8_lossy(&script).into_owned()));
        }
    }
    files.extend(install::packaged_units().into_iter().map(|(name, text)| (format!("usr/lib/systemd/system/{name}"), text)));
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_place_of_its_own_and_something_in_it() {
        let files = files();
        assert!(files.windows(2).all(|pair| pair[0].0 != pair[1].0));
        assert!(files.iter().all(|(path, text)| path.starts_with("usr/") && text.ends_with('\n')), "{files:?}");
        for expected in
            ["man1/agent-run.1", "man5/bootstrap-agent-playbook.5", "completions/agent", "bootstrap-agent-logs.service"]
        {
            assert!(files.iter().any(|(path, _)| path.ends_with(expected)), "{expected}");
        }
        // What is hidden from people has no page.
        assert!(!files.iter().any(|(path, _)| path.contains("errand") || path.contains("artefacts")));
    }

    #[test]
    fn one_file_is_printed_and_an_unknown_one_is_not() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ask = |path: &str| ArtefactArguments { path: Some(path.into()) };
        assert_eq!(ask("usr/share/man/man1/bootstrap-agent.1").run(&mut out, &mut err).unwrap(), 0);
        assert_eq!(out, b".so man1/agent.1\n");
        assert_eq!(ask("etc/passwd").run(&mut out, &mut err).unwrap(), 2);
    }
}
