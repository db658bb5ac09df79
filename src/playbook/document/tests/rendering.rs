//! What a good playbook renders to: entries, templates and blocks, with what is known and what is not.

use super::*;

fn render(entry: &Entry, scope: &Scope) -> Result<Touches, String> {
    match entry.render(scope) {
        Ok(Rendered::Ready(step)) => Ok(step.touches()),
        Ok(Rendered::Unknown { why }) => Err(format!("unknown: {why}")),
        Err(error) => Err(error.to_string()),
    }
}

fn scope(playbook: &Playbook) -> Scope {
    let key = Fetched::One(Sensitive::Secret(Secret::new("hunter2hunter2")));
    let all = Fetched::Map(IndexMap::from([("A".to_owned(), Sensitive::Secret(Secret::new("another-secret")))]));
    Scope {
        name: playbook.name.clone(),
        vars: playbook.vars.clone(),
        secrets: Some(IndexMap::from([("key".to_owned(), key), ("all".to_owned(), all)])),
        ..Scope::default()
    }
}

#[test]
fn what_is_touched_is_known_where_the_unknown_has_no_part_in_it() {
    let text = "- {id: code, shout: [a]}\n\
                - note: {path: /srv/x, content: 'at {{ steps.code.commit }}', values: {region: '{{ instance.region }}'}}\n\
                - note: {path: '{{ \"/a\" if steps.code.commit == \"x\" else \"/b\" }}'}\n\
                - note: {path: /srv/y, mode: '{{ steps.code.mode }}'}\n";
    let playbook = steps(text).unwrap();
    let touches = |at: usize| playbook.entries[at].touches(&Scope { secrets: None, ..scope(&playbook) }).unwrap();
    assert_eq!(touches(1).unwrap().writes, [Thing::Path("/srv/x".into())]);
    assert_eq!((touches(2), touches(3)), (None, None), "what decides where it goes, or is no text, is waited for");
}

#[test]
fn a_step_is_rendered_and_typed_just_before_its_check() {
    let text = "- {id: my-code, shout: ['{{ user }}', no, 012], run_as: '{{ user }}', retries: 2, timeout: 1m, needs: []}\n\
                - note: {path: '/{{ steps.my-code.commit }}', content: '{{ secrets.key }}', values: '{{ secrets.all }}'}\n";
    let playbook = steps(text).unwrap();
    let [first, second] = playbook.entries.as_slice() else { panic!("two steps") };
    assert_eq!((first.label.as_str(), first.number, first.retries), ("my-code", 1, 2));
    assert_eq!(first.needs.as_deref(), Some(&[][..]));
    assert_eq!(
        (second.label.as_str(), second.uses.as_slice()),
        ("note /{{ steps.my-code.commit }}", &["my-code".to_owned()][..])
    );
    assert_eq!(first.position.to_string(), "p:5:3");

    let mut scope = scope(&playbook);
    let touches = render(first, &scope).unwrap();
    let words = ["ubuntu", "no", "012"].map(|word| Thing::Group(word.into()));
    assert_eq!(touches.reads, [&words[..], &[Thing::User("ubuntu".into())]].concat());
    assert_eq!(render(second, &scope).unwrap_err(), "unknown: cannot tell before step `my-code` has run");
    assert_eq!(second.touches(&scope).unwrap(), None);
    scope.steps.insert("my-code".into(), Outputs::from([("commit".to_owned(), Output::from("abc"))]));
    assert_eq!(render(second, &scope).unwrap().writes, [Thing::Path("/abc".into())]);
    scope.secrets = None;
    assert_eq!(
        render(second, &scope).unwrap_err(),
        "unknown: cannot tell without the secret `key`: give it with `--secrets-from FILE`"
    );
    assert!(second.touches(&scope).unwrap().is_some());
}

#[test]
fn when_is_answered_in_three_ways() {
    let playbook = steps(
        "- {shout: [a], when: n > 2}\n- {shout: [a], when: user == 'root'}\n- {shout: [a], when: instance.lifecycle.warming}\n\
         - {shout: [a], when: user}\n- shout: [a]\n",
    )
    .unwrap();
    let scope = scope(&playbook);
    let told: Vec<_> = playbook.entries.iter().map(|entry| entry.is_wanted(&scope).map_err(|error| error.to_string())).collect();
    assert_eq!(told.first(), Some(&Ok(Wanted::Yes)));
    assert_eq!(told.get(1), Some(&Ok(Wanted::No("user == 'root'".into()))));
    assert!(matches!(told.get(2), Some(Ok(Wanted::Unknown(why))) if why.contains("on an EC2 instance only")));
    assert_eq!(told.get(3), Some(&Err("p:8:22: `when` must be true or false".into())));
    assert_eq!(told.get(4), Some(&Ok(Wanted::Yes)));
}

