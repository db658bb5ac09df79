//! The table of step types. A new type is one file and its two lines here; parser, JSON Schema, reference and tests walk it.

mod archive;
mod authorized_keys;
mod command;
mod directory;
mod env_file;
mod file;
mod git;
mod group;
mod health;
mod known_hosts;
mod line;
mod link;
mod package_source;
mod packages;
mod reboot;
mod s3_sync;
mod service;
mod ssh_key;
mod systemd_unit;
mod user;
mod venv;

use crate::step::StepType;

/// Every type of step, in the order of the reference.
pub const STEP_TYPES: &[StepType] = &[
    StepType::of::<packages::Packages>(),
    StepType::of::<package_source::PackageSource>(),
    StepType::of::<user::User>(),
    StepType::of::<group::Group>(),
    StepType::of::<directory::Directory>(),
    StepType::of::<file::File>(),
    StepType::of::<link::Link>(),
    StepType::of::<git::Git>(),
    StepType::of::<venv::Venv>(),
    StepType::of::<systemd_unit::SystemdUnit>(),
    StepType::of::<service::Service>(),
    StepType::of::<command::Command>(),
    StepType::of::<health::Health>(),
    StepType::of::<reboot::Reboot>(),
    StepType::of::<line::Line>(),
    StepType::of::<authorized_keys::AuthorizedKeys>(),
    StepType::of::<ssh_key::SshKey>(),
    StepType::of::<known_hosts::KnownHosts>(),
    StepType::of::<env_file::EnvFile>(),
    StepType::of::<archive::Archive>(),
    StepType::of::<s3_sync::S3Sync>(),
];

/// The type of this name.
#[must_use]
pub fn find(kind: &str) -> Option<&'static StepType> {
    STEP_TYPES.iter().find(|step_type| step_type.kind == kind)
}
