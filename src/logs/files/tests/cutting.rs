//! Files that are cut short in place, with a copy of what was there or without.

use std::os::unix::fs::FileExt as _;

use super::*;

#[test]
fn what_was_unread_when_the_file_was_cut_is_read_from_the_copy() {
    for ending in ["", ".gz", ".zst"] {
        let mut scene = Scene::new(&["app.log"]);
        scene.append("app.log", lines(0..100));
        scene.read_and_ship();
        scene.append("app.log", lines(100..200));
        scene.copy_truncate("app.log", "app.log.1");
        scene.pack("app.log.1", ending);
        scene.append("app.log", lines(200..250));
        scene.pass(Duration::from_secs(11));
        scene.ship();
        let mut stored = scene.stored();
        stored.sort_unstable();
        assert_eq!(stored, expected(0..250), "compressed: {ending}");
        assert_eq!((scene.lost(), scene.figures.of(Figure::Truncations)), (0, 1));
        scene.restart();
        scene.pass(Duration::from_secs(60));
        scene.ship();
        assert_eq!(scene.stored(), [""; 0]);
    }
}

#[test]
fn a_file_that_was_cut_and_has_grown_past_the_old_place_is_noticed() {
    for (is_away, is_short) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut scene = Scene::new(&["app.log"]);
        // A head too short to be evidence by itself, and a longer one.
        let first = if is_short { 5 } else { 100 };
        scene.append("app.log", lines(0..first));
        scene.read_and_ship();
        if is_away {
            scene.restart();
        }
        scene.append("app.log", lines(first..first + 10));
        scene.copy_truncate("app.log", "app.log.1");
        scene.append("app.log", lines(first + 10..first + 500));
        scene.pass(Duration::from_secs(11));
        scene.ship();
        let mut stored = scene.stored();
        stored.sort_unstable();
        assert_eq!(stored, expected(0..first + 500), "away: {is_away}, short: {is_short}");
        assert_eq!(scene.lost(), 0);
    }
}

#[test]
fn two_cuts_between_two_looks_are_two_files() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", lines(0..10));
    scene.read_and_ship();
    scene.append("app.log", lines(10..20));
    scene.copy_truncate("app.log", "app.log.2");
    scene.append("app.log", lines(20..30));
    scene.copy_truncate("app.log", "app.log.1");
    scene.append("app.log", lines(30..40));
    scene.pass(Duration::from_secs(11));
    scene.ship();
    let mut stored = scene.stored();
    stored.sort_unstable();
    assert_eq!(stored, expected(0..40));
}

#[test]
fn a_copy_that_is_still_being_made_is_not_taken_for_a_log() {
    let mut scene = Scene::new(&["app.log*"]);
    scene.append("app.log", lines(0..100));
    scene.read_and_ship();
    let text = std::fs::read(scene.path("app.log")).unwrap();
    let mut copy = scene.writer("app.log.1");
    copy.write_all(&text[..500]).unwrap();
    scene.pass(Duration::from_secs(11));
    copy.write_all(&text[500..]).unwrap();
    drop(copy);
    scene.pass(Duration::from_secs(2));
    OpenOptions::new().write(true).open(scene.path("app.log")).unwrap().set_len(0).unwrap();
    scene.append("app.log", lines(100..110));
    scene.pass(Duration::from_secs(30));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..110));
    assert_eq!(scene.lost(), 0);
}

#[test]
fn the_hole_that_a_writer_leaves_who_does_not_append_is_no_text() {
    for first in [3, 2000] {
        let mut scene = Scene::new(&["app.log"]);
        let writer = File::create(scene.path("app.log")).unwrap();
        let text = lines(0..first);
        writer.write_all_at(text.as_bytes(), 0).unwrap();
        scene.read_and_ship();
        writer.set_len(0).unwrap();
        scene.pass(Duration::from_secs(1));
        writer.write_all_at(lines(first..first + 10).as_bytes(), text.len() as u64).unwrap();
        scene.pass(Duration::from_secs(11));
        writer.write_all_at(lines(first + 10..first + 11).as_bytes(), writer.metadata().unwrap().len()).unwrap();
        scene.pass(Duration::from_secs(11));
        scene.ship();
        assert_eq!(scene.stored(), expected(0..first + 11), "after {first} lines");
    }
}

#[test]
fn a_file_that_was_overwritten_to_the_same_length_is_another() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", lines(0..10));
    scene.read_and_ship();
    std::fs::write(scene.path("app.log"), lines(10..20)).unwrap();
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..20));
}

#[test]
fn what_was_cut_away_without_a_copy_is_counted() {
    let mut scene = Scene::new(&["app.log"]);
    scene.budget = 100;
    scene.start_again();
    scene.append("app.log", lines(0..50_000));
    scene.turn();
    let read = scene.figures.of(Figure::ReadBytes);
    File::create(scene.path("app.log")).unwrap();
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.lost(), 50_000 * 12 - read);
    let news = scene.files.news();
    assert!(news.iter().any(|problem| problem.contains("vanished before they could be read")), "{news:?}");
    assert_eq!(scene.files.news(), [""; 0], "said once");
}
