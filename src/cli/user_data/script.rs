//! The script itself. Its text is in `packaging/user-data`; here its blanks are filled in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::host::digest::Sha256;
use crate::host::origin::Origin;

/// Where instances fetch the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binary {
    /// An object in S3, with the credentials of the instance's role.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// An address that needs no credentials: public, of a mirror, or presigned.
    Https(String),
}

impl FromStr for Binary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Origin::of(text) {
            Ok(Origin::Object { bucket, key }) => Ok(Self::Object { bucket, key }),
            Ok(Origin::Https(url)) if !url.contains(|letter: char| letter.is_whitespace() || letter.is_control()) => {
                Ok(Self::Https(url))
            }
            _ => Err(format!("`{text}` is not a place that instances can fetch from: `s3://bucket/key` or `https://…`")),
        }
    }
}

impl fmt::Display for Binary {
    /// Without what may be a key to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Https(url) => f.write_str(url.split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

/// What the script does.
pub struct Wish<'a> {
    /// Where the agent is.
    pub binary: &'a Binary,
    /// What it must be, whoever answers there.
    pub sha256: Sha256,
    /// The bucket's region, where that is not the instance's.
    pub region: Option<&'a str>,
    /// How long new tries are made.
    pub patience: Duration,
    /// What `agent install --playbook` is given: the location, then options.
    pub install: &'a [String],
}

/// The script for an ordinary POSIX shell.
pub fn text(wish: &Wish<'_>) -> String {
    let (fetch, tools) = match wish.binary {
        Binary::Https(url) => {
            let fetch = include_str!("../../../packaging/user-data/https.sh.in").replace("@URL@", &quoted(url));
            (fetch, "curl")
        }
        Binary::Object { bucket, key } => (from_s3(bucket, key, wish.region), "curl python3"),
    };
    let install: Vec<String> = wish.install.iter().map(|word| quoted(word)).collect();
    // What the user wrote comes last, so that nothing in it is taken for a blank.
    include_str!("../../../packaging/user-data/script.sh.in")
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@SHA256@", &wish.sha256.to_string())
        .replace("@PATIENCE@", &wish.patience.as_secs().max(1).to_string())
        .replace("@TOOLS@", tools)
        .replace("@FETCH@", fetch.trim_end())
        .replace("@BINARY@", &quoted(&wish.binary.to_string()))
        .replace("@INSTALL@", &install.join(" "))
}

fn from_s3(bucket: &str, key: &str, region: Option<&str>) -> String {
    let key = encoded(key);
    // A certificate's star stands for no dots.
    let (host, path) = if bucket.contains('.') {
        ("s3".to_owned(), format!("/{bucket}/{key}"))
    } else {
        (format!("{bucket}.s3"), format!("/{key}"))
    };
    include_str!("../../../packaging/user-data/s3.sh.in")
        .replace("@REGION@", &region.map_or_else(|| "$(metadata placement/region)".to_owned(), quoted))
        .replace("@HOST@", &host)
        .replace("@PATH@", &quoted(&path))
        .replace("@PATH_WITH_BUCKET@", &quoted(&format!("/{bucket}/{key}")))
}

/// A key as it stands in a request and in what is signed.
fn encoded(key: &str) -> String {
    let mut text = String::new();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// One word for a shell: bare where that is the same.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn script(binary: &str, install: &[&str]) -> String {
        let install: Vec<String> = install.iter().map(|&word| word.to_owned()).collect();
        let binary = binary.parse().unwrap();
        let wish =
            Wish { binary: &binary, sha256: Sha256::of(b"a"), region: None, patience: Duration::from_mins(5), install: &install };
        text(&wish)
    }

    /// What a shell makes of a script.
    fn shell(script: &str) -> (bool, String) {
        let done = Command::new("sh").args(["-c", script]).output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
    }

    #[test]
    fn every_blank_is_filled_in_and_a_shell_reads_it() {
        for binary in
            ["s3://my-bucket/a b/agent", "s3://dotted.bucket/agent", "https://example.com/agent?X-Amz-Signature=f00&x=y"]
        {
            let text = script(binary, &["s3://b/p.yaml", "--set", "a=it's \"$HOME\" @BINARY@"]);
            let left: Vec<&str> = text.lines().filter(|line| line.contains('@') && !line.contains("$@")).collect();
            assert!(left.len() == 1 && left[0].contains("'a=it'\\''s \"$HOME\" @BINARY@'"), "{left:?}");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("script");
            std::fs::write(&path, &text).unwrap();
            let read = Command::new("sh").arg("-n").arg(&path).output().unwrap();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
            assert!(text.len() < 6000, "{} bytes", text.len());
        }
        assert!(script("s3://my-bucket/a b/agent", &[]).contains("path=/a%20b/agent endpoint=https://my-bucket.s3.$region."));
        assert!(script("s3://dotted.bucket/k", &[]).contains("path=/dotted.bucket/k endpoint=https://s3.$region."));
    }

    #[test]
    fn a_presigned_address_is_used_and_never_shown() {
        let text = script("https://example.com/agent?X-Amz-Signature=f00", &[]);
        let with_key: Vec<&str> = text.lines().filter(|line| line.contains("f00")).collect();
        assert_eq!(with_key, ["fetch() { get --location 'https://example.com/agent?X-Amz-Signature=f00'; }"]);
    }

    #[test]
    fn words_survive_a_shell() {
        for word in ["", "a b", "it's", "$(reboot) `reboot` \\ \"", "ü\nx", "--set=a"] {
            assert_eq!(shell(&format!("printf %s {}", quoted(word))), (true, word.to_owned()));
        }
    }

    #[test]
    fn signatures_are_those_of_the_services_own_example() {
        // From the service's documentation of signing keys and of a GET request for an object.
        let text = include_str!("../../../packaging/user-data/s3.sh.in");
        let begin = text.find("sign() {").unwrap();
        let end = begin + text[begin..].find("\n}\n").unwrap() + 3;
        let functions = &text[begin..end];
        let request = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
            7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
        let script = format!(
            "member() {{ printf %s wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY; }}\n{functions}\nsign 20130524/us-east-1/s3/aws4_request '{request}'"
        );
        let expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\n";
        assert_eq!(shell(&script), (true, expected.to_owned()));
    }

    #[test]
    fn only_what_instances_can_fetch_from_is_a_place() {
        for wrong in ["agent", "http://example.com/agent", "s3://bucket", "https://example.com/a b", "file:///agent"] {
            assert!(wrong.parse::<Binary>().unwrap_err().contains("instances can fetch"), "{wrong}");
        }
    }
}
