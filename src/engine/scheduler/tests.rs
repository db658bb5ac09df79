//! Every rule of the scheduler, on scripted steps.

use std::sync::{Barrier, Mutex};

use super::*;
use crate::engine::scripted::{Script, Walk, differs};
use crate::playbook::Wanted;
use crate::step::{Finding, Touches};

use Ending::{Changed, Failed, FailedButAllowed, NotStarted, Skipped, Unchanged, Unknown, WouldChange};

fn endings(reports: &[Report]) -> Vec<Ending> {
    reports.iter().map(|report| report.ending).collect()
}

/// The first cause of this step's ending.
fn why(reports: &[Report], number: usize) -> String {
    let report = reports.iter().find(|report| report.number == number).unwrap();
    report.reason.as_ref().unwrap().because.join(": ")
}

fn failing(message: &'static str) -> impl Fn(&crate::host::Facts, u32) -> Result<Finding<String>> + Send + Sync {
    move |_, _| Err(Error::new(Kind::Failed, message))
}

/// Fails where two are inside at once.
#[derive(Clone, Default)]
struct Alone(Arc<Mutex<()>>);

impl Alone {
    fn inside(&self) -> Result<Finding<String>> {
        let _alone = self.0.try_lock().map_err(|_| Error::new(Kind::Failed, "two at once"))?;
        std::thread::sleep(Duration::from_millis(30));
        Ok(Finding::done())
    }
}

#[test]
fn a_step_is_checked_applied_and_checked_again() {
    let step = Script::new("a").pending();
    let counts = step.counts();
    let walk = Walk::default();
    assert_eq!(endings(&walk.of([step.clone()])), [Changed]);
    assert_eq!(counts(), (2, 1));
    assert_eq!(endings(&walk.of([step])), [Unchanged], "the second run has nothing to do");
    assert_eq!(counts(), (3, 1));
}

#[test]
fn what_still_differs_after_the_apply_has_failed() {
    let reports = Walk::default().of([Script::new("a").check(|_, _| Ok(differs("set mode 0600")))]);
    assert_eq!(endings(&reports), [Failed]);
    assert!(why(&reports, 1).ends_with("the machine still differs: set mode 0600"), "{}", why(&reports, 1));
}

#[test]
fn ready_steps_run_side_by_side() {
    let meeting = Arc::new(Barrier::new(2));
    let meets = |id| {
        let meeting = meeting.clone();
        Script::new(id).check(move |_, _| {
            meeting.wait();
            Ok(Finding::done())
        })
    };
    assert_eq!(endings(&Walk::default().of([meets("a"), meets("b")])), [Unchanged, Unchanged]);
}

#[test]
fn a_named_lock_lets_one_through_at_a_time() {
    let alone = Alone::default();
    let step = |id: &str| {
        let alone = alone.clone();
        Script::new(id).touches(Touches::nothing().lock("packages")).check(move |_, _| alone.inside())
    };
    let walk = Walk::default();
    assert_eq!(endings(&walk.of([step("a"), step("b"), step("c")])), [Unchanged; 3]);
    assert!(walk.events.events().iter().any(|event| matches!(event, Event::StepWaiting { .. })));
}

#[test]
fn a_step_without_needs_waits_for_everything_above() {
    let alone = Alone::default();
    let step = |id: &str| {
        let alone = alone.clone();
        Script::new(id).check(move |_, _| alone.inside())
    };
    let below = step("c").about(|about| about.needs = None);
    assert_eq!(endings(&Walk::default().of([step("a"), below])), [Unchanged; 2]);
}

#[test]
fn after_a_failure_nothing_new_starts_and_all_failures_are_reported() {
    let meeting = Arc::new(Barrier::new(2));
    let fails = |id, wait| {
        let meeting = meeting.clone();
        Script::new(id).check(move |_, _| {
            meeting.wait();
            std::thread::sleep(Duration::from_millis(wait));
            Err(Error::new(Kind::Failed, "broken"))
        })
    };
    let reports =
        Walk::default().of([fails("a", 0), fails("b", 50), Script::new("c").needs(&["a"]), Script::new("d").needs(&["b"])]);
    assert_eq!(endings(&reports), [Failed, Failed, NotStarted, NotStarted]);
    assert_eq!(why(&reports, 3), "step 1 `a` failed");
}

