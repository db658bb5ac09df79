//! The journal's faults, with systemd's own `journalctl` and journald: nothing is lost, nothing comes twice that need not, and what
//! was removed before it could be read is counted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot make its journal has failed"
)]

mod daemon;
mod made;
mod service;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bootstrap_agent::logs::figures::Figure;
use bootstrap_agent::logs::journals::Begin;

use self::daemon::Daemon;
use self::made::{Made, cursor_of, journal};
use self::service::{SECRET, ship, ship_within};

const APP: (&str, &str) = ("{ unit: app.service }", "app");

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("entry {number}")).collect()
}

/// Entries of `app` and another unit by turns, over two boots.
fn two_boots() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let entries = (0..60u64).map(|number| {
        let unit = if number % 2 == 0 { "app.service" } else { "other.service" };
        // The clock goes on over the boot; the monotonic one begins anew.
        let made = if number < 40 { Made::at(1, number, number) } else { Made::at(2, number - 40, number) };
        made.of(unit, &format!("entry {number}"))
    });
    journal(folder.path(), "system", entries);
    folder
}

#[test]
fn the_rest_of_the_last_boot_is_read_and_all_of_this_one() {
    let folder = two_boots();
    // From an entry of the unit, and from one of another.
    for from in [10, 11] {
        let cursor = cursor_of(folder.path(), &format!("entry {from}"));
        let shipper = ship(folder.path(), Begin::Cursor(cursor), &[APP]);
        shipper.settle();
        let expected: Vec<String> =
            (from + 1..60).filter(|number| number % 2 == 0).map(|number| format!("entry {number}")).collect();
        assert_eq!(shipper.messages("app"), expected);
        assert_eq!((shipper.gaps(), shipper.reports()), (0, String::new()));
        // The last entry of all is the other unit's: the place moves on over it.
        assert_eq!(shipper.journal.acknowledged().unwrap(), cursor_of(folder.path(), "entry 59"));
    }
}

#[test]
fn every_kind_of_entry_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let app = |second| Made::new(1, second).with("_SYSTEMD_UNIT", "app.service");
    let (long, huge) = ("x".repeat(6000), "y".repeat(1_100_000));
    let entries = [
        app(0).with("MESSAGE", &long),
        app(1).with("MESSAGE", &huge),
        app(2).with_bytes("MESSAGE", b"two\nlines and \xff\0"),
        app(3).with("MESSAGE", "first").with("MESSAGE", "second"),
        app(4).with_bytes("OTHER", b"\n\n__CURSOR=fake\nMESSAGE=fake\n\n").with("MESSAGE", "behind a binary field"),
        app(5).with("MESSAGE", &format!("token={SECRET}")),
        app(6).with("MESSAGE", ""),
        Made::new(1, 7).with("_TRANSPORT", "kernel").with("PRIORITY", "3").with("MESSAGE", "oops"),
        Made::new(1, 8).with("_TRANSPORT", "kernel").with("PRIORITY", "6").with("MESSAGE", "hello"),
        Made::new(1, 9).with("SYSLOG_IDENTIFIER", "sshd").with("MESSAGE", "login"),
        Made::new(1, 10).with("UNIT", "app.service").with("_PID", "1").with("MESSAGE", "Started app"),
        Made::new(1, 11).of("bootstrap-agent-logs.service", "sent").with("SYSLOG_IDENTIFIER", "sshd"),
    ];
    journal(folder.path(), "system", entries);
    let sources = [APP, ("{ kernel: true, priority: err }", "kernel"), ("{ identifier: sshd }", "sshd")];
    let shipper = ship(folder.path(), Begin::Oldest, &sources);
    shipper.settle();
    let all = shipper.messages("app");
    assert_eq!(all[0], long);
    assert!(all[1].len() <= 1_048_550 && format!("{}{}", all[1], all[2]) == huge, "split without loss");
    // The journal keeps no order between the two values of a field.
    let mut repeated: Vec<&str> = all[4].split('\n').collect();
    repeated.sort_unstable();
    assert_eq!((all[3].as_str(), repeated.as_slice()), ("two\nlines and \u{fffd}\0", ["first", "second"].as_slice()));
    assert_eq!(all[5], "behind a binary field");
    assert!(all[6].contains("***") && !all[6].contains(SECRET), "{}", all[6]);
    assert_eq!(all[7..], ["Started app"]);
    assert_eq!(shipper.messages("kernel"), ["oops"]);
    assert_eq!(shipper.messages("sshd"), ["login"]);
    assert_eq!(shipper.figures.of(Figure::Split), 1);
    assert_eq!(u64::try_from(shipper.times("kernel")[0]).unwrap(), made::start() / 1000 + 7000, "the journal's time");
}