#[test]
fn a_secret_that_turns_up_in_a_run_is_refused_too() {
    let playbook = steps("- {id: a, shout: [x]}\n- shout: ['{{ steps.a.token }}']\n").unwrap();
    let mut scope = scope(&playbook);
    scope.steps.insert("a".into(), Outputs::from([("token".to_owned(), Output::Secret(Secret::new("s3cret-token")))]));
    let error = render(playbook.entries.get(1).unwrap(), &scope).unwrap_err();
    assert_eq!(error, "p:6:11: a secret is not allowed here");
}

#[test]
fn templates_are_read_beside_the_playbook_and_checked_like_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good"), "{% if n > 2 %}\nkey={{ secrets.key }}\n{% endif %}\n").unwrap();
    std::fs::write(folder.path().join("output"), "{{ steps.a.b }}").unwrap();
    std::fs::write(folder.path().join("bad"), "a\nb {{ usr }}\n").unwrap();
    std::fs::write(folder.path().join("broken"), "a\n{% if x %}\n").unwrap();
    let load = |name: &str| load_in(folder.path(), &format!("{HEAD}- note: {{path: /a, template: {name}}}\n"), &[]);
    let playbook = load("good").unwrap();
    let scope = scope(&playbook);
    assert!(render(playbook.entries.first().unwrap(), &scope).is_ok());
    assert_eq!(scope.redactor.clean("key=hunter2hunter2"), "***");
    let text = "version: 1\nsteps:\n- {id: a, shout: [x]}\n- note: {path: /a, template: output}\n";
    assert_eq!(load_in(folder.path(), text, &[]).unwrap().entries[1].uses, ["a"]);
    assert_eq!(said(load("bad")), ["2:6 unknown variable `usr`; did you mean `user`?"]);
    assert!(load("bad").unwrap_err().0[0].position.as_ref().unwrap().file.ends_with("/bad"));
    assert!(said(load("broken")).first().is_some_and(|line| line.contains("this is no template")));
    assert!(said(load("absent")).first().is_some_and(|line| line.contains("the template `absent` cannot be read")));
}

#[test]
fn the_blocks_are_rendered_and_the_deadline_follows_from_the_hook() {
    let text = "version: 1\nvars: { g: G }\nlifecycle: { group: '{{ g }}', hook: h, timeout: 450s }\n\
                logs: { group: '/{{ name }}', stream: '{{ instance.id }}' }\nenv: { N: 1 }\nhold_for: 30m\nsteps: []\n";
    let playbook = load(text).unwrap();
    let mut scope = scope(&playbook);
    assert_eq!(playbook.deadline.to_string(), "7m");
    assert_eq!(playbook.hold_for.map(|span| span.to_string()).as_deref(), Some("30m"));
    let lifecycle = playbook.lifecycle(&scope).unwrap().unwrap();
    assert_eq!((lifecycle.group.as_deref(), lifecycle.hook.as_deref()), (Some("G"), Some("h")));
    assert_eq!(playbook.environment(&scope).unwrap()["N"], "1");
    assert_eq!(playbook.logs(&scope).unwrap_err().kind(), crate::error::Kind::Missing);
    scope.values.instance = Some(serde_json::json!({ "id": "i-1" }));
    let logs = playbook.logs(&scope).unwrap().unwrap();
    assert_eq!((logs.group.as_str(), logs.stream.as_deref()), ("/stem", Some("i-1")));
    assert_eq!(load("version: 1\nsteps: []\n").unwrap().deadline, DEFAULT_DEADLINE);
}

#[test]
fn a_declared_secret_is_one_whatever_the_service_says() {
    let text = "version: 1\nsecrets: { a: { from: ssm:/a, secret: true }, b: { from: ssm:/b, secret: false } }\n\
                steps:\n- shout: ['{{ secrets.b }}']\n";
    let playbook = load(text).unwrap();
    let plain = || Fetched::One(Sensitive::Plain("text".into()));
    let classified = playbook.classify(IndexMap::from([("a".to_owned(), plain()), ("b".to_owned(), plain())]));
    assert!(matches!(classified.get("a"), Some(Fetched::One(Sensitive::Secret(_)))));
    assert!(matches!(classified.get("b"), Some(Fetched::One(Sensitive::Plain(_)))));
    let scope = Scope { secrets: Some(classified), ..Scope::default() };
    assert!(render(playbook.entries.first().unwrap(), &scope).is_ok());
}