#[test]
fn a_step_that_waits_for_a_lock_does_not_start_after_a_failure() {
    let lock = || Touches::nothing().lock("packages");
    let meeting = Arc::new(Barrier::new(2));
    let (here, there) = (meeting.clone(), meeting);
    let holder = Script::new("holder").touches(lock()).check(move |_, _| {
        here.wait();
        std::thread::sleep(Duration::from_millis(200));
        Ok(Finding::done())
    });
    // Ends once the lock is held, so that the next step is sure to wait for it.
    let first = Script::new("first").check(move |_, _| {
        there.wait();
        Ok(Finding::done())
    });
    let waits = Script::new("waits").needs(&["first"]).touches(lock());
    let counts = waits.counts();
    let fails = Script::new("fails").needs(&["first"]).check(|_, _| {
        std::thread::sleep(Duration::from_millis(60));
        Err(Error::new(Kind::Failed, "broken"))
    });
    assert_eq!(endings(&Walk::default().of([holder, first, waits, fails])), [Unchanged, Unchanged, NotStarted, Failed]);
    assert_eq!(counts(), (0, 0));
}

#[test]
fn what_may_fail_is_reported_and_the_run_goes_on() {
    let reports = Walk::default().of([
        Script::new("a").check(failing("no agent for you")).may_fail(),
        Script::new("b").needs(&["a"]).pending(),
        Script::new("c").needs(&["a"]).uses_unknown("a"),
    ]);
    assert_eq!(endings(&reports), [FailedButAllowed, Changed, Skipped]);
    assert_eq!(why(&reports, 1), "no agent for you");
    assert!(why(&reports, 3).contains("`a`"));
}

#[test]
fn what_is_not_wanted_is_skipped_and_satisfies_needs() {
    let not_wanted = Script::new("a").wanted(Wanted::No("environment == 'prod'".into())).check(failing("never looked at"));
    let reports = Walk::default().of([not_wanted, Script::new("b").needs(&["a"])]);
    assert_eq!(endings(&reports), [Skipped, Unchanged]);
    assert_eq!(why(&reports, 1), "`when: environment == 'prod'` is false");
}

#[test]
fn an_unknown_value_that_no_step_gives_is_an_error_in_a_run() {
    let reports = Walk::default().of([Script::new("a").wanted(Wanted::Unknown("this is not an EC2 instance".into()))]);
    assert_eq!(endings(&reports), [Failed]);
    assert_eq!(why(&reports, 1), "this is not an EC2 instance");
}

#[test]
fn retries_repeat_apply_and_recheck() {
    let flaky = |retries| {
        let step = Script::new("a").about(|about| about.retries = retries).pending();
        step.apply(|_, nth| if nth < 3 { Err(Error::new(Kind::Failed, "broken")) } else { Ok(()) })
            .check(|_, look| Ok(if look < 4 { differs("install") } else { Finding::done() }))
    };
    let counts = flaky(2).counts();
    assert_eq!(counts(), (0, 0));
    let walk = Walk::default();
    assert_eq!(endings(&walk.of([flaky(2)])), [Changed]);
    let retried: Vec<u32> = walk
        .events
        .events()
        .iter()
        .filter_map(|event| if let Event::StepRetried { attempt, .. } = event { Some(*attempt) } else { None })
        .collect();
    assert_eq!(retried, [2, 3]);
    assert_eq!(endings(&Walk::default().of([flaky(1)])), [Failed]);
}

#[test]
fn what_is_transient_is_retried_without_being_asked() {
    let step = Script::new("a").pending().apply(|_, nth| match nth {
        1 => Err(Error::new(Kind::Unreachable, "connection reset")),
        _ => Ok(()),
    });
    // The failed apply counts as applied in the script, so the second look finds it done.
    assert_eq!(endings(&Walk::default().of([step])), [Unchanged]);
    let never = Script::new("a").check(|_, _| Err(Error::new(Kind::Throttled, "slow down")));
    let walk = Walk { deadline: Duration::from_millis(700), ..Walk::default() };
    let reports = walk.of([never]);
    assert_eq!((endings(&reports), why(&reports, 1).as_str()), (vec![Failed], "slow down"), "inside the deadline");
}

