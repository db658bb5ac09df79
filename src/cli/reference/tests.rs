//! The reference says what is so: its examples are playbooks in order, its tables are those of the code.

use super::page::Block;
use super::tables::{ENVIRONMENT, EXIT_CODES};
use super::*;
use crate::error::Kind;
use crate::playbook::Playbook;

fn command() -> clap::Command {
    crate::cli::command()
}

#[test]
fn the_example_of_every_step_is_in_order_and_shows_that_step() {
    for step_type in STEP_TYPES {
        let text = format!("version: 1\n{}", step_type.example);
        let playbook = Playbook::parse("example", &text).unwrap_or_else(|problems| panic!("{}: {problems}", step_type.kind));
        assert!(playbook.entries.iter().any(|entry| entry.step_type.kind == step_type.kind), "{}", step_type.kind);
        assert!(playbook.warnings.is_empty(), "{}: {:?}", step_type.kind, playbook.warnings);
    }
}

#[test]
fn the_page_of_a_step_says_all_there_is_to_say() {
    let pages = steps();
    assert_eq!(pages.len(), STEP_TYPES.len());
    for (page, step_type) in pages.iter().zip(STEP_TYPES) {
        let drawn = text::page(page);
        let schema = crate::playbook::schema();
        let own = schema.pointer(&format!("/properties/steps/items/properties/{}", step_type.kind)).unwrap();
        let name = own.pointer("/anyOf/0/$ref").or_else(|| own.get("$ref")).and_then(Json::as_str).unwrap();
        let fields = schema.pointer(&format!("/$defs/{}/properties", name.rsplit('/').next().unwrap())).unwrap();
        for field in fields.as_object().unwrap().keys() {
            assert!(drawn.contains(&format!("\n  {field}  (")), "{}: `{field}` is missing in\n{drawn}", page.name);
        }
        assert!(!page.about.is_empty() && one_line(page).chars().count() < 170, "{}: {}", page.name, page.about);
        assert!(drawn.contains("What the example touches:"), "{drawn}");
    }
}

#[test]
fn a_page_reads_like_this() {
    let page = steps().into_iter().find(|page| page.name == "git").unwrap();
    let drawn = text::page(&page);
    for line in [
        "  url  (text; required)",
        "  path  (absolute path; required)",
        "  ssh_key  (text; may be a secret)",
        "  depth  (number; default 1)",
        "  releases.keep  (number; default 3)",
        "  steps.<id>.commit",
        "    - id: code",
    ] {
        assert!(drawn.lines().any(|one| one == line), "`{line}` is missing in\n{drawn}");
    }
    assert!(drawn.contains("\n  - id: code\n    git: {"), "{drawn}");
    assert!(drawn.contains("  writes\n      `/srv/app`"), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 140), "{drawn}");
    let manual = roff::manual(&page);
    assert!(manual.contains(".TP\n\\fBssh_key\\fR (text; may be a secret)\n"), "{manual}");
}

#[test]
fn every_kind_of_event_and_its_fields_are_told() {
    let page = topics().into_iter().find(|page| page.name == "events").unwrap();
    let names: Vec<String> = page
        .blocks
        .iter()
        .flat_map(|block| if let Block::Terms(terms) = block { terms.clone() } else { Vec::new() })
        .map(|term| term.name)
        .collect();
    for name in
        ["run_started", "run_started.playbook_digest", "step_finished.timing.check", "run_finished.converged", "binary.digest"]
    {
        assert!(names.iter().any(|known| known == name), "`{name}` is missing in {names:?}");
    }
}

#[test]
fn every_exit_code_of_an_error_is_in_the_table() {
    let kinds = [Kind::Usage, Kind::Playbook, Kind::Missing, Kind::Denied, Kind::Locked, Kind::Failed, Kind::Bug, Kind::TimedOut];
    for kind in kinds {
        assert!(EXIT_CODES.iter().any(|(code, _)| *code == kind.exit_code()), "{kind:?}");
    }
    let readme = include_str!("../../../README.md");
    for (code, meaning) in EXIT_CODES {
        assert!(readme.contains(&format!("| {code} | {meaning} |")), "README says something else about exit code {code}");
    }
}

#[test]
fn every_variable_that_the_code_reads_is_in_the_table() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap();
            let shipped = code.split("#[cfg(test)]").next().unwrap_or_default();
            for reader in ["var(\"", "var_os(\"", "from_env(\"", "said(\""] {
                for name in shipped.split(reader).skip(1).filter_map(|rest| rest.split('"').next()) {
                    assert!(ENVIRONMENT.iter().any(|(known, _)| *known == name), "{} reads `{name}`", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 6, "only {seen} variables");
}

#[test]
fn every_command_has_a_page_with_its_options() {
    let pages = commands(&command());
    for inner in command().get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let name = format!("agent {}", inner.get_name());
        let page = pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no page for `{name}`"));
        let drawn = text::page(page);
        for long in inner.get_arguments().filter(|one| !one.is_hide_set()).filter_map(clap::Arg::get_long) {
            assert!(drawn.contains(&format!("--{long}")), "{drawn}");
        }
    }
    assert!(pages.len() > 10, "only {} pages", pages.len());
}

#[test]
fn roff_is_never_given_a_request_by_accident() {
    let page = Page {
        name: "agent x".into(),
        about: "about `a-b`.".into(),
        blocks: vec![Block::Verbatim(".hidden\n'quoted' \\ back\n".into()), Block::Text(".a `.b`".into())],
    };
    let manual = roff::manual(&page);
    assert!(manual.contains("\n\\&.hidden\n\\(aqquoted\\(aq \\e back\n"), "{manual}");
    assert!(manual.contains(".PP\n\\&.a \\fB.b\\fR\n"), "{manual}");
    assert!(manual.contains("agent\\-x \\- about a\\-b\n"), "{manual}");
}
