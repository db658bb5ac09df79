//! Which steps a run carries out that was asked for some only: those, and everything that they demand, through all the steps between.
//!
//! That a step stands above another is no demand; that it writes what the other reads is one.

use super::graph::Graph;
use crate::error::{Error, Kind, Result};
use crate::playbook::{Playbook, Scope, did_you_mean};

/// The playbook with only these steps and what they demand; all of it where none is named. Numbers stay what they were.
///
/// # Errors
/// `Usage` when no step has such an id; of the playbook where the fields of a step do not evaluate.
pub fn narrow(mut playbook: Playbook, scope: &Scope, only: &[String]) -> Result<Playbook> {
    if only.is_empty() {
        return Ok(playbook);
    }
    let wanted = only.iter().map(|id| place_of(&playbook, id)).collect::<Result<Vec<_>>>()?;
    let graph = Graph::of_entries(&playbook.entries, scope)?;
    let chosen = graph.demanded_by(&wanted);
    let mut index = 0;
    playbook.entries.retain(|_| {
        index += 1;
        chosen.contains(&(index - 1))
    });
    Ok(playbook)
}

/// Where the step with this id stands, counted from 0.
fn place_of(playbook: &Playbook, id: &str) -> Result<usize> {
    let place = playbook.entries.iter().position(|entry| entry.id.as_deref() == Some(id));
    place.ok_or_else(|| {
        let error = Error::new(Kind::Usage, format!("no step has the id `{id}`"));
        match did_you_mean(id, playbook.entries.iter().filter_map(|entry| entry.id.as_deref())) {
            Some(hint) => error.hint(hint),
            None => error.hint("no step of this playbook has an `id:`"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::{Location, Overrides};

    const STEPS: &str = "version: 1
steps:
  - packages: [nginx]
  - id: user
    user: app
  - id: elsewhere
    directory: /srv/elsewhere
  - id: app
    directory: { path: /srv/app, owner: app }
  - id: settings
    file: { path: /srv/app/settings, content: a }
  - id: unit
    systemd_unit: { name: app.service, Service: { ExecStart: /srv/app/run }, restart_on: [settings] }
  - id: again
    needs: []
    packages: [git]
";

    fn numbers(text: &str, only: &[&str]) -> Result<Vec<usize>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        std::fs::write(&path, text).unwrap();
        let playbook = Playbook::load(&Location::Path(path), &Overrides::default()).unwrap();
        let only: Vec<String> = only.iter().map(|id| (*id).to_owned()).collect();
        let narrowed = narrow(playbook, &Scope::default(), &only)?;
        Ok(narrowed.entries.iter().map(|entry| entry.number).collect())
    }

    #[test]
    fn a_step_brings_what_it_demands_and_nothing_that_only_stands_above() {
        assert_eq!(numbers(STEPS, &[]).unwrap(), [1, 2, 3, 4, 5, 6, 7], "all of it");
        assert_eq!(numbers(STEPS, &["elsewhere"]).unwrap(), [3]);
        assert_eq!(numbers(STEPS, &["settings"]).unwrap(), [2, 4, 5], "its folder, and whose that is");
        assert_eq!(numbers(STEPS, &["unit"]).unwrap(), [1, 2, 4, 5, 6], "programs, and what it names");
        assert_eq!(numbers(STEPS, &["again"]).unwrap(), [7], "packages do not need each other");
        assert_eq!(numbers(STEPS, &["elsewhere", "app"]).unwrap(), [2, 3, 4]);
    }

    #[test]
    fn an_id_that_is_not_there_is_guessed() {
        let text = "version: 1\nsteps:\n  - id: settings\n    directory: /srv/a\n";
        let error = numbers(text, &["setings"]).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, "no step has the id `setings`"));
        assert_eq!(error.advice(), Some("did you mean `settings`?"));
        let error = numbers("version: 1\nsteps:\n  - directory: /srv/a\n", &["a"]).unwrap_err();
        assert_eq!(error.advice(), Some("no step of this playbook has an `id:`"));
    }
}