#[test]
fn a_panic_is_that_steps_failure() {
    let panics = Script::new("a").check(|_, _| panic!("index 7 is out of range")).may_fail();
    let reports = Walk::default().of([panics, Script::new("b").needs(&["a"])]);
    assert_eq!(endings(&reports), [FailedButAllowed, Unchanged]);
    assert!(why(&reports, 1).contains("index 7 is out of range"));
}

#[test]
fn a_steps_time_is_clipped_to_the_runs() {
    let asked = |limit: Option<u64>| {
        let seen = Arc::new(Mutex::new(None));
        let step = Script::new("a").about(|about| about.timeout = limit.map(Duration::from_millis)).check({
            let seen = seen.clone();
            move |facts, _| {
                *seen.lock().unwrap() = Some(facts.deadline().saturating_duration_since(Instant::now()).as_millis());
                Ok(Finding::done())
            }
        });
        let walk = Walk { deadline: Duration::from_secs(10), ..Walk::default() };
        assert_eq!(endings(&walk.of([step])), [Unchanged]);
        seen.lock().unwrap().unwrap()
    };
    assert!(asked(Some(200)) <= 200);
    assert!((201..=10_000).contains(&asked(Some(60_000))));
    assert!((201..=10_000).contains(&asked(None)));
}

#[test]
fn a_step_past_its_time_is_abandoned_with_its_locks() {
    let hangs = Script::new("hangs")
        .about(|about| about.timeout = Some(Duration::from_millis(40)))
        .touches(Touches::nothing().lock("packages"))
        .may_fail()
        .check(|_, _| {
            std::thread::sleep(Duration::from_secs(30));
            Ok(Finding::done())
        });
    let needs_lock = Script::new("lock").needs(&["hangs"]).touches(Touches::nothing().lock("packages"));
    let needs_nothing = Script::new("free").needs(&["hangs"]);
    let start = Instant::now();
    let reports = Walk::default().of([hangs, needs_lock, needs_nothing]);
    assert!(start.elapsed() < Duration::from_secs(20), "nobody waits for it");
    assert_eq!(endings(&reports), [FailedButAllowed, NotStarted, Unchanged]);
    assert!(why(&reports, 1).contains("left behind"));
    assert_eq!(why(&reports, 2), "it needs lock `packages`, which step 1 still held when it was abandoned");
}

/// What the reader is told about whose fault it was.
fn hint(reports: &[Report], number: usize) -> String {
    let report = reports.iter().find(|report| report.number == number).unwrap();
    report.reason.as_ref().unwrap().hint.clone().unwrap_or_default()
}

#[test]
fn when_the_deadline_is_over_nothing_starts_and_the_eater_is_named() {
    let eater = Script::new("eater").check(|_, _| {
        std::thread::sleep(Duration::from_millis(80));
        Ok(Finding::done())
    });
    let walk = Walk { deadline: Duration::from_millis(50), grace: Duration::from_secs(5), ..Walk::default() };
    let reports = walk.of([eater, Script::new("late").needs(&["eater"])]);
    assert_eq!(endings(&reports), [Unchanged, NotStarted]);
    assert_eq!(why(&reports, 2), "the `deadline:` of the run is over");
    assert!(hint(&reports, 2).starts_with("the `deadline:` of the run is over; step 1 `eater` took "), "{}", hint(&reports, 2));
}

#[test]
fn without_heartbeats_the_hook_ends_a_wait_before_the_deadline() {
    let waits = Script::new("health").patience(60_000, 5).check(|_, _| Ok(differs("wait for it")));
    let walk = Walk { answer_by: Some(Duration::from_millis(120)), grace: Duration::from_secs(5), ..Walk::default() };
    let start = Instant::now();
    let reports = walk.of([waits, Script::new("late").needs(&["health"])]);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(endings(&reports), [Failed, NotStarted]);
    let said = &reports.first().unwrap().reason.as_ref().unwrap().last_lines;
    assert_eq!(*said, ["the last words of health"], "what it waited for in vain is quoted");
    assert!(
        hint(&reports, 1).contains("lifecycle hook") && hint(&reports, 1).contains("step 1 `health` took "),
        "{}",
        hint(&reports, 1)
    );
}

