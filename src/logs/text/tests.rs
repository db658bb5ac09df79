//! Events as they come out of whole files, whatever the chunks were that they came in.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::secret::{Redactor, Secret};

const SECRET: &str = "correct-horse-battery-staple";
const WALL: i64 = 1_795_257_000_000; // 2026-11-21T10:30:00Z

/// Writes down what it is handed.
struct Recorder {
    redactor: Redactor,
    events: Vec<(i64, String, u64)>,
    /// The last mark.
    reached: u64,
    happened: Vec<Figure>,
    /// How many more events find room.
    room: usize,
}

impl Recorder {
    fn new() -> Self {
        let redactor = Redactor::new();
        redactor.learn(&Secret::new(SECRET));
        Self { redactor, events: Vec::new(), reached: 0, happened: Vec::new(), room: usize::MAX }
    }

    fn texts(&self) -> Vec<&str> {
        self.events.iter().map(|(_, text, _)| text.as_str()).collect()
    }

    fn reach(&mut self, mark: u64) {
        assert!(mark >= self.reached, "the mark went back from {} to {mark}", self.reached);
        self.reached = mark;
    }
}

impl Sink for Recorder {
    fn is_clean(&mut self, chunk: &[u8]) -> bool {
        memchr::memmem::find(chunk, SECRET.as_bytes()).is_none()
    }

    fn clean<'t>(&mut self, line: &'t str) -> Cow<'t, str> {
        self.redactor.clean(line)
    }

    fn push(&mut self, at: i64, text: &str, mark: u64) {
        assert!(!text.is_empty() && text.len() <= LONGEST_EVENT, "an event of {} bytes", text.len());
        self.room -= 1;
        self.reach(mark);
        self.events.push((at, text.to_owned(), mark));
    }

    fn skip(&mut self, mark: u64) {
        self.reach(mark);
    }

    fn has_room(&mut self) -> bool {
        self.room > 0
    }

    fn count(&mut self, what: Figure) {
        self.happened.push(what);
    }
}

fn now() -> Now {
    Now { wall: WALL, steady: Instant::now() }
}

fn rules(source: &str) -> Arc<Rules> {
    Arc::new(Rules::new(&serde_yaml::from_str(&format!("file: /x\n{source}")).unwrap()).unwrap())
}

/// Reads a file as its follower does: chunks of these sizes, what was not taken comes again; then the file is over.
fn read(rules: &Arc<Rules>, file: &[u8], mut size: impl FnMut() -> usize) -> Recorder {
    let (mut reader, mut recorder) = (Reader::new(Arc::clone(rules), &[]), Recorder::new());
    let (mut from, mut seen) = (0, 0);
    while seen < file.len() {
        seen = (seen + size()).min(file.len());
        from += reader.take(&file[from..seen], from as u64, now(), &mut recorder);
    }
    reader.end(&file[from..], from as u64, now(), &mut recorder);
    assert_eq!(recorder.reached, file.len() as u64, "all of the file is accounted for");
    assert!(!reader.holds_back());
    recorder
}

fn whole(rules: &Arc<Rules>, file: &[u8]) -> Recorder {
    read(rules, file, || file.len())
}

#[test]
fn lines_are_events_and_marks_stand_behind_them() {
    let read = whole(&rules(""), b"one\r\n\ntwo\0\x1b[0m\nthree");
    let expected = [(WALL, "one".to_owned(), 5), (WALL, "two\0\u{1b}[0m".to_owned(), 15), (WALL, "three".to_owned(), 20)];
    assert_eq!(read.events, expected);
}

#[test]
fn what_is_not_utf8_is_marked_and_the_offsets_stay_those_of_the_file() {
    let read = whole(&rules(""), b"a\xffb\nc\n");
    assert_eq!(read.events, [(WALL, "a\u{fffd}b".to_owned(), 4), (WALL, "c".to_owned(), 6)]);
}

#[test]
fn a_file_in_utf16_is_known_by_its_mark_even_when_it_is_resumed() {
    let bytes = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let file = bytes("\u{feff}é\r\n😀 ਊ\nz");
    assert_eq!(whole(&rules(""), &file).texts(), ["é", "😀 ਊ", "z"]);
    assert_eq!(whole(&rules("encoding: latin1"), b"caf\xe9\n").texts(), ["café"]);
    assert_eq!(whole(&rules("encoding: utf-16be"), b"\0a\0\n").texts(), ["a"]);
    assert_eq!(whole(&rules(""), b"\xef\xbb\xbfx\n").texts(), ["x"], "the mark is no text");
    let (mut reader, mut recorder) = (Reader::new(rules(""), &file[..4]), Recorder::new());
    assert_eq!(reader.take(&file[8..], 8, now(), &mut recorder), file.len() - 8 - 2);
    assert_eq!(recorder.texts(), ["😀 ਊ"]);
}

