//! Which files are found, which are one, and what a thousand of them cost.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn files_that_begin_alike_are_different_files() {
    let mut scene = Scene::new(&["*.log"]);
    let banner = "the same long line at the beginning of every log\n".repeat(30);
    for name in ["a.log", "b.log", "empty.log", "none.log"] {
        scene.append(name, if name < "c" { &banner } else { "" });
    }
    scene.append("one.log", "x");
    scene.append("a.log", lines(0..5));
    scene.append("b.log", lines(5..10));
    scene.pass(Duration::from_secs(11));
    scene.append("empty.log", lines(10..11));
    scene.append("one.log", "y\n");
    // And a successor that begins as its predecessor did, which was read to its end.
    scene.rename("a.log", "a.log.1");
    scene.append("a.log", &banner);
    scene.append("a.log", lines(11..15));
    scene.pass(Duration::from_secs(31));
    scene.ship();
    let mut stored = scene.stored();
    assert_eq!(stored.iter().filter(|line| line.starts_with("the same")).count(), 90);
    stored.retain(|line| !line.starts_with("the same"));
    stored.sort_unstable();
    let mut all = expected(0..15);
    all.push("xy".into());
    assert_eq!(stored, all);
}

#[test]
fn a_file_with_two_names_is_shipped_once() {
    let mut scene = Scene::new(&["*.log", "b.*"]);
    scene.append("a.log", lines(0..5));
    std::fs::hard_link(scene.path("a.log"), scene.path("b.log")).unwrap();
    scene.read_and_ship();
    scene.append("b.log", lines(5..10));
    scene.pass(Duration::from_secs(11));
    scene.remove("a.log");
    scene.append("b.log", lines(10..15));
    scene.pass(Duration::from_secs(11));
    scene.restart();
    scene.append("b.log", lines(15..20));
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..20));
}

#[test]
fn rotation_by_a_link_is_followed() {
    let mut scene = Scene::new(&["current"]);
    scene.append("app-a", lines(0..5));
    symlink("app-a", scene.path("current")).unwrap();
    scene.read_and_ship();
    scene.append("app-a", lines(5..10));
    scene.append("app-b", lines(10..15));
    scene.remove("current");
    symlink("app-b", scene.path("current")).unwrap();
    scene.pass(Duration::from_secs(11));
    scene.append("app-b", lines(15..20));
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..20));
}

#[test]
fn a_folder_that_is_replaced_is_found_again_and_what_was_in_the_old_one_is_finished() {
    let mut scene = Scene::new(&["*.log"]);
    scene.append("a.log", lines(0..5));
    scene.read_and_ship();
    scene.append("a.log", lines(5..10));
    std::fs::rename(scene.root.path().join("logs"), scene.root.path().join("old")).unwrap();
    std::fs::create_dir(scene.root.path().join("logs")).unwrap();
    scene.append("a.log", lines(10..15));
    scene.pass(Duration::from_secs(11));
    scene.append("a.log", lines(15..20));
    scene.pass(Duration::from_secs(1));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..20));
}

#[test]
fn hints_bring_what_an_idle_file_says_long_before_the_next_look() {
    let mut scene = Scene::new(&["*.log"]);
    scene.append("a.log", lines(0..1));
    scene.pass(Duration::from_secs(120));
    let wait = scene.files.turn(scene.now).wait;
    assert!(wait > Duration::from_secs(1), "{wait:?}");
    scene.append("a.log", lines(1..2));
    scene.read_and_ship();
    assert_eq!(scene.stored(), expected(0..2));
    scene.append("b.log", lines(2..3));
    scene.turn();
    scene.pass(Duration::from_millis(300));
    scene.ship();
    assert_eq!(scene.stored(), expected(2..3));
}

#[test]
fn without_hints_the_regular_look_finds_everything() {
    let mut scene = Scene::new(&["*.log"]);
    scene.files.watch = None;
    scene.append("a.log", lines(0..1));
    scene.pass(Duration::from_secs(120));
    scene.append("a.log", lines(1..2));
    scene.append("b.log", lines(2..3));
    scene.pass(Duration::from_secs(61));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..3));
}

#[test]
fn files_that_rest_are_closed_beyond_a_number_and_read_all_the_same() {
    let mut scene = Scene::new(&["*.log"]);
    scene.files.most_open = 10;
    for number in 0..50 {
        scene.append(&format!("{number:02}.log"), lines(number..number + 1));
    }
    scene.read_and_ship();
    assert_eq!(scene.stored().len(), 50);
    scene.pass(Duration::from_secs(2));
    assert!(scene.files.open_files() <= 11, "{}", scene.files.open_files());
    for number in 0..50 {
        scene.append(&format!("{number:02}.log"), lines(number + 50..number + 51));
    }
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored().len(), 50);
}

#[test]
fn what_cannot_be_read_is_told_once_and_hinders_nobody() {
    let mut scene = Scene::new(&["app.log", "folder"]);
    std::fs::create_dir(scene.path("folder")).unwrap();
    scene.append("app.log", lines(0..1));
    scene.read_and_ship();
    let news = scene.files.news();
    assert!(news.len() == 1 && news[0].ends_with("it is not a regular file"), "{news:?}");
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.files.news(), [""; 0]);
    assert_eq!(scene.stored(), expected(0..1));
}

#[test]
fn a_thousand_idle_files_cost_a_look_now_and_then() {
    let mut scene = Scene::new(&["*.log"]);
    for number in 0..1000 {
        scene.append(&format!("{number:04}.log"), "x\n");
    }
    scene.read_and_ship();
    scene.pass(Duration::from_secs(100));
    scene.ship();
    scene.pass(Duration::from_secs(30));
    let turns = (0..).take_while(|_| {
        let wait = scene.files.turn(scene.now).wait;
        scene.now.steady += wait;
        wait < Duration::from_secs(9)
    });
    assert!(turns.count() < 2, "nothing is due but the next look");
    assert!(scene.files.active.is_empty() && scene.files.open_files() <= super::super::MOST_OPEN);
}
