//! `s3_sync`: a folder of this machine and a folder of S3 objects are made the same, in one direction or the other.

mod content_type;
mod fetching;
mod sending;

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::Result;
use crate::host::aws::Permission;
use crate::host::object_folder::{ObjectFolder, Upload};
use crate::host::{Facts, Host};
use crate::step::fields::{AbsolutePath, Mode, account_name_problem};
use crate::step::{Finding, Step, Thing, Touches};

/// Makes a folder of S3 objects hold what a folder of this machine holds, or the other way round: one of `from` and `to` begins
/// with `s3://`.
///
/// ```yaml
/// - s3_sync: { from: /srv/app/static, to: "s3://{{ bucket }}/static", delete: true, exclude: ["*.map"] }
/// - s3_sync: { from: "s3://{{ bucket }}/keys", to: /etc/app/keys, owner: app }
/// ```
///
/// A file and an object are the same when their sizes are and the entity tag proves their bytes, so a second run sends nothing: it
/// lists the objects (`ListObjectsV2`) and asks nothing else. An object whose bytes are right keeps its headers, unless this machine has
/// put it there with other ones. The role needs `s3:ListBucket` on the bucket, and on the objects `s3:PutObject`, or `s3:GetObject`; for
/// `delete: true` also `s3:DeleteObject`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Sync {
    /// Where the files come from: a folder, or `s3://bucket/prefix`.
    from: String,
    /// Where they go to: `s3://bucket/prefix`, or a folder.
    to: String,
    /// Removes what is at `to` and not at `from`. Where nothing is at `from`, that is an error.
    #[serde(default)]
    delete: bool,
    /// What is neither copied nor removed: patterns such as `*.map` for a name at any depth, or `docs/**` for a path from the top.
    #[serde(default)]
    exclude: Vec<String>,
    /// `Cache-Control` of the objects.
    cache_control: Option<String>,
    /// `Content-Type` by the ending of a name (`.webmanifest: application/manifest+json`); those that the web has are known.
    #[serde(default)]
    content_types: IndexMap<String, String>,
    /// Who owns the folder's files; unless told, root or whose tree it is in.
    owner: Option<String>,
    /// Their group; the owner's primary group unless told.
    group: Option<String>,
    /// Their permission bits; `0600` unless told. Folders made for them can be entered by whoever may read them.
    mode: Option<Mode>,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum S3SyncChange {
    /// Files are missing in S3, or others.
    Send(Vec<Upload>, ObjectFolder),
    /// Objects that no file stands for any more.
    RemoveObjects(Vec<String>, ObjectFolder),
    /// Objects are missing here, or others.
    Fetch(Vec<PathBuf>, PathBuf),
    /// Owner, group and mode of a file: now and to be.
    Attributes(PathBuf, String, String),
    /// Files that no object stands for any more.
    RemoveFiles(Vec<PathBuf>, PathBuf),
}

impl fmt::Display for S3SyncChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(uploads, to) => {
                write!(f, "send {} to {to}: {}", files(uploads.len()), some(uploads.iter().map(|upload| upload.key.as_str())))
            }
            Self::RemoveObjects(keys, _) => {
                let objects = if keys.len() == 1 { "1 object".to_owned() } else { format!("{} objects", keys.len()) };
                write!(f, "remove {objects} that no file stands for: {}", some(keys.iter().map(String::as_str)))
            }
            Self::Fetch(below, to) => {
                write!(f, "fetch {} into {}: {}", files(below.len()), to.display(), some(below.iter().map(|path| shown(path))))
            }
            Self::Attributes(path, from, to) => write!(f, "change {} from {from} to {to}", path.display()),
            Self::RemoveFiles(below, from) => {
                let what = files(below.len());
                write!(
                    f,
                    "remove {what} from {} that no object stands for: {}",
                    from.display(),
                    some(below.iter().map(|path| shown(path)))
                )
            }
        }
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap_or("a name that is no text")
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// The first few names: a line of a plan is for people.
fn some<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 4;
    let mut all: Vec<&str> = names.collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let named = all.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// Which way the files go.
enum Direction {
    Send(AbsolutePath, ObjectFolder),
    Fetch(ObjectFolder, AbsolutePath),
}

