//! The environment of a program: nothing of ours, a fixed path and locale, the account's own names, then what was asked for.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use crate::host::accounts::Account;
use crate::secret::Sensitive;

/// Where programs are looked for, unless the playbook's `env:` says otherwise.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole environment of a program run by this account.
pub fn assemble(
    account: Option<&Account>,
    of_playbook: &IndexMap<String, String>,
    of_program: &IndexMap<String, Sensitive>,
) -> IndexMap<String, Sensitive> {
    // `C.UTF-8` so that messages and sort orders do not depend on who started us, and file names stay UTF-8.
    let mut environment: IndexMap<String, Sensitive> = [("PATH", DEFAULT_PATH), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    if let Some(account) = account {
        environment.insert("HOME".into(), account.home.to_string_lossy().into_owned().into());
        environment.insert("USER".into(), account.name.as_str().into());
        environment.insert("LOGNAME".into(), account.name.as_str().into());
    }
    environment.extend(of_playbook.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    environment.extend(of_program.iter().map(|(name, value)| (name.clone(), value.clone())));
    environment
}

/// The `PATH` in an environment.
pub fn path_of(environment: &IndexMap<String, Sensitive>) -> &str {
    environment.get("PATH").and_then(|path| std::str::from_utf8(path.expose()).ok()).unwrap_or(DEFAULT_PATH)
}

/// The file that this name stands for: a path as it is (from `directory` when relative), a bare name by `path`.
pub fn locate(name: &str, path: &str, directory: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(directory.join(name)).filter(|file| is_program(file));
    }
    // Empty and relative entries mean "wherever we happen to be": an old way into other people's programs.
    path.split(':').map(Path::new).filter(|entry| entry.is_absolute()).map(|entry| entry.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
