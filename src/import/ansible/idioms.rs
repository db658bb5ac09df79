//! What several tasks say together and one step says here: a unit's file, its start and its restart.

use super::handlers::same_unit;
use crate::import::document::{Document, FOLLOWING, Piece, Step};
use crate::playbook::Position;

/// A unit's file and the task that starts it become one step, in the place of the latter.
pub fn units(document: &mut Document) {
    let mut from = 0;
    while let Some((file, start)) = pair(document, from) {
        from = file;
        if !merge(document, file, start) {
            from = file + 1;
        }
    }
}

fn pair(document: &Document, from: usize) -> Option<(usize, usize)> {
    let step = |at: usize| document.pieces.get(at).and_then(Piece::step);
    (from..document.pieces.len()).find_map(|file| {
        let unit = step(file).filter(|step| step.kind == "systemd_unit" && step.text("state") == Some("unchanged"))?;
        let start = (file + 1..document.pieces.len())
            .find(|at| step(*at).is_some_and(|other| other.kind == "service" && same_unit(unit, other)))?;
        (step(start).is_some_and(|other| other.when == unit.when)).then_some((file, start))
    })
}

fn merge(document: &mut Document, file: usize, start: usize) -> bool {
    let (Some(unit), Some(service)) =
        (document.pieces.get(file).and_then(Piece::step), document.pieces.get(start).and_then(Piece::step))
    else {
        return false;
    };
    let (mut unit, service) = (unit.clone(), service.clone());
    if service.get("masked").is_some() {
        return false;
    }
    let between = document.pieces.iter().skip(file + 1).take(start - file - 1).filter_map(Piece::step);
    if between.into_iter().any(|step| FOLLOWING.iter().any(|key| step.followed(key).contains(&unit.id))) {
        return false;
    }
    match service.text("state") {
        Some(state) => unit.set("state", state),
        None => unit.remove("state"),
    }
    match service.get("enabled").cloned() {
        Some(on) if on == true.into() => unit.remove("enabled"),
        Some(off) => unit.set("enabled", off),
        None => {}
    }
    for key in ["restart_on", "reload_on"] {
        unit.follow(key, &service.followed(key));
    }
    unit.may_fail |= service.may_fail;
    let Some(started) = document.pieces.get(start).map(|piece| piece.at.clone()) else { return false };
    unit.notes.push(format!("and {}:{}", started.file, started.line));
    unit.notes.extend(service.notes);
    unit.notify.extend(service.notify);
    replace_id(document, &service.id, &unit.id);
    if let Some(piece) = document.pieces.get_mut(file)
        && let Some(step) = piece.step_mut()
    {
        *step = unit;
    }
    // The file's piece goes where the unit was started.
    document.pieces.remove(start);
    let moved = document.pieces.remove(file);
    document.pieces.insert(start - 1, moved);
    true
}

fn replace_id(document: &mut Document, old: &str, new: &str) {
    for step in document.pieces.iter_mut().filter_map(Piece::step_mut) {
        for key in FOLLOWING {
            let followed = step.followed(key);
            if followed.iter().any(|id| id == old) {
                step.set(key, followed.iter().map(|id| if id == old { new.to_owned() } else { id.clone() }).collect::<Vec<_>>());
            }
        }
    }
}

/// Lets the step that starts a unit already react to what this one reacts to, where it stands below all of that. Whether it did.
pub fn join(document: &mut Document, reaction: &Step, at: &Position) -> bool {
    if reaction.kind != "service" || reaction.when.is_some() || reaction.text("state").is_some_and(|state| state != "started") {
        return false;
    }
    let keys = ["restart_on", "reload_on"];
    let Some(place) = document.pieces.iter().rposition(|piece| piece.step().is_some_and(|step| same_unit(step, reaction))) else {
        return false;
    };
    let Some(id) = document.pieces.get(place).and_then(Piece::step).map(|step| step.id.clone()) else { return false };
    let causes: Vec<String> = keys.iter().flat_map(|key| reaction.followed(key)).filter(|cause| *cause != id).collect();
    let above =
        |cause: &String| document.pieces.iter().take(place).any(|piece| piece.step().is_some_and(|step| step.id == *cause));
    if !causes.iter().all(above) {
        return false;
    }
    let Some(step) =
        document.pieces.get_mut(place).and_then(Piece::step_mut).filter(|step| step.text("state") != Some("stopped"))
    else {
        return false;
    };
    for key in keys {
        step.follow(key, &reaction.followed(key));
    }
    step.notes.push(format!("and {}:{}", at.file, at.line));
    step.notes.extend(reaction.notes.iter().cloned());
    true
}