#[test]
fn nothing_counts_before_it_is_acknowledged_and_a_restart_sends_the_rest() {
    let folder = two_boots();
    let shipper = ship(folder.path(), Begin::Oldest, &[APP]);
    shipper.settle();
    let place = shipper.journal.acknowledged().unwrap();
    drop(shipper);
    let more = (60..100u64).map(|number| Made::at(2, number, 100 + number).of("app.service", &format!("entry {number}")));
    // A second file, as after a rotation, of another numbering.
    journal(folder.path(), "later", more);
    let shipper = ship(folder.path(), Begin::Cursor(place.clone()), &[APP]);
    shipper.is_down.store(true, Ordering::SeqCst);
    assert!(shipper.journal.catch_up(Duration::from_secs(30)));
    assert_eq!(shipper.journal.acknowledged(), Some(place.clone()), "read, and not stored");
    drop(shipper);
    let shipper = ship(folder.path(), Begin::Cursor(place), &[APP]);
    shipper.settle();
    assert_eq!(shipper.messages("app"), numbered(60..100));
}

#[test]
fn a_place_that_is_no_place_falls_back_to_its_time() {
    let folder = two_boots();
    let time = cursor_of(folder.path(), "entry 50").split(';').find(|part| part.starts_with("t=")).unwrap().to_owned();
    let shipper = ship(folder.path(), Begin::Cursor(format!("rubbish;{time}")), &[APP]);
    shipper.settle();
    assert_eq!(shipper.messages("app"), ["entry 50", "entry 52", "entry 54", "entry 56", "entry 58"]);
    assert!(shipper.reports().contains("the place in the journal is not known"), "{}", shipper.reports());
}

#[test]
fn entries_that_were_vacuumed_before_they_were_read_are_counted() {
    let daemon = Daemon::start();
    let write = |range: std::ops::Range<usize>| numbered(range).iter().for_each(|message| daemon.write("app", message));
    write(0..10);
    daemon.control("--sync");
    let shipper = ship(&daemon.folder(), Begin::Oldest, &[("{ identifier: app }", "app")]);
    shipper.settle();
    let place = shipper.journal.acknowledged().unwrap();
    drop(shipper);
    write(10..30);
    daemon.control("--rotate");
    write(30..40);
    daemon.control("--rotate");
    write(40..45);
    daemon.control("--sync");
    daemon.control("--vacuum-files=1");
    let shipper = ship(&daemon.folder(), Begin::Cursor(place), &[("{ identifier: app }", "app")]);
    shipper.settle();
    let got = shipper.messages("app");
    assert_eq!(got.last().unwrap(), "entry 44");
    let first: usize = got[0].strip_prefix("entry ").unwrap().parse().unwrap();
    assert!(first > 10, "nothing was vacuumed: {got:?}");
    assert_eq!(got, numbered(first..45));
    assert_eq!(shipper.gaps(), 1);
    // Journald's own entries are in between, so that more are missing than are ours.
    let said = shipper.reports();
    let missing: usize = said.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(missing >= first - 10 && said.contains("SystemMaxUse="), "{said}");
}

/// The `journalctl` that we have running.
fn followers(folder: &std::path::Path) -> Vec<i32> {
    let folder = folder.to_str().unwrap();
    let of = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    all.filter(|pid| of(*pid).starts_with("journalctl\0") && of(*pid).contains(folder) && of(*pid).contains("--follow")).collect()
}

#[test]
fn rotations_without_end_and_a_killed_journalctl_lose_nothing() {
    let daemon = Daemon::start();
    daemon.write("other", "so that there is a journal");
    daemon.control("--sync");
    let shipper = ship(&daemon.folder(), Begin::ThisBoot, &[("{ identifier: app }", "app")]);
    let mut killed = 0;
    for round in 0..40 {
        for number in 0..50 {
            daemon.write("app", &format!("entry {}", round * 50 + number));
        }
        daemon.control("--rotate");
        if round % 8 == 3 {
            for pid in followers(&daemon.folder()) {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
                killed += 1;
            }
        }
    }
    daemon.control("--sync");
    shipper.settle();
    assert_eq!(shipper.messages("app"), numbered(0..2000));
    assert_eq!((shipper.gaps(), killed > 2), (0, true), "{}", shipper.reports());
    let folder = daemon.folder();
    assert_eq!(followers(&folder).len(), 1);
    drop(shipper);
    assert_eq!(followers(&folder), [0; 0], "it ends with us");
}

#[test]
fn a_full_outbox_is_waited_for_and_the_rate_is_that_of_journalctl() {
    let folder = tempfile::tempdir().unwrap();
    let text = "m".repeat(120);
    let entries =
        (0..60_000u64).map(|number| Made::at(1, number, number / 100).of("app.service", &format!("entry {number} {text}")));
    journal(folder.path(), "system", entries);
    let started = Instant::now();
    let shipper = ship_within(folder.path(), Begin::Oldest, &[APP], 1 << 20);
    shipper.is_down.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(2));
    let (held, read) = (shipper.outbox.used(), shipper.figures.of(Figure::ReadEvents));
    assert!(held < 2 << 20 && read < 20_000, "{held} bytes wait, {read} entries were read");
    shipper.is_down.store(false, Ordering::SeqCst);
    let went_on = Instant::now();
    shipper.settle();
    let took = went_on.elapsed();
    println!(
        "{} entries/s, of {} s in all",
        (60_000 - read) * 1000 / u64::try_from(took.as_millis()).unwrap(),
        started.elapsed().as_secs()
    );
    let got = shipper.messages("app");
    assert_eq!(got.len(), 60_000);
    assert!(got.iter().enumerate().all(|(number, message)| *message == format!("entry {number} {text}")));
}
