//! Real files, written and moved as loggers do it.

use std::io::Write as _;

use super::*;
use crate::secret::Secret;

struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.log")
    }

    fn write(&self, text: &str) {
        OpenOptions::new().create(true).append(true).open(self.path()).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

fn texts(tail: &mut Tail) -> Vec<String> {
    tail.read(8_000_000, &Redactor::new()).unwrap().into_iter().map(|line| line.text).collect()
}

#[test]
fn lines_come_from_the_beginning_and_partial_ones_wait() {
    let log = Log::new();
    let mut tail = Tail::new(&log.path(), None);
    assert!(texts(&mut tail).is_empty(), "there is no file yet");
    log.write("one\ntwo\r\nthr");
    assert_eq!(texts(&mut tail), ["one", "two"]);
    log.write("ee\n\n");
    assert_eq!(texts(&mut tail), ["three", ""]);
}

#[test]
fn a_second_run_goes_on_where_the_first_was_acknowledged() {
    let log = Log::new();
    log.write("one\ntwo\n");
    let lines = Tail::new(&log.path(), None).read(1000, &Redactor::new()).unwrap();
    let mut second = Tail::new(&log.path(), lines[0].place.clone());
    assert_eq!(texts(&mut second), ["two"]);
    assert!(texts(&mut Tail::new(&log.path(), lines[1].place.clone())).is_empty());
}

#[test]
fn another_file_at_the_path_is_read_from_its_beginning() {
    let log = Log::new();
    log.write("old one\n");
    let place = Tail::new(&log.path(), None).read(1000, &Redactor::new()).unwrap()[0].place.clone();
    // Kept, so that its inode is not used again.
    std::fs::rename(log.path(), log.folder.path().join("app.log.1")).unwrap();
    log.write("new one, longer than before\n");
    assert_eq!(texts(&mut Tail::new(&log.path(), place)), ["new one, longer than before"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_its_successor() {
    let log = Log::new();
    log.write("one\n");
    let mut tail = Tail::new(&log.path(), None);
    assert_eq!(texts(&mut tail), ["one"]);
    let old = log.folder.path().join("app.log.1");
    std::fs::rename(log.path(), &old).unwrap();
    log.write("four\n");
    OpenOptions::new().append(true).open(&old).unwrap().write_all(b"two\nthree").unwrap();
    let mut all = texts(&mut tail);
    let start = Instant::now();
    while all.last().is_none_or(|last| last != "four") && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
        all.extend(texts(&mut tail));
    }
    assert_eq!(all, ["two", "three", "four"]);
}

#[test]
fn a_file_cut_short_in_place_begins_anew() {
    let log = Log::new();
    log.write("a long first line\n");
    let mut tail = Tail::new(&log.path(), None);
    assert_eq!(texts(&mut tail).len(), 1);
    std::fs::write(log.path(), "new\n").unwrap();
    assert_eq!(texts(&mut tail), ["new"]);
}

#[test]
fn no_more_is_read_than_there_is_room_for() {
    let log = Log::new();
    log.write(&"0123456789\n".repeat(1000));
    let mut tail = Tail::new(&log.path(), None);
    assert_eq!(tail.read(110, &Redactor::new()).unwrap().len(), 10);
    assert_eq!(texts(&mut tail).len(), 990);
}

#[test]
fn secrets_are_masked_even_across_the_cuts_of_a_very_long_line() {
    let log = Log::new();
    let redactor = Redactor::new();
    redactor.learn(&Secret::new("correct horse battery staple"));
    let filler = "x".repeat(LONGEST_EVENT - 10);
    log.write(&format!("{filler}correct horse battery staple{filler}correct horse battery staple\nnext\n"));
    let lines = Tail::new(&log.path(), None).read(8_000_000, &redactor).unwrap();
    let text: String = lines.iter().map(|line| line.text.as_str()).collect();
    assert!(!text.contains("battery") && text.matches("***").count() == 2);
    assert!(lines.len() > 2 && lines[0].place.is_none() && lines[lines.len() - 1].place.is_some());
}

#[test]
fn a_link_is_not_followed() {
    let log = Log::new();
    let secret = log.folder.path().join("secret");
    std::fs::write(&secret, "root only\n").unwrap();
    std::os::unix::fs::symlink(&secret, log.path()).unwrap();
    assert!(Tail::new(&log.path(), None).read(1000, &Redactor::new()).is_err());
}