#[test]
fn a_step_that_does_not_notice_the_hook_is_left_behind() {
    let hangs = Script::new("pip").check(|_, _| {
        std::thread::sleep(Duration::from_secs(30));
        Ok(Finding::done())
    });
    let walk = Walk { answer_by: Some(Duration::from_millis(60)), ..Walk::default() };
    let start = Instant::now();
    let reports = walk.of([hangs]);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(why(&reports, 1).contains("left behind"));
    assert!(hint(&reports, 1).contains("no heartbeat is taken; step 1 `pip` took "), "{}", hint(&reports, 1));
}

#[test]
fn a_signal_ends_the_run_at_once() {
    let walk = Walk::default();
    let stop = walk.stop.clone();
    let hangs = Script::new("a").check(move |_, _| {
        stop.stop("SIGTERM");
        std::thread::sleep(Duration::from_secs(30));
        Ok(Finding::done())
    });
    let start = Instant::now();
    let reports = walk.of([hangs, Script::new("b").needs(&["a"])]);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(endings(&reports), [Failed, NotStarted]);
    assert_eq!(why(&reports, 2), "the run was interrupted by SIGTERM");
}

#[test]
fn the_engine_polls_for_as_long_as_the_step_asks() {
    let step = Script::new("health")
        .patience(5000, 5)
        .check(|_, look| Ok(if look < 5 { differs("wait for it") } else { Finding::done() }));
    let counts = step.counts();
    assert_eq!(endings(&Walk::default().of([step])), [Changed]);
    assert_eq!(counts(), (5, 1));
}

#[test]
fn a_step_that_always_runs_is_not_checked_again_and_counts_as_changed() {
    let step = Script::new("a").always();
    let counts = step.counts();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watcher = |id| {
        let seen = seen.clone();
        Script::new(id).needs(&["a"]).check(move |facts, _| {
            seen.lock().unwrap().push(facts.fingerprint("a"));
            Ok(Finding::done())
        })
    };
    assert_eq!(endings(&Walk::default().of([step.clone(), watcher("b")])), [Changed, Unchanged]);
    assert_eq!(counts(), (1, 1));
    assert_eq!(endings(&Walk::default().of([step, watcher("c")])), [Changed, Unchanged]);
    let seen = seen.lock().unwrap();
    assert_ne!(seen.first(), seen.get(1), "a new fingerprint each time");
}

#[test]
fn a_dry_run_applies_nothing_and_knows_three_answers() {
    let would = Script::new("packages").pending().touches(Touches::nothing().write_path("/opt/tool"));
    let counts = would.counts();
    let reader = Script::new("reader").touches(Touches::nothing().read_path("/opt/tool/bin")).pending();
    let reader_of_reader = Script::new("third").uses_unknown("reader");
    let bystander = Script::new("bystander").needs(&["packages"]).pending();
    let walk = Walk::dry();
    let reports = walk.of([would, reader, reader_of_reader, bystander, Script::new("done")]);
    assert_eq!(endings(&reports), [WouldChange, Unknown, Unknown, WouldChange, Unchanged]);
    assert_eq!(why(&reports, 2), "cannot tell before step 1 `packages` has run");
    assert_eq!(why(&reports, 3), "cannot tell before step 2 `reader` has run");
    assert_eq!(counts().1, 0);
}

#[test]
fn whoever_reads_what_is_pending_cannot_tell_whatever_it_answered() {
    let done = Script::new("reader").touches(Touches::nothing().read_path("/opt/tool"));
    let reports = Walk::dry().of([Script::new("a").pending().touches(Touches::nothing().write_path("/opt")), done]);
    assert_eq!(endings(&reports), [WouldChange, Unknown]);
}

#[test]
fn whoever_waits_cannot_tell_while_anything_before_it_is_pending() {
    let waits =
        |id| Script::new(id).check(|_, _| Ok(Finding { not_yet: Some("refused".into()), ..differs("wait until it answers") }));
    assert_eq!(endings(&Walk::dry().of([waits("alone")])), [WouldChange], "nothing would come to its help");
    let reports = Walk::dry().of([Script::new("database").pending(), waits("health").needs(&["database"])]);
    assert_eq!(endings(&reports), [WouldChange, Unknown]);
    assert_eq!(why(&reports, 2), "cannot tell before step 1 `database` has run");
}

