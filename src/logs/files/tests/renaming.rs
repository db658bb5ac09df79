//! Rotation by renaming, while we look and while we do not.

use super::*;

#[test]
fn a_file_that_is_renamed_is_read_to_its_end_and_its_successor_from_its_beginning() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", lines(0..10));
    scene.read_and_ship();
    scene.append("app.log", lines(10..20));
    scene.rename("app.log", "app.log.1");
    scene.append("app.log", lines(20..30));
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..30));
    assert_eq!(scene.figures.of(Figure::Rotations) + scene.lost(), 0, "it is in sight under its new name");
}

#[test]
fn whoever_writes_to_the_renamed_file_is_followed_until_he_leaves_it() {
    let mut scene = Scene::new(&["app.log"]);
    let mut late = scene.writer("app.log");
    late.write_all(lines(0..10).as_bytes()).unwrap();
    scene.read_and_ship();
    scene.rename("app.log", "elsewhere");
    scene.append("app.log", lines(10..20));
    scene.pass(Duration::from_secs(30));
    late.write_all(lines(20..30).as_bytes()).unwrap();
    scene.pass(Duration::from_secs(3600));
    late.write_all(lines(30..40).as_bytes()).unwrap();
    late.write_all(b"without an end").unwrap();
    drop(late);
    scene.pass(Duration::from_secs(12));
    scene.ship();
    let stored = scene.stored();
    assert_eq!(stored[..40], expected(0..40));
    assert_eq!(stored[40..], ["without an end"]);
    scene.pass(Duration::from_secs(12));
    assert!(scene.files.generations.values().filter(|file| file.content.is_some()).count() <= 1, "its descriptor is given back");
}

#[test]
fn what_came_and_went_between_two_looks_is_found_among_the_rotated_files() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log.2", "from before us\n");
    scene.append("app.log", lines(0..10));
    scene.read_and_ship();
    scene.append("app.log", lines(10..20));
    scene.rename("app.log.2", "app.log.4");
    scene.rename("app.log", "app.log.3");
    scene.append("app.log.2", lines(20..30));
    scene.append("app.log.1", lines(30..40));
    scene.append("app.log", lines(40..50));
    scene.pass(Duration::from_secs(11));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..50));
}

#[test]
fn three_rotations_while_we_were_away_lose_nothing() {
    for ending in ["", ".gz", ".zst"] {
        let mut scene = Scene::new(&["app.log"]);
        scene.append("app.log", lines(0..10));
        scene.read_and_ship();
        scene.restart();
        scene.append("app.log", lines(10..20));
        for round in 2..5 {
            for number in (1..4).rev() {
                for packed in ["", ".gz", ".zst"] {
                    let from = format!("app.log.{number}{packed}");
                    if scene.path(&from).exists() {
                        scene.rename(&from, &format!("app.log.{}{packed}", number + 1));
                    }
                }
            }
            scene.rename("app.log", "app.log.1");
            scene.pack("app.log.1", ending);
            scene.append("app.log", lines(round * 10..round * 10 + 10));
        }
        scene.pass(Duration::from_secs(11));
        scene.ship();
        assert_eq!(scene.stored(), expected(0..50), "compressed: {ending}");
        scene.restart();
        scene.pass(Duration::from_secs(30));
        scene.ship();
        assert_eq!(scene.stored(), [""; 0], "nothing twice");
    }
}

#[test]
fn a_file_that_is_compressed_at_once_is_read_from_what_it_became() {
    let mut scene = Scene::new(&["app.log"]);
    scene.append("app.log", lines(0..1000));
    scene.read_and_ship();
    // While we hold it open, and while we do not.
    for (round, ending) in [(0, ".gz"), (1, ".gz"), (2, ".zst"), (3, ".zst")] {
        let start = 1000 + round * 1000;
        scene.append("app.log", lines(start..start + 500));
        if round % 2 == 1 {
            scene.restart();
        }
        scene.rename("app.log", "app.log.1");
        scene.pack("app.log.1", ending);
        scene.append("app.log", lines(start + 500..start + 1000));
        scene.pass(Duration::from_secs(21));
        scene.ship();
        scene.remove(&format!("app.log.1{ending}"));
        scene.pass(Duration::from_secs(11));
    }
    assert_eq!(scene.stored(), expected(0..5000));
    assert_eq!(scene.lost(), 0);
}

#[test]
fn a_pattern_that_matches_rotated_files_ships_each_once() {
    let mut scene = Scene::new(&["app.log*"]);
    scene.append("app.log", lines(0..10));
    scene.read_and_ship();
    for round in 1..6 {
        for number in (1..6).rev() {
            if scene.path(&format!("app.log.{number}")).exists() {
                scene.rename(&format!("app.log.{number}"), &format!("app.log.{}", number + 1));
            }
        }
        scene.rename("app.log", "app.log.1");
        scene.append("app.log", lines(round * 10..round * 10 + 10));
        if round % 2 == 0 {
            scene.pass(Duration::from_secs(11));
        }
        if round == 3 {
            scene.restart();
        }
    }
    scene.pack("app.log.5", ".gz");
    scene.pass(Duration::from_secs(21));
    scene.ship();
    assert_eq!(scene.stored(), expected(0..60));
}

#[test]
fn an_inode_that_is_given_out_again_is_another_file() {
    let mut scene = Scene::new(&["*.log"]);
    scene.append("a.log", lines(0..10));
    scene.read_and_ship();
    scene.restart();
    // ext4 gives the number out again at once.
    scene.remove("a.log");
    scene.append("b.log", lines(20..50));
    scene.read_and_ship();
    let mut stored = scene.stored();
    assert_eq!(stored.split_off(10), expected(20..50));
    scene.restart();
    scene.remove("b.log");
    scene.append("b.log", lines(50..90));
    scene.read_and_ship();
    assert_eq!(scene.stored(), expected(50..90));
}
