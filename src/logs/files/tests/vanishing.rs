//! Files that are deleted before they were read, and lines that are not finished.

use super::*;

/// A file is deleted when little of it was read.
fn deleted_unread() -> (Scene, u32) {
    let mut scene = Scene::new(&["app.log"]);
    scene.budget = 100_000;
    scene.start_again();
    scene.append("app.log", lines(0..20_000));
    scene.turn();
    scene.remove("app.log");
    (scene, 20_000)
}

fn drain(scene: &mut Scene) {
    for _ in 0..100 {
        scene.ship();
        scene.pass(Duration::from_millis(200));
    }
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let (mut scene, all) = deleted_unread();
    scene.append("app.log", lines(all..all + 10));
    drain(&mut scene);
    assert_eq!(scene.stored(), expected(0..all + 10));
}

#[test]
fn unread_bytes_of_a_deleted_file_outlive_the_process() {
    let (mut scene, all) = deleted_unread();
    scene.pass(Duration::from_secs(11));
    scene.ship();
    scene.restart();
    drain(&mut scene);
    let mut stored = scene.stored();
    stored.dedup();
    assert_eq!(stored, expected(0..all));
    assert_eq!(scene.lost(), 0);
    scene.pass(Duration::from_secs(11));
    assert_eq!(std::fs::read_dir(scene.root.path().join("spool")).unwrap().count(), 0, "what was shipped is removed");
}

#[test]
fn after_half_a_minute_they_outlive_even_a_kill() {
    let (mut scene, all) = deleted_unread();
    scene.pass(Duration::from_secs(60));
    scene.write_down();
    scene.start_again();
    drain(&mut scene);
    assert_eq!(scene.stored(), expected(0..all));
    assert!(scene.figures.of(Figure::RescuedBytes) == 0 && scene.lost() == 0);
}

#[test]
fn what_the_spool_does_not_hold_is_counted() {
    let (mut scene, _) = deleted_unread();
    scene.files.spool.limit(50_000);
    scene.pass(Duration::from_secs(1));
    scene.files.save_vanishing();
    assert_eq!((scene.figures.of(Figure::RescuedBytes), scene.lost()), (50_000, 20_000 * 12 - 50_000));
}

#[test]
fn a_kill_before_that_is_counted_too() {
    let (mut scene, all) = deleted_unread();
    scene.write_down();
    scene.start_again();
    scene.pass(Duration::from_secs(11));
    assert_eq!(scene.lost(), u64::from(all) * 12);
}

#[test]
fn a_line_is_shipped_when_it_is_whole() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", "one\ntw");
    scene.read_and_ship();
    assert_eq!(scene.stored(), ["one"]);
    scene.pass(Duration::from_secs(50));
    scene.append("app.log", "o\nthree");
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), ["two"]);
}

#[test]
fn a_line_without_an_end_is_shipped_after_a_minute_and_its_late_end_is_no_event() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", "Do you want to continue? [Y/n]");
    scene.pass(Duration::from_secs(75));
    scene.ship();
    assert_eq!(scene.stored(), ["Do you want to continue? [Y/n]"]);
    scene.write_down();
    scene.pass(Duration::from_secs(600));
    scene.start_again();
    scene.append("app.log", "\nnext\n");
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), ["next"]);
}

#[test]
fn the_last_line_of_a_rotated_file_needs_no_end() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", "one\ntwo");
    scene.read_and_ship();
    scene.rename("app.log", "app.log.1");
    scene.append("app.log", "three\n");
    scene.pass(Duration::from_secs(11));
    scene.ship();
    let mut stored = scene.stored();
    stored.sort_unstable();
    assert_eq!(stored, ["one", "three", "two"]);
}

#[test]
fn a_crash_ships_again_only_what_was_not_acknowledged() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", lines(0..10));
    scene.read_and_ship();
    scene.write_down();
    scene.append("app.log", lines(10..20));
    scene.turn();
    scene.start_again();
    scene.read_and_ship();
    assert_eq!(scene.stored(), expected(0..20));
}