impl S3Sync {
    fn direction(&self) -> Result<Direction, String> {
        let is_s3 = |text: &str| text.starts_with("s3://");
        match (is_s3(&self.from), is_s3(&self.to)) {
            (false, true) => Ok(Direction::Send(self.from.parse()?, ObjectFolder::of(&self.to)?)),
            (true, false) => Ok(Direction::Fetch(ObjectFolder::of(&self.from)?, self.to.parse()?)),
            (true, true) => Err("one of `from` and `to` must be a folder of this machine".to_owned()),
            (false, false) => Err("one of `from` and `to` must begin with `s3://`".to_owned()),
        }
    }

    /// Whether what is at this path below is left alone.
    fn is_excluded(&self, below: &Path) -> bool {
        self.exclude.iter().filter_map(|pattern| glob::Pattern::new(pattern).ok().map(|read| (pattern, read))).any(
            |(pattern, read)| {
                if pattern.contains('/') {
                    below.ancestors().any(|path| path != Path::new("") && read.matches_path_with(path, WHOLE_PATHS))
                } else {
                    below.iter().any(|name| read.matches_path(Path::new(name)))
                }
            },
        )
    }

    fn fields_of_the_other_way(&self, direction: &Direction) -> Option<&'static str> {
        match direction {
            Direction::Send(..) if self.owner.is_some() || self.group.is_some() || self.mode.is_some() => {
                Some("`owner`, `group` and `mode` are those of files that come from S3")
            }
            Direction::Fetch(..) if self.cache_control.is_some() || !self.content_types.is_empty() => {
                Some("`cache_control` and `content_types` are those of objects that go to S3")
            }
            _ => None,
        }
    }
}

/// `*` is one name, `**` any number of them.
const WHOLE_PATHS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl Step for S3Sync {
    const KIND: &'static str = "s3_sync";
    const EXAMPLE: &'static str = r#"steps:
  - s3_sync: { from: /srv/app/static, to: s3://project-assets/static, delete: true, cache_control: "public, max-age=3600" }
"#;
    type Change = S3SyncChange;

    fn permissions(&self) -> Vec<Permission> {
        match self.direction() {
            Ok(Direction::Send(_, to)) if self.delete => to.permissions(&["s3:PutObject", "s3:DeleteObject"]),
            Ok(Direction::Send(_, to)) => to.permissions(&["s3:PutObject"]),
            Ok(Direction::Fetch(from, _)) => from.permissions(&["s3:GetObject"]),
            Err(_) => Vec::new(),
        }
    }

    fn touches(&self) -> Touches {
        match self.direction() {
            Ok(Direction::Send(from, _)) => Touches::nothing().read_path(&*from),
            Ok(Direction::Fetch(_, to)) => {
                let touches = Touches::nothing().read_path(&*to).write_path(&*to).read_user(self.owner.as_deref());
                self.group.iter().fold(touches, |touches, group| touches.read(Thing::Group(group.clone())))
            }
            Err(_) => Touches::nothing(),
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match self.direction() {
            Err(why) => problems.push(why),
            Ok(direction) => {
                problems.extend(self.fields_of_the_other_way(&direction).map(str::to_owned));
                if self.delete && matches!(&direction, Direction::Send(_, to) if to.is_whole_bucket()) {
                    problems.push("`delete: true` needs a prefix behind the bucket: all other objects would be removed".into());
                }
            }
        }
        for pattern in &self.exclude {
            if let Err(error) = glob::Pattern::new(pattern) {
                problems.push(format!("`{pattern}` is no pattern: {}", error.msg));
            }
        }
        problems.extend(self.owner.iter().chain(&self.group).filter_map(|name| account_name_problem(name)));
        problems
    }

    fn check(&self, facts: &Facts) -> Result<Finding<S3SyncChange>> {
        match self.direction() {
            Ok(Direction::Send(from, to)) => self.check_sending(&from, &to, facts),
            Ok(Direction::Fetch(from, to)) => self.check_fetching(&from, &to, facts),
            Err(why) => Err(crate::error::Error::new(crate::error::Kind::Playbook, why)),
        }
    }

    fn apply(&self, change: &S3SyncChange, host: &Host) -> Result<()> {
        match change {
            S3SyncChange::Send(uploads, to) => host.upload(to, uploads),
            S3SyncChange::RemoveObjects(keys, from) => host.remove_objects(from, keys),
            S3SyncChange::Fetch(below, to) => self.fetch(below, to, host),
            S3SyncChange::Attributes(path, ..) => self.set_attributes(path, host),
            S3SyncChange::RemoveFiles(below, from) => below.iter().try_for_each(|path| host.remove(&from.join(path))),
        }
    }
}

#[cfg(test)]
mod tests;
