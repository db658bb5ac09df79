//! What is asked of the machine itself: who it is, its role, its clock, its disk, and whether it reaches AWS.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Handle;

use super::finding::{Finding, State};
use crate::host::aws::trial::{Way, clock_skew, endpoint, reach};
use crate::host::disk::room_at;
use crate::host::instance::{Discovery, Instance};

const MIB: u64 = 1 << 20;
/// Below this, packages do not install.
const TOO_LITTLE: u64 = 200 * MIB;
/// Below this, somebody should look.
const LITTLE: u64 = 1024 * MIB;
/// Files that may still be made, at least.
const FEW_FILES: u64 = 1000;
/// From this many seconds on signatures are refused somewhere; the services allow 300.
const WRONG_CLOCK: i64 = 240;
/// A clock that is set by somebody is never off by more.
const LOOSE_CLOCK: i64 = 5;
/// Credentials that end sooner than this should have been replaced by now.
const OLD_CREDENTIALS: i64 = 60;

/// Who the machine is.
pub fn metadata(runtime: &Handle, within: Duration) -> (Finding, Option<Instance>) {
    const NAME: &str = "metadata";
    match Instance::discover(runtime, within) {
        Ok(Discovery::Known(instance)) => {
            let found = format!("`{}`, a {} in {}", instance.id, instance.kind, instance.zone);
            let finding = match instance.answers_without_token(within / 4) {
                Ok(true) => Finding::new(NAME, State::Warning, format!("{found}; version 1 of the metadata service is on"))
                    .with_hint("require tokens: `MetadataOptions: { HttpTokens: required }` in the launch template"),
                _ => Finding::ok(NAME, format!("{found}; version 2 only")),
            };
            (finding, Some(*instance))
        }
        Ok(Discovery::Absent(why)) => (
            Finding::new(NAME, State::Warning, format!("{why}; there is no hook to answer")).with_hint("run this on an instance"),
            None,
        ),
        Err(error) => (Finding::failed(NAME, &error), None),
    }
}

/// The role of the instance.
pub fn role(instance: &Instance) -> Finding {
    const NAME: &str = "role";
    match instance.role() {
        Ok(None) => Finding::problem(
            NAME,
            "the instance has no role, or no credentials of it have appeared",
            "attach an instance profile with a role, to this instance and to its launch template",
        ),
        Ok(Some(role)) if role.left < 0 => Finding::problem(
            NAME,
            format!("the credentials of `{}` ran out {} s ago", role.name, -role.left),
            "the metadata service should have replaced them; is the clock right, and does the role still exist?",
        ),
        Ok(Some(role)) if role.left < OLD_CREDENTIALS => {
            Finding::new(NAME, State::Warning, format!("the credentials of `{}` run out in {} s", role.name, role.left))
        }
        Ok(Some(role)) => Finding::ok(NAME, format!("`{}`, credentials for {} min", role.name, role.left / 60)),
        Err(error) => Finding::failed(NAME, &error),
    }
}

/// The clock, against that of a service.
pub fn clock(runtime: &Handle, region: &str, within: Duration) -> Finding {
    const NAME: &str = "clock";
    let setting = "let a time service set it: on EC2, chrony with 169.254.169.123";
    match clock_skew(runtime, &endpoint("ssm", region), within) {
        Ok(skew) => {
            let direction = if skew > 0 { "behind" } else { "ahead" };
            let found = format!("{} s {direction}", skew.abs());
            match skew.abs() {
                WRONG_CLOCK.. => {
                    Finding::problem(NAME, format!("{found}: requests are signed with the time, and will be refused"), setting)
                }
                LOOSE_CLOCK.. => Finding::new(NAME, State::Warning, found).with_hint(setting),
                _ => Finding::ok(NAME, "as the services' own"),
            }
        }
        Err(error) => Finding { state: State::Unknown, ..Finding::failed(NAME, &error) },
    }
}

/// The way to one service.
pub fn way_to(service: &str, region: &str, within: Duration) -> Finding {
    let name = format!("way to {service}");
    match reach(&endpoint(service, region), within) {
        Ok(Way::Direct) => Finding::ok(&name, "open"),
        Ok(Way::Proxy) => Finding::ok(&name, "open as far as the proxy"),
        Err(error) => Finding::failed(&name, &error).with_hint(&format!(
            "a private subnet needs a NAT gateway or a VPC endpoint for `{service}`, and a VPC its DNS resolution"
        )),
    }
}

/// The room on the disk at this path.
pub fn disk(path: &Path) -> Finding {
    let name = format!("disk {}", path.display());
    let hint = "give the volume more room in the launch template's block device mapping";
    match room_at(path) {
        Err(error) => Finding { state: State::Unknown, ..Finding::failed(&name, &error) },
        Ok(room) if room.read_only => Finding::problem(&name, "mounted read-only", "look at `dmesg` for a damaged file system"),
        Ok(room) => {
            let found = format!("{} MiB free", room.bytes / MIB);
            match room {
                _ if room.files.is_some_and(|files| files < FEW_FILES) => {
                    Finding::problem(&name, "no more files can be made", hint)
                }
                _ if room.bytes < TOO_LITTLE => Finding::problem(&name, found, hint),
                _ if room.bytes < LITTLE => Finding::new(&name, State::Warning, found).with_hint(hint),
                _ => Finding::ok(&name, found),
            }
        }
    }
}