#[test]
fn what_is_missing_after_a_pending_step_cannot_be_told_and_other_errors_are_errors() {
    let missing = |id| Script::new(id).check(|_, _| Err(Error::new(Kind::Missing, "no user `app`")));
    let reports = Walk::dry().of([
        missing("alone"),
        Script::new("user").pending(),
        missing("after").needs(&["user"]),
        Script::new("broken").needs(&["user"]).check(failing("no such unit type")),
        Script::new("below").needs(&["broken"]),
    ]);
    assert_eq!(endings(&reports), [Failed, WouldChange, Unknown, Failed, Unchanged], "the plan goes on after an error");
}

#[test]
fn what_only_root_may_see_cannot_be_told_by_others() {
    let denied = || Script::new("a").check(|_, _| Err(Error::new(Kind::Denied, "/root/x: permission denied")));
    let reports = Walk { is_root: false, ..Walk::dry() }.of([denied()]);
    assert_eq!(endings(&reports), [Unknown]);
    assert!(why(&reports, 1).starts_with("cannot tell without root"));
    assert_eq!(endings(&Walk::dry().of([denied()])), [Failed]);
}

#[test]
fn a_pending_command_makes_what_follows_tentative() {
    let command = Script::new("migrate").pending().about(|about| about.kind = "command");
    let walk = Walk::dry();
    let _ = walk.of([command, Script::new("after").needs(&["migrate"]), Script::new("beside")]);
    let tentative: Vec<(String, Option<usize>)> = walk
        .events
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::StepFinished { label, tentative, .. } => Some((label, tentative)),
            _ => None,
        })
        .collect();
    assert_eq!(tentative.len(), 3);
    for (label, tentative) in tentative {
        assert_eq!(tentative, (label == "after").then_some(1), "{label}");
    }
}

#[test]
fn who_cannot_say_what_it_touches_keeps_its_place() {
    let alone = Alone::default();
    let step = |id: &str| {
        let alone = alone.clone();
        Script::new(id).check(move |_, _| alone.inside())
    };
    assert_eq!(endings(&Walk::default().of([step("a"), step("b").unclear(), step("c")])), [Unchanged; 3]);
}

#[test]
fn the_critical_path_can_be_followed_backwards() {
    let walk = Walk::default();
    let slow = Script::new("slow").check(|_, _| {
        std::thread::sleep(Duration::from_millis(40));
        Ok(Finding::done())
    });
    let _ = walk.of([slow, Script::new("quick"), Script::new("last").needs(&["slow", "quick"])]);
    let after = walk.events.events().iter().find_map(|event| match event {
        Event::StepStarted { step: 3, after, .. } => Some(*after),
        _ => None,
    });
    assert_eq!(after, Some(Some(1)));
}

#[test]
fn a_step_that_stands_alone_has_nobody_beside_it() {
    let reports = Walk::default().of([
        Script::new("before").apply(|_, _| Ok(())).pending(),
        Script::new("alone").touches(Touches::nothing().alone()).pending(),
        Script::new("after").pending(),
    ]);
    assert_eq!(endings(&reports), [Changed, Changed, Changed]);
    let abouts: Vec<About> = (1..=3).map(|number| About { number, needs: Some(Vec::new()), ..About::default() }).collect();
    let touches = [Touches::nothing(), Touches::nothing().alone(), Touches::nothing()].map(Some);
    let graph = Graph::build(&abouts.iter().collect::<Vec<_>>(), &touches).unwrap();
    assert_eq!((graph.ancestors(1), graph.ancestors(2)), (vec![0], vec![0, 1]));
}

#[test]
fn what_must_hold_shows_it_anew_where_something_before_it_has_changed() {
    let looks_after = |code: Script| {
        let health = Script::new("health").needs(&["code"]).holds(60);
        let counts = health.counts();
        assert_eq!(endings(&Walk::default().of([code, health]))[1], Unchanged);
        counts().0
    };
    assert_eq!(looks_after(Script::new("code")), 1, "one good answer is enough");
    assert!(looks_after(Script::new("code").pending()) > 2);
}
