//! Files that the user names on the command line to fill in an environment: `--facts`, `--secrets-from`.

use std::io::Read as _;
use std::path::Path;

use crate::error::{Context as _, Error, Kind, Result};

/// Nobody types more than this.
const LARGEST: u64 = 1 << 20;

/// Reads a mapping written in YAML or JSON.
///
/// # Errors
/// `Usage` when there is no such file or it holds no mapping. The message never quotes the content, which may be secret.
pub fn read_mapping(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>> {
    let doing = || format!("reading `{}`", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| Error::from(error).with_kind(Kind::Usage)).doing(doing)?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| Error::from(error).with_kind(Kind::Usage)).doing(doing)?;
    let value: serde_json::Value =
        serde_yaml::from_str(&text).map_err(|_| Error::new(Kind::Usage, "it is neither YAML nor JSON")).doing(doing)?;
    match value {
        serde_json::Value::Object(map) => Ok(map),
        _ => Err(Error::new(Kind::Usage, "it is no mapping of names to values")).doing(doing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_read_and_nothing_else_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let path = folder.path().join("given");
            std::fs::write(&path, text).unwrap();
            read_mapping(&path)
        };
        assert_eq!(read("a: { b: x }").unwrap(), read("{\"a\": {\"b\": \"x\"}}").unwrap());
        for wrong in ["- hunter2hunter2", "a: [hunter2hunter2", "hunter2hunter2"] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(read_mapping(&folder.path().join("absent")).unwrap_err().kind(), Kind::Usage);
    }
}