#[test]
fn chunks_make_no_difference() {
    let alphabet: [&[u8]; 12] = [
        b"\n",
        b"\r\n",
        b"\n\n",
        b"x",
        b" y",
        b"\tat z",
        b"\xff",
        "é😀".as_bytes(),
        SECRET.as_bytes(),
        b"2026-11-21T10:00:00Z",
        b"\0",
        b"\xc3",
    ];
    let settings = [
        "",
        "multiline: { start: '^x' }",
        "multiline: { indented: true }",
        "timestamp: { format: rfc3339 }\nmultiline: { start: '^2026' }",
        "encoding: latin1",
        "encoding: utf-16le",
        "encoding: utf-16be\nmultiline: { indented: true }",
        "encoding: shift_jis",
    ];
    for seed in 0..400 {
        let mut random = StdRng::seed_from_u64(seed);
        let rules = rules(settings[usize::try_from(seed).unwrap() % settings.len()]);
        let mut file = Vec::new();
        for _ in 0..random.random_range(0..200) {
            file.extend_from_slice(alphabet[random.random_range(0..alphabet.len())]);
        }
        let (expected, most) = (whole(&rules, &file), random.random_range(2..40));
        let pieces = read(&rules, &file, || random.random_range(1..most));
        assert_eq!(pieces.events, expected.events, "seed {seed}");
        assert!(!pieces.texts().concat().contains(SECRET), "seed {seed}");
    }
}

#[test]
fn a_line_of_fifty_megabytes_is_split_between_characters_and_nothing_is_lost() {
    let mut file = "a😀é".repeat(50 * 1024 * 1024 / 7);
    file += "\r\nnext\n";
    let read = read(&rules(""), file.as_bytes(), || 256 * 1024);
    let texts = read.texts();
    assert!(texts.len() > 50, "{} events", texts.len());
    assert_eq!(texts.last(), Some(&"next"));
    assert!(texts[..texts.len() - 1].concat() == file.trim_end_matches("\r\nnext\n"), "the pieces are the line");
    assert_eq!(read.happened, [Figure::Split]);
    let marks: Vec<u64> = read.events.iter().map(|event| event.2).collect();
    let behind = file.len() as u64 - 5;
    assert!(marks[..marks.len() - 2].iter().all(|mark| *mark == 0), "until all of it is stored, it is read again");
    assert_eq!(marks[marks.len() - 2..], [behind, behind + 5]);
}

#[test]
fn a_secret_in_a_long_line_is_masked_wherever_the_line_is_cut() {
    // At the edge of an event, of a chunk, of what is held; and many in a row.
    for place in [LONGEST_EVENT, 256 * 1024, LONGEST_EVENT + 64 * 1024, 2 * LONGEST_EVENT, LONGEST_EVENT + 64 * 1024 + 256 * 1024]
    {
        for shift in [1, SECRET.len() / 2] {
            let mut file = "x".repeat(place - shift);
            file += SECRET;
            file += &"y".repeat(3 * LONGEST_EVENT - file.len());
            let text = read(&rules(""), file.as_bytes(), || 256 * 1024).texts().concat();
            assert!(text == file.replace(SECRET, "***"), "secret at {place} - {shift}");
        }
    }
    let file = format!("{SECRET} ").repeat(3 * LONGEST_EVENT / SECRET.len());
    let text = read(&rules(""), file.as_bytes(), || 100_000).texts().concat();
    assert!(text == file.replace(SECRET, "***"));
}

#[test]
fn a_line_at_the_limit_is_one_event_and_one_more_byte_makes_it_two() {
    for (length, expected) in [(LONGEST_EVENT - 1, 1), (LONGEST_EVENT, 1), (LONGEST_EVENT + 1, 2)] {
        let mut file = vec![b'x'; length];
        file.push(b'\n');
        for chunk in [256 * 1024, 4 * LONGEST_EVENT] {
            assert_eq!(read(&rules(""), &file, || chunk).events.len(), expected, "{length} bytes in chunks of {chunk}");
        }
    }
    // Marked characters are three times as long as what they stand for.
    let read = read(&rules(""), &vec![0xff; 600_000], || 600_000);
    assert_eq!(read.texts().concat().len(), 1_800_000);
    assert_eq!(read.events.len(), 2);
}

