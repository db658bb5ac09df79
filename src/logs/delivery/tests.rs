//! Every class of answer, on a clock that costs no time: what is stored, what is said, and how soon it goes on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::courier::{AWAY, BUSY, REFUSED};
use super::scripted::Scripted;
use super::*;
use crate::host::aws::Class;
use crate::host::clock::{FakeClock, RealClock};
use crate::logs::figures::Figure;
use crate::logs::outbox::{Destination, Limits, SourceId};

const NOW: i64 = 1_700_000_000_000;

fn to(group: &str, stream: &str) -> Destination {
    Destination {
        group: group.to_owned(),
        stream: stream.to_owned(),
        days: Some(7),
        tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
    }
}

struct Rig {
    service: Scripted,
    outbox: Outbox,
    courier: Courier,
    source: SourceId,
    said: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(service: Scripted) -> Self {
        let (folder, said) = (tempfile::tempdir().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let outbox = Outbox::new(Limits::default());
        let source = outbox.register(&to("g", "s"), 0);
        let courier = Courier::new(means(&service, &folder, &said));
        Self { service, outbox, courier, source, said, folder }
    }

    fn push(&self, messages: impl IntoIterator<Item = String>) {
        for (message, mark) in messages.into_iter().zip(1..) {
            self.outbox.intake(self.source).push(NOW + i64::try_from(mark).unwrap(), &message, mark);
        }
        self.outbox.seal_all();
    }

    /// Carries what waits until nothing waits, for at most this long.
    fn ship(&self, limit: Duration) -> bool {
        let clock = &self.service.clock;
        let end = clock.now() + limit;
        while !self.outbox.is_idle() && clock.now() < end {
            match self.outbox.try_next(clock.now()) {
                None => clock.sleep(Duration::from_millis(50)),
                Some(batch) => match self.courier.carry(&batch) {
                    End::Settled => self.outbox.acknowledge(batch),
                    End::Later(then) => self.outbox.give_back(batch, then),
                    End::Stopped => return false,
                },
            }
        }
        self.outbox.is_idle()
    }

    fn of(&self, figure: Figure) -> u64 {
        self.courier.figures.of(figure)
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    fn dead(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.path().join("logs").join(DEAD_LETTERS)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn means(service: &Scripted, folder: &tempfile::TempDir, said: &Arc<Mutex<Vec<String>>>) -> Means {
    let said = said.clone();
    Means {
        service: Arc::new(service.clone()),
        clock: service.clock.clone(),
        figures: Figures::default(),
        compression: Compression::Gzip,
        state: StateFolder::new(folder.path().join("logs")),
        dead_letter_limit: DEAD_LETTER_LIMIT,
        complaints: Complaints::new(Arc::new(move |sentence| said.lock().unwrap().push(sentence.to_owned()))),
    }
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("line {number}, as long as lines are")).collect()
}

#[test]
fn a_batch_is_one_call_and_compressed() {
    let rig = Rig::new(Scripted::new());
    rig.push(lines(500));
    assert!(rig.ship(Duration::from_secs(1)));
    assert_eq!(rig.service.messages(), lines(500));
    assert_eq!(rig.service.look(|script| script.calls.clone()), ["put s"]);
    assert_eq!(rig.outbox.acknowledged(rig.source), 500);
    assert_eq!((rig.of(Figure::Batches), rig.of(Figure::AcknowledgedEvents), rig.of(Figure::Retries)), (1, 500, 0));
    assert!(rig.of(Figure::WireBytes) * 4 < rig.of(Figure::SentBytes));
    assert!(rig.said().is_empty());
}

#[test]
fn after_an_outage_it_goes_on_within_seconds_and_nothing_is_lost_or_sent_twice() {
    for (class, within) in [(Class::Unreachable, 10), (Class::Busy, 31), (Class::Credentials, 31), (Class::Clock, 31)] {
        for outage in [Duration::from_mins(1), Duration::from_hours(1)] {
            let service = Scripted::new().answering(class, outage);
            let back = service.clock.now() + outage;
            let rig = Rig::new(service);
            rig.push(lines(20));
            assert!(rig.ship(outage * 2), "{class:?}");
            assert_eq!(rig.service.messages(), lines(20));
            let late = rig.service.look(|script| script.last).unwrap() - back;
            assert!(late < Duration::from_secs(within), "{class:?}: {late:?} after its return");
            let said = rig.said();
            assert!(said.len() == 2 && said[0].contains("not shipped") && said[1].contains("again"), "{said:?}");
            assert!(rig.of(Figure::Retries) > 1);
            assert_eq!(rig.of(Figure::Throttled) > 0, class == Class::Busy);
        }
    }
}

#[test]
fn a_hiccup_is_not_worth_a_word() {
    let rig = Rig::new(Scripted::new().answering(Class::Unreachable, Duration::from_millis(300)));
    rig.push(lines(1));
    assert!(rig.ship(Duration::from_mins(1)));
    assert!(rig.said().is_empty(), "{:?}", rig.said());
}

#[test]
fn what_is_missing_is_made_with_all_that_belongs_to_it() {
    let rig = Rig::new(Scripted::new().with(|script| {
        script.groups.clear();
        script.streams.clear();
    }));
    rig.push(lines(1));
    let begun = rig.service.clock.now();
    assert!(rig.ship(Duration::from_secs(3)), "it may take two seconds, as a fleet does it at once");
    assert_eq!(
        rig.service.look(|script| script.calls.clone()),
        ["put s", "stream s", "group g 1", "stream s", "keep 7", "put s"]
    );
    assert!(rig.service.clock.now() > begun);

    let rig = Rig::new(Scripted::new().with(|script| script.streams.clear()));
    rig.push(lines(1));
    assert!(rig.ship(Duration::from_secs(3)));
    assert_eq!(
        rig.service.look(|script| script.calls.clone()),
        ["put s", "stream s", "put s"],
        "a fleet does not do more at once"
    );
    rig.service.clock.sleep(Duration::from_mins(15));
    rig.outbox.intake(rig.source).push(NOW, "a line", 2);
    rig.outbox.seal_all();
    assert!(rig.ship(Duration::from_secs(3)));
    assert_eq!(rig.service.look(|script| script.calls[3..].to_vec()), ["put s", "keep 7"], "its maker may have been lost");
}

#[test]
fn one_call_a_second_is_enough_to_make_what_is_missing() {
    let rig = Rig::new(Scripted::new().with(|script| {
        script.groups.clear();
        script.streams.clear();
        script.quota = Some(Duration::from_secs(1));
    }));
    rig.push(lines(3));
    assert!(rig.ship(Duration::from_mins(10)), "{:?}", rig.service.look(|script| script.calls.clone()));
    assert_eq!(rig.service.messages(), lines(3));
}

#[test]
fn a_group_does_not_lose_its_retention_to_a_busy_service_and_nothing_waits_for_it() {
    let rig = Rig::new(Scripted::new().with(|script| {
        script.groups.clear();
        script.streams.clear();
        script.refuse.insert("keep 7".to_owned(), Class::Busy);
    }));
    let kept = || rig.service.look(|script| script.calls.iter().filter(|call| *call == "keep 7").count());
    for round in 1..200 {
        rig.outbox.intake(rig.source).push(NOW, "a line", round);
        rig.outbox.seal_all();
        assert!(rig.ship(Duration::from_secs(3)), "nothing waits for it");
        rig.service.clock.sleep(Duration::from_secs(1));
    }
    assert!((3..20).contains(&kept()), "{} tries in some three minutes", kept());
    let _ = rig.service.clone().with(|script| script.refuse.clear());
    rig.service.clock.sleep(Duration::from_mins(5));
    for round in 200..203 {
        let before = kept();
        rig.outbox.intake(rig.source).push(NOW, "a line", round);
        rig.outbox.seal_all();
        assert!(rig.ship(Duration::from_secs(3)));
        assert_eq!(kept() - before, usize::from(round == 200), "once it is set, nobody asks again");
    }
    assert!(rig.said().is_empty());
}

#[test]
fn a_retention_that_is_not_allowed_is_said() {
    let rig = Rig::new(Scripted::new().with(|script| {
        script.groups.clear();
        script.streams.clear();
        script.refuse.insert("keep 7".to_owned(), Class::Denied);
    }));
    rig.push(lines(1));
    assert!(rig.ship(Duration::from_mins(1)), "logs that are kept for ever are better than none");
    assert!(rig.said()[0].contains("the retention of `g`"), "{:?}", rig.said());
}

#[test]
fn a_stream_that_is_not_allowed_does_not_hold_up_the_others() {
    let rig = Rig::new(Scripted::new().with(|script| {
        script.streams.insert("forbidden".to_owned());
        script.refuse.insert("put forbidden".to_owned(), Class::Denied);
    }));
    let other = rig.outbox.register(&to("other", "forbidden"), 0);
    rig.outbox.intake(other).push(NOW, "kept", 1);
    rig.push(lines(3));
    assert!(!rig.ship(Duration::from_mins(10)));
    assert_eq!((rig.service.messages(), rig.outbox.acknowledged(other)), (lines(3), 0));
    let tries = rig.service.look(|script| script.calls.len());
    assert!((10..120).contains(&tries), "{tries} calls in ten minutes");
    let rig = Rig { service: rig.service.clone().with(|script| script.refuse.clear()), ..rig };
    assert!(rig.ship(Duration::from_mins(2)));
    assert_eq!(rig.outbox.acknowledged(other), 1);
    let said = rig.said();
    assert!(said.len() == 2 && said[0].contains("`other`") && said[1].contains("`other` again"), "{said:?}");
}

#[test]
fn what_is_refused_for_its_time_is_sent_once_more_with_the_services() {
    let rig = Rig::new(Scripted::new().with(|script| script.window = Some((NOW + 3, i64::MAX))));
    rig.push(lines(5));
    assert!(rig.ship(Duration::from_secs(1)));
    let stored = rig.service.look(|script| script.stored.clone());
    assert_eq!(stored.len(), 5);
    assert!(stored[..3].iter().all(|(_, at, _)| *at < NOW + 10), "those that were taken keep their time");
    let now = jiff::Timestamp::now().as_millisecond();
    assert!(stored[3..].iter().all(|(_, at, _)| (now - at).abs() < 60_000), "{stored:?}");
    assert_eq!((rig.of(Figure::Rejected), rig.of(Figure::Restamped), rig.of(Figure::DeadLettered)), (2, 2, 0));
    assert_eq!(rig.said().len(), 1);
}

#[test]
fn what_is_refused_for_its_time_twice_is_a_dead_letter() {
    let rig = Rig::new(Scripted::new().with(|script| script.window = Some((NOW + 2, NOW + 4))));
    rig.push(lines(5));
    assert!(rig.ship(Duration::from_secs(1)));
    assert_eq!(rig.service.messages(), lines(5)[1..4]);
    let dead = rig.dead();
    assert_eq!((dead.len(), &dead[0]["message"], &dead[0]["group"]), (2, &lines(5)[0].clone().into(), &"g".into()));
    assert_eq!((rig.of(Figure::Rejected), rig.of(Figure::Restamped), rig.of(Figure::DeadLettered)), (4, 0, 2));
    assert_eq!(rig.outbox.acknowledged(rig.source), 5);
}

#[test]
fn the_one_event_that_is_never_taken_is_found_and_all_others_are_stored_once() {
    let rig = Rig::new(Scripted::new().with(|script| script.poison = Some("\"evil\"".to_owned())));
    let mut all = lines(1000);
    all[0] = "\"evil\" at the start".to_owned();
    all[617] = "\"evil\" in the middle".to_owned();
    rig.push(all.clone());
    assert!(rig.ship(Duration::from_secs(1)));
    let mut stored = rig.service.messages();
    stored.sort();
    let mut expected: Vec<String> = all.iter().filter(|line| !line.contains("evil")).cloned().collect();
    expected.sort();
    assert!(stored == expected, "{} stored", stored.len());
    let mut dead: Vec<String> = rig.dead().iter().map(|letter| letter["message"].as_str().unwrap().to_owned()).collect();
    dead.sort();
    assert_eq!(dead, ["\"evil\" at the start", "\"evil\" in the middle"]);
    assert_eq!(rig.dead()[0]["because"], "`Content`");
    assert_eq!((rig.of(Figure::DeadLettered), rig.outbox.acknowledged(rig.source)), (2, 1000));
    assert!(rig.service.look(|script| script.calls.len()) < 60, "halving, not one by one");
    assert_eq!(rig.said().len(), 1, "{:?}", rig.said());
}

#[test]
fn a_service_that_takes_nothing_for_a_while_costs_no_more_than_a_hundred_lines() {
    let rig = Rig::new(Scripted::new().answering(Class::Content, Duration::from_mins(10)));
    rig.push(lines(1000));
    assert!(rig.ship(Duration::from_mins(30)));
    assert_eq!((rig.dead().len(), rig.service.messages().len()), (100, 900));
    assert!(rig.said().iter().any(|sentence| sentence.contains("again")), "{:?}", rig.said());
}

#[test]
fn a_full_dead_letter_file_is_said_once_and_what_is_lost_is_counted() {
    let service = Scripted::new().with(|script| script.poison = Some("evil".to_owned()));
    let mut rig = Rig::new(service);
    rig.courier = Courier::new(Means { dead_letter_limit: 300, ..means(&rig.service, &rig.folder, &rig.said) });
    rig.push((0..20).map(|number| format!("{} {number}", if number % 2 == 0 { "evil" } else { "good" })));
    assert!(rig.ship(Duration::from_secs(1)));
    assert_eq!(rig.service.messages().len(), 10);
    let dead = rig.dead().len();
    assert!((1..10).contains(&dead), "{dead}");
    assert_eq!((rig.of(Figure::DeadLettered), rig.of(Figure::DroppedDeadLettersFull)), (dead as u64, 10 - dead as u64));
    assert_eq!(rig.said().iter().filter(|sentence| sentence.contains("full")).count(), 1);
}

#[test]
fn a_dead_letter_that_cannot_be_written_is_not_acknowledged_until_it_can() {
    let service = Scripted::new().with(|script| script.poison = Some("evil".to_owned()));
    let mut rig = Rig::new(service);
    let blocked = rig.folder.path().join("logs");
    std::fs::write(&blocked, "in the way of the folder").unwrap();
    let said = rig.said.clone();
    let unblock = move |sentence: &str| {
        said.lock().unwrap().push(sentence.to_owned());
        if sentence.contains("cannot be kept") {
            std::fs::remove_file(&blocked).unwrap();
        }
    };
    let complaints = Complaints::new(Arc::new(unblock));
    rig.courier = Courier::new(Means { complaints, ..means(&rig.service, &rig.folder, &rig.said) });
    rig.push(["evil".to_owned()]);
    assert!(rig.ship(Duration::from_mins(5)));
    assert_eq!((rig.dead().len(), rig.of(Figure::DeadLettered)), (1, 1));
    assert!(rig.said()[0].contains("cannot be kept") && rig.said()[1].contains("kept again"), "{:?}", rig.said());
}

#[test]
fn when_it_is_time_to_stop_nothing_counts_that_was_not_answered() {
    let rig = Rig::new(Scripted::new().answering(Class::Unreachable, Duration::from_hours(1)));
    rig.push(lines(1));
    assert!(!rig.ship(Duration::from_secs(20)));
    rig.courier.pause.end();
    assert!(!rig.ship(Duration::from_hours(1)));
    assert_eq!((rig.outbox.acknowledged(rig.source), rig.service.messages().len()), (0, 0));
}

#[test]
fn senders_ship_from_their_threads_and_stop_in_time() {
    let (folder, said) = (tempfile::tempdir().unwrap(), Arc::default());
    for away in [false, true] {
        let service = Scripted::new();
        let service = if away { service.answering(Class::Unreachable, Duration::from_hours(1)) } else { service };
        let outbox = Outbox::new(Limits::default());
        let sources: Vec<SourceId> = (0..3).map(|_| outbox.register(&to("g", "s"), 0)).collect();
        let delivery = Delivery::start(&outbox, Means { clock: RealClock::shared(), ..means(&service, &folder, &said) }).unwrap();
        for round in 1..=1000 {
            for source in &sources {
                outbox.intake(*source).push(NOW, "a line", round);
            }
            if round % 100 == 0 {
                outbox.seal_all();
            }
        }
        let begun = Instant::now();
        assert_eq!(delivery.stop(Duration::from_secs(if away { 1 } else { 20 })), !away);
        assert!(begun.elapsed() < Duration::from_secs(10));
        let stored = service.messages().len();
        let marks: Vec<u64> = sources.iter().map(|source| outbox.acknowledged(*source)).collect();
        assert_eq!((stored, marks), if away { (0, vec![0; 3]) } else { (3000, vec![1000; 3]) });
    }
}

#[test]
fn a_defect_that_panics_costs_time_but_no_line() {
    let (folder, said) = (tempfile::tempdir().unwrap(), Arc::<Mutex<Vec<String>>>::default());
    let service = Scripted::new().with(|script| script.panics = 2);
    let outbox = Outbox::new(Limits::default());
    let source = outbox.register(&to("g", "s"), 0);
    let delivery = Delivery::start(&outbox, Means { clock: RealClock::shared(), ..means(&service, &folder, &said) }).unwrap();
    outbox.intake(source).push(NOW, "a line", 1);
    assert!(delivery.stop(Duration::from_secs(20)));
    assert_eq!((service.messages(), outbox.acknowledged(source)), (vec!["a line".to_owned()], 1));
    assert!(said.lock().unwrap()[0].contains("defect"));
}

#[test]
fn a_service_that_is_away_is_asked_every_few_seconds_and_a_busy_one_less_often() {
    for (patience, most) in [(AWAY, 4), (BUSY, 30), (REFUSED, 30)] {
        let (gate, pause) = (Gate::default(), Pause::new(FakeClock::shared()));
        let wait = || {
            let pass = gate.enter(&pause).unwrap();
            let now = pause.now();
            pass.closed(patience, None).until - now
        };
        let waits: Vec<Duration> = (0..200).map(|_| wait()).collect();
        let longest = waits.iter().max().unwrap();
        assert!(*longest <= Duration::from_secs(most), "{longest:?}");
        assert!(*longest > Duration::from_secs(most) / 2, "two hundred draws of {most} s reach {longest:?} only");
        assert!(waits.first().is_none_or(|first| *first <= patience.first));
    }
}
