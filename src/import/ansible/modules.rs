//! The table of Ansible's modules that steps of ours stand for.

mod accounts;
mod files;
mod nothing;
mod packages;
mod parameters;
mod programs;
mod services;
mod sources;
mod texts;
mod waits;

use super::job::{Job, Out};
use crate::import::jinja::Why;
pub use packages::one_line;

/// What a module comes to for one task.
pub type Module = fn(&Job<'_>) -> Result<Out, Why>;

/// The module of this name.
#[must_use]
pub fn find(name: &str) -> Option<Module> {
    Some(match name {
        "apt" | "package" | "dnf" | "yum" => packages::packages,
        "apt_key" | "rpm_key" => packages::key,
        "apt_repository" | "deb822_repository" => packages::repository,
        "yum_repository" => packages::yum_repository,
        "pip" => packages::pip,
        "git" => sources::git,
        "get_url" => sources::get_url,
        "unarchive" => sources::unarchive,
        "s3_object" | "aws_s3" | "s3" => sources::s3_object,
        "copy" => files::copy,
        "template" => files::template,
        "file" => files::file,
        "lineinfile" => texts::line,
        "blockinfile" => texts::block,
        "sysctl" => texts::sysctl,
        "user" => accounts::user,
        "group" => accounts::group,
        "authorized_key" => accounts::authorized_key,
        "known_hosts" => accounts::known_hosts,
        "systemd" | "systemd_service" | "service" => services::service,
        "cron" => services::cron,
        "hostname" => services::hostname,
        "timezone" => services::timezone,
        "reboot" => services::reboot,
        "command" | "shell" | "raw" => programs::command,
        "script" => programs::script,
        "stat" => programs::stat,
        "uri" => waits::uri,
        "wait_for" => waits::wait_for,
        "pause" => waits::pause,
        "assert" => waits::assert,
        "fail" => waits::fail,
        "ssm_parameter" | "aws_ssm_parameter_store" => parameters::ssm_parameter,
        "set_fact" => nothing::set_fact,
        "include_vars" => nothing::include_vars,
        "debug"
        | "setup"
        | "ec2_metadata_facts"
        | "gather_facts"
        | "ping"
        | "meta"
        | "wait_for_connection"
        | "package_facts"
        | "service_facts" => nothing::nothing,
        _ => return None,
    })
}
