//! What no type can say: exit codes, environment variables, files. Tests hold the tables against the code that they are about.

use super::page::{Block, Page, Term};

/// Exit codes of every command that carries out or judges a playbook.
pub const EXIT_CODES: [(u8, &str); 5] = [
    (0, "converged, or a dry-run with nothing to do"),
    (1, "a step failed"),
    (2, "wrong command line or playbook; nothing was touched"),
    (3, "another run holds the lock"),
    (10, "a dry-run found changes, or something it cannot tell"),
];

/// Variables that the agent, or the SDK in it, looks at.
pub const ENVIRONMENT: [(&str, &str); 18] = [
    (
        "AGENT_LOG",
        "Diagnostics of the agent itself on standard error: `debug`, `info`, or a filter such as `bootstrap_agent=debug`.",
    ),
    ("NO_COLOR", "Not empty: no colour."),
    ("TERM", "`dumb`: no colour and no line that moves."),
    ("AWS_REGION", "The region; the instance's own unless told."),
    ("AWS_ACCESS_KEY_ID", "Credentials, with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; the instance's role unless told."),
    ("AWS_SECRET_ACCESS_KEY", "See `AWS_ACCESS_KEY_ID`."),
    ("AWS_SESSION_TOKEN", "See `AWS_ACCESS_KEY_ID`."),
    ("AWS_PROFILE", "A profile of the SDK's configuration files."),
    ("AWS_ENDPOINT_URL", "Where every service of AWS is, in place of the region's own addresses."),
    (
        "AWS_ENDPOINT_URL_SERVICE",
        "The same for one service: `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL_AUTO_SCALING`, \
         `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`.",
    ),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "Where the metadata service is."),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "`IPv6`: the metadata service is asked by IPv6."),
    ("AWS_EC2_METADATA_DISABLED", "`true`: the metadata service is not asked."),
    ("HTTPS_PROXY", "The proxy for HTTPS, also as `https_proxy`. The metadata service is never asked through one."),
    ("HTTP_PROXY", "The proxy for HTTP, also as `http_proxy`."),
    ("NO_PROXY", "Hosts that are reached without a proxy, also as `no_proxy`."),
    ("SSL_CERT_FILE", "The authorities that TLS trusts, in place of the system's."),
    ("SSL_CERT_DIR", "The same as a folder."),
];

/// Where things are.
pub const FILES: [(&str, &str); 7] = [
    (
        "/var/lib/bootstrap-agent",
        "The agent's records: runs, the verdict, what units were last started with, how far logs are shipped.",
    ),
    (
        "/etc/bootstrap-agent",
        "The playbook that is installed with what lies beside it, and `installed.json`, which names it. Root's alone.",
    ),
    ("/etc/default/bootstrap-agent", "Environment variables for the services, where you need some."),
    ("/etc/systemd/system/bootstrap-agent.service", "The boot run; written by `agent install`."),
    (
        "/etc/systemd/system/bootstrap-agent.timer",
        "Starts `bootstrap-agent-converge.service`, which looks for drift; written by `agent install`.",
    ),
    ("/etc/systemd/system/bootstrap-agent-logs.service", "Ships logs; written by `agent install`."),
    ("/run/bootstrap-agent", "The log service's socket, and the secrets that it masks, in memory."),
];

/// The page of the exit codes.
pub fn exit_codes() -> Page {
    let terms = EXIT_CODES.iter().map(|(code, meaning)| Term::new(code.to_string(), *meaning)).collect();
    page("exit-codes", "How a command says what became of it.", terms)
}

/// The page of the environment variables.
pub fn environment() -> Page {
    let mut page = page("environment", "Environment variables that are looked at.", terms(&ENVIRONMENT));
    let children =
        "Programs that a step starts see none of these: they get a clean environment, and what the playbook's `env:` says.";
    page.blocks.push(Block::Text(children.to_owned()));
    page
}

/// The page of the files.
pub fn files() -> Page {
    page("files", "Where things are on an instance.", terms(&FILES))
}

fn terms(rows: &[(&str, &str)]) -> Vec<Term> {
    rows.iter().map(|(name, meaning)| Term::new(*name, *meaning)).collect()
}

fn page(name: &str, about: &str, terms: Vec<Term>) -> Page {
    Page { name: name.to_owned(), about: about.to_owned(), blocks: vec![Block::Terms(terms)] }
}