#[test]
fn no_line_is_taken_without_room() {
    let file = b"1\n2\n3\n4\n";
    for settings in ["", "encoding: latin1"] {
        let (mut reader, mut recorder) = (Reader::new(rules(settings), &[]), Recorder::new());
        recorder.room = 3;
        assert_eq!(reader.take(file, 0, now(), &mut recorder), 6, "{settings}");
        assert_eq!(reader.take(&file[6..], 6, now(), &mut recorder), 0);
        recorder.room = 9;
        assert_eq!(reader.take(&file[6..], 6, now(), &mut recorder), 2);
        assert_eq!(recorder.texts(), ["1", "2", "3", "4"]);
    }
}

#[test]
fn an_event_of_several_lines_is_one_and_its_mark_waits_for_all_of_it() {
    let file = b"start 1\n  a\n\n  b\n\nstart 2\n  c\n";
    let (mut reader, mut recorder) = (Reader::new(rules("multiline: { start: ^start }"), &[]), Recorder::new());
    assert_eq!(reader.take(file, 0, now(), &mut recorder), file.len());
    assert_eq!(recorder.events, [(WALL, "start 1\n  a\n\n  b".to_owned(), 18)], "the second may go on");
    assert!(reader.holds_back());
    let later = |milliseconds| Now { steady: Instant::now() + Duration::from_millis(milliseconds), ..now() };
    reader.tick(later(500), &mut recorder);
    assert_eq!(recorder.reached, 18);
    reader.tick(later(1100), &mut recorder);
    assert_eq!(recorder.texts()[1], "start 2\n  c");
    assert_eq!(recorder.reached, 30);
}

#[test]
fn an_event_cut_by_a_rotation_is_handed_on_as_far_as_it_went() {
    let (mut reader, mut recorder) = (Reader::new(rules("multiline: { indented: true }"), &[]), Recorder::new());
    let file = b"error\n  at a\n  at b";
    assert_eq!(reader.take(file, 0, now(), &mut recorder), 13);
    reader.end(&file[13..], 13, now(), &mut recorder);
    assert_eq!(recorder.events, [(WALL, "error\n  at a\n  at b".to_owned(), 19)]);
}

#[test]
fn an_event_of_too_many_lines_or_bytes_becomes_several_without_loss() {
    for (line, count) in [("  a\n".to_owned(), 1700), (format!("  {}\n", "x".repeat(300_000)), 9)] {
        let file = "start\n".to_owned() + &line.repeat(count);
        let read = read(&rules("multiline: { indented: true }"), file.as_bytes(), || 1_000_000);
        assert_eq!(read.texts().join("\n") + "\n", file);
        assert!((3..6).contains(&read.events.len()), "{} events", read.events.len());
    }
}

#[test]
fn times_come_from_the_line_and_those_the_service_refuses_are_stamped_anew() {
    let file = b"2026-11-21T10:29:00Z a\n  b\n2026-10-01T00:00:00Z old\n2026-11-21T13:00:00Z ahead\n";
    let stamped = whole(&rules("timestamp: { format: rfc3339 }"), file);
    let times: Vec<i64> = stamped.events.iter().map(|event| WALL - event.0).collect();
    assert_eq!(times, [60_000, 60_000, 0, 0]);
    assert_eq!(stamped.texts()[2], "[2026-10-01T00:00:00Z] 2026-10-01T00:00:00Z old");
    assert_eq!(stamped.happened, [Figure::Restamped; 2]);
    let dropped = whole(&rules("timestamp: { format: rfc3339, outside: drop }"), file);
    assert_eq!(dropped.texts(), ["2026-11-21T10:29:00Z a", "  b"]);
    assert_eq!(dropped.happened, [Figure::DroppedOutside; 2]);
}

#[test]
fn a_long_line_has_a_time_of_its_own_too() {
    for (setting, expected) in [("restamp", "[2026-10-01T00:00:00Z] 2026-10-01T00:00:00Z yy"), ("drop", "")] {
        let file = format!("2026-10-01T00:00:00Z {}\n", "y".repeat(LONGEST_EVENT));
        let read = read(&rules(&format!("timestamp: {{ format: rfc3339, outside: {setting} }}")), file.as_bytes(), || 100_000);
        assert!(read.texts().concat().starts_with(expected));
        assert_eq!(read.events.len(), if expected.is_empty() { 0 } else { 2 });
    }
}
