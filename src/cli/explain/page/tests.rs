//! The page shows what there is, and is never more than text.

use super::*;
use crate::engine::event::{Ending, Event, Stamped, Timing};
use crate::engine::record::{Header, Record};

const EVIL: &str = "</style></pre><script>alert('1')</script><img src=x onerror=alert(1)> \" onmouseover=\"x {{ 7 * 7 }}\u{202e}";

fn explained(events: Vec<(i64, Event)>) -> Explanation {
    let events = events.into_iter().map(|(at, event)| Stamped { at, event }).collect();
    Explanation::of(&Record { header: Header::new(EVIL, Some(EVIL), "b", String::new()), events }, None)
}

fn step(at: i64, number: usize, after: Option<usize>, ending: Ending) -> [(i64, Event); 5] {
    let evil = || EVIL.to_owned();
    let reason =
        Failure { place: Some(evil()), doing: vec![evil()], because: vec![evil()], last_lines: vec![evil()], hint: Some(evil()) };
    let timing = Timing { locks: 10, waited: 50, ..Timing::default() };
    let over = Event::StepFinished {
        step: number,
        label: evil(),
        ending,
        changes: 1,
        milliseconds: 100,
        timing,
        reason: Some(reason),
        tentative: None,
    };
    [
        (at, Event::StepStarted { step: number, label: evil(), kind: evil(), after }),
        (at, Event::StepWaiting { step: number, reason: evil() }),
        (at, Event::StepRetried { step: number, attempt: 2, because: evil() }),
        (
            at,
            Event::Change {
                step: number,
                text: evil(),
                diff: Some(format!("-{EVIL}\n+{EVIL}\n")),
                applying: true,
                routine: false,
            },
        ),
        (at + 100, over),
    ]
}

fn all_that_there_is() -> Vec<(i64, Event)> {
    let evil = || EVIL.to_owned();
    let started = Event::RunStarted {
        run: evil(),
        playbook: evil(),
        playbook_digest: evil(),
        version: evil(),
        trigger: evil(),
        dry_run: false,
        steps: 4,
    };
    let mut events = vec![(0, started), (0, Event::Narrowed { only: vec![evil()] })];
    events.extend(step(0, 1, None, Ending::Changed));
    events.extend(step(100, 2, None, Ending::FailedButAllowed));
    events.extend(step(100, 3, Some(1), Ending::Failed));
    events.extend(step(200, 4, Some(3), Ending::NotStarted));
    events.push((300, Event::Notice { text: evil() }));
    events.push((300, Event::Lifecycle { text: evil() }));
    events.push((300, Event::RunFailed { reason: Failure::because(EVIL) }));
    let over = Event::RunFinished {
        run: evil(),
        converged: false,
        changed: 1,
        failed: 1,
        unknown: 0,
        interrupted: Some(evil()),
        milliseconds: 300,
    };
    events.push((300, over));
    events
}

/// The markup of a page without its own style sheet: every tag in it.
fn tags(page: &str) -> Vec<String> {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    let text = head.to_owned() + body;
    text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap().to_owned()).collect()
}

#[test]
fn whatever_a_record_holds_stays_text() {
    let page = draw(&explained(all_that_there_is()), None).unwrap();
    assert_eq!(page.matches("</style>").count(), 1, "only the template's own");
    for tag in tags(&page) {
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        assert!(!["script", "img", "iframe", "object", "base", "form", "a"].contains(&name), "a tag `{tag}`");
        let outside_of_quotes: String = tag.split('"').step_by(2).collect();
        assert!(!outside_of_quotes.contains("onerror") && !outside_of_quotes.contains("onmouseover"), "an attribute in `{tag}`");
    }
    assert!(page.contains("&lt;script&gt;alert(&#x27;1&#x27;)"), "shown as it was written");
    assert!(page.contains("{{ 7 * 7 }}") && !page.contains('\u{202e}'), "no template, and nothing that turns the writing");
    assert_eq!(page.matches(" data-step=").count(), 4);
}

#[test]
fn a_page_asks_for_nothing() {
    let page = draw(&explained(all_that_there_is()), None).unwrap();
    for asks in ["http://", "https://", "//fonts", "@import", "url(", "<script", "src="] {
        let own = page.replace("img src=x", "").replace("&quot;", "");
        assert!(!own.contains(asks), "`{asks}`");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn evidence_stands_above_the_figures_and_the_thread_ties_the_path() {
    let page = draw(&explained(all_that_there_is()), None).unwrap();
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("`{text}` is missing"));
    assert!(place("class=\"failures\"") < place("class=\"figures\""));
    assert_eq!(page.matches("class=\"thread from\"").count(), 1);
    assert_eq!(page.matches("class=\"thread through\"").count(), 1, "over the step between them");
    assert_eq!(page.matches("class=\"thread to\"").count(), 1);
    assert!(page.contains("class=\"added\"") && page.contains("class=\"removed\""));
    assert!(page.contains("class=\"bar never\" data-step=\"4\""));
}

#[test]
fn every_record_has_its_page() {
    let empty = draw(&explained(Vec::new()), None).unwrap();
    assert!(empty.contains("<h1>a run</h1>") && !empty.contains("data-step"));
    let open = vec![(0, Event::StepStarted { step: 1, label: "a".into(), kind: "git".into(), after: None })];
    let page = draw(&explained(open), Some("process 7")).unwrap();
    assert!(page.contains("under way (process 7)") && page.contains("did not end"), "{page}");
    let refused = vec![(0, Event::RunFailed { reason: Failure::because("unknown key") })];
    assert!(draw(&explained(refused), None).unwrap().contains("<dt>because</dt><dd>unknown key</dd>"));
}
