//! What is masked and what is not: a table of each, and what the tables cannot say.

use super::*;
use crate::secret::Secret;

fn masker() -> Masker {
    let redactor = Redactor::new();
    redactor.learn(&Secret::new("s3cr3t-value-of-the-agent"));
    Masker::new(redactor, &["EMP-[0-9]{6}".to_owned()], true).unwrap()
}

fn cleaned(line: &str) -> String {
    masker().clean(&mut MaskState::default(), line).into_owned()
}

/// Put together here, or scanners of sources would take the tests for leaks.
fn sample(parts: &[&str]) -> String {
    parts.concat()
}

/// What is written, and what is left of it.
fn masked() -> Vec<(String, &'static str)> {
    let random = "abcdefghijklmnopqrstuvwxyz0123456789";
    let jwt = sample(&["eyJ", "hbGciOiJIUzI1NiJ9.", "eyJ", "zdWIiOiIxMjM0In0.", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"]);
    let mut table: Vec<(String, &'static str)> = vec![
        (sample(&["key ", "AKIA", "IOSFODNN7EXAMPLE", " used"]), "key ***(aws-access-key) used"),
        (sample(&["ASIA", "IOSFODNN7EXAMPLE"]), "***(aws-access-key)"),
        (sample(&["token is ", &jwt, "."]), "token is ***(jwt)"),
        (sample(&["GET / Authorization: Bearer ", &jwt]), "GET / Authorization: Bearer ***(authorization)"),
        (sample(&["push with ", "ghp_", random]), "push with ***(github-token)"),
        (sample(&["github", "_pat_", random]), "***(github-token)"),
        (sample(&["slack ", "xoxb", "-123456789012-abcdefABCDEF"]), "slack ***(slack-token)"),
        (
            sample(&["https://hooks.slack", ".com/services/T000/B000/XXXXXXXX ok"]),
            "https://hooks.slack.com/services/***(slack-token) ok",
        ),
        (sample(&["sk", "_live_", "4eC39HqLyjWDarjtT1zdp7dc"]), "***(stripe-key)"),
        (
            sample(&["-----BEGIN RSA PRIVATE", " KEY-----\\nMIIE\\n-----END RSA PRIVATE", " KEY-----\\n next"]),
            "***(private-key)\\n next",
        ),
    ];
    table.extend(
        [
            ("the value is s3cr3t-value-of-the-agent!", "the value is ***!"),
            ("and czNjcjN0LXZhbHVlLW9mLXRoZS1hZ2VudA==", "and ***=="),
            ("employee EMP-123456 left", "employee ***(own-pattern) left"),
            ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***(authorization)"),
            (r#"{"Authorization":"Token 0123456789abcdef"}"#, r#"{"Authorization":"Token ***(authorization)"}"#),
            ("HTTP_AUTHORIZATION=Basic dXNlcjpwYXNz", "HTTP_AUTHORIZATION=Basic ***(authorization)"),
            ("calling with bearer 0123456789abcdef0123", "calling with bearer ***(bearer)"),
            ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***(assignment)"),
            (r#"{"SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/b","a":1}"#, r#"{"SecretAccessKey":"***(assignment)","a":1}"#),
            ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEJr//wEaCXVzLWVhc3QtMSJH", "AWS_SESSION_TOKEN=***(assignment)"),
            ("&X-Amz-Security-Token=IQoJb3JpZ2luX2Vj&X-Amz-Date=2026", "&X-Amz-Security-Token=***(assignment)&X-Amz-Date=2026"),
            ("password=x", "password=***(assignment)"),
            ("PGPASSWORD=hunter2 psql", "PGPASSWORD=***(assignment) psql"),
            ("Password: hunter2", "Password: ***(assignment)"),
            ("password: hunter2 for bob", "password: ***(assignment) for bob"),
            ("passwd='two words' user=bob", "passwd='***(assignment)' user=bob"),
            (r#"{"db_password": "a \"quoted\" one", "port": 5432}"#, r#"{"db_password": "***(assignment)", "port": 5432}"#),
            (r#""{\"password\":\"hunter2\",\"user\":\"bob\"}""#, r#""{\"password\":\"***(assignment)\",\"user\":\"bob\"}""#),
            ("{'client_secret': b'0123456789'}", "{'client_secret': b'***(assignment)'}"),
            ("Config(password=hunter2, user=bob)", "Config(password=***(assignment), user=bob)"),
            ("user=bob,password=a,b;c,host=db", "user=bob,password=***(assignment),host=db"),
            ("GET /?api_key=0123456789ab&page=2", "GET /?api_key=***(assignment)&page=2"),
            ("X-Api-Key: 0123456789ab", "X-Api-Key: ***(assignment)"),
            ("apiKey => '0123456789ab'", "apiKey => '***(assignment)'"),
            ("csrf_token=0123456789ab", "csrf_token=***(assignment)"),
            ("env['SECRET_KEY'] = 'django-insecure-1'", "env['SECRET_KEY'] = '***(assignment)'"),
            ("mysqld --root-password hunter2 --verbose", "mysqld --root-password ***(option) --verbose"),
            ("tool --token 0123456789ab run", "tool --token ***(option) run"),
            ("postgres://app:hunter2@db:5432/app", "postgres://app:***(url-password)@db:5432/app"),
            ("to redis://:p@ss@cache/0, mail a@b.c", "to redis://:***(url-password)@cache/0, mail a@b.c"),
            ("clone https://0123456789abcdef0123@host/repo", "clone https://***(url-password)@host/repo"),
            ("pässwort, password=hünter2é ok", "pässwort, password=***(assignment) ok"),
            ("password=a password=b", "password=***(assignment) password=***(assignment)"),
        ]
        .map(|(line, left)| (line.to_owned(), left)),
    );
    table
}

/// Ordinary text.
const LEFT_ALONE: &[&str] = &[
    "password reset requested",
    "password reset requested for bob: mail sent",
    "Enter password: ",
    "password: must be at least eight characters",
    "invalid password for user root from 10.0.0.1 port 22 ssh2",
    "Failed password for invalid user admin from 10.0.0.1 port 4242 ssh2",
    "password=*** user=bob",
    "password=${DB_PASSWORD} is not set",
    "PASSWORD=$DB_PASSWORD psql",
    "password=<redacted> token=[FILTERED]",
    "\"password\": null, \"token\": true",
    "--password --verbose",
    "token_count=5",
    "prompt_tokens=12345678 completion_tokens: 87654321",
    "token=5 tokens: 1234567890",
    "unexpected token: expected an identifier",
    "secret_name=database-credentials",
    "secretary=somebody-else",
    "the secret of success",
    "token_type: bearer",
    "api_key_id=0123456789ab",
    "the bearer of this letter",
    "authorization: denied",
    "authorization failed for user bob: no such role",
    "broken pipe while reading basic settings",
    "AKIA is a prefix, ASIA is a continent, ASIAN is an adjective",
    "AKIAIOSFODNN7EXAMPL is one short",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "data:application/json;base64,eyJhbGciOiJub25lIiwieCI6MX0=",
    "eyJhbGciOiJub25lIiwieCI6MX0",
    "ghp_short and gho_",
    "task_test_runner finished, risk_live_view rendered",
    "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ bob@laptop",
    "git@bitbucket.org:team/project.git, ssh://git@github.com/team/project",
    "GET http://localhost:8000/@user/feed from bob@example.com",
    "see https://example.com/a:b@c and mail://",
    "EMP-12345",
    "ünïcödé ohne Geheimnis",
    "",
];

#[test]
fn what_looks_like_a_credential_is_masked_and_the_rule_is_named() {
    for (line, left) in masked() {
        assert_eq!(cleaned(&line), left, "of `{line}`");
        assert!(!masker().is_clean(&MaskState::default(), format!("before\n{line}\nafter\n").as_bytes()), "`{line}` in a chunk");
    }
}

#[test]
fn ordinary_text_is_left_alone() {
    for line in LEFT_ALONE {
        assert_eq!(cleaned(line), *line);
    }
}

#[test]
fn what_was_masked_is_left_alone() {
    for (line, _) in masked() {
        let once = cleaned(&line);
        assert_eq!(cleaned(&once), once);
    }
}

#[test]
fn most_ordinary_lines_cost_one_search() {
    let masker = masker();
    let state = MaskState::default();
    let log = "2026-11-21T10:00:00Z INFO app: GET /healthcheck 200 in 3 ms, https://example.com/path?page=2\n".repeat(100);
    assert!(masker.is_clean(&state, log.as_bytes()));
}

#[test]
fn every_rule_is_counted_under_its_name() {
    let masker = masker();
    for (line, _) in masked() {
        let _ = masker.clean(&mut MaskState::default(), &line);
    }
    let counts = masker.counts();
    let names: Vec<&str> = counts.iter().map(|(name, _)| *name).collect();
    for name in RULES.iter().map(|rule| rule.name).chain([SECRET, PRIVATE_KEY, URL, OWN]) {
        assert!(names.contains(&name), "no positive for `{name}`");
    }
    assert_eq!(counts.iter().find(|(name, _)| *name == SECRET), Some(&(SECRET, 2)));
}

#[test]
fn literals_are_long_enough_to_be_rare() {
    for rule in RULES {
        assert!(rule.literals.iter().all(|literal| literal.len() >= 4), "a literal of `{}` is too short to be rare", rule.name);
    }
}

fn key_lines() -> Vec<String> {
    let mut lines = vec![sample(&["-----BEGIN OPENSSH PRIVATE", " KEY-----"])];
    lines.extend((0..20).map(|number| format!("{:A<64}", format!("b3BlbnNza{number}/+"))));
    lines.push("c2hvcnQ=".to_owned());
    lines.push(sample(&["-----END OPENSSH PRIVATE", " KEY-----"]));
    lines
}

fn line_by_line(lines: &[String]) -> String {
    let (masker, mut state) = (masker(), MaskState::default());
    lines.iter().map(|line| masker.clean(&mut state, line).into_owned() + "\n").collect()
}

#[test]
fn a_key_over_many_lines_is_masked_to_its_end_whatever_stands_before_each_line() {
    for prefix in ["", "  ", "2026-11-21 app[7]: ", "> "] {
        let mut lines: Vec<String> = key_lines().into_iter().map(|line| format!("{prefix}{line}")).collect();
        lines.push(format!("{prefix}the key is written"));
        let out = line_by_line(&lines);
        assert!(!out.contains("b3Blbn") && !out.contains("c2hvcnQ"), "{out}");
        assert!(out.ends_with("the key is written\n"), "{out}");
        assert_eq!(out.lines().count(), lines.len());
    }
    let event = key_lines().join("\n") + "\nwritten";
    assert_eq!(cleaned(&event), "***(private-key)\nwritten");
}

#[test]
fn a_beginning_without_an_end_hides_no_log() {
    let mut lines: Vec<String> = key_lines().into_iter().take(3).collect();
    lines.extend(["server started on port 80".to_owned(), "server is well".to_owned(), "password=hunter2".to_owned()]);
    let out = line_by_line(&lines);
    // The first of them might have been the short last line of the key.
    let rest = "server started on port ***(private-key)\nserver is well\npassword=***(assignment)\n";
    assert!(out.ends_with(rest), "{out}");
    let endless: Vec<String> = key_lines().into_iter().take(1).chain(std::iter::repeat_n("word".to_owned(), 1000)).collect();
    assert!(line_by_line(&endless).matches("word\n").count() > 500);
}

#[test]
fn builtin_rules_can_be_switched_off_and_secrets_cannot() {
    let redactor = Redactor::new();
    let masker = Masker::new(redactor.clone(), &[], false).unwrap();
    redactor.learn(&Secret::new("learned-later"));
    let line = "password=hunter2 learned-later";
    assert_eq!(masker.clean(&mut MaskState::default(), line), "password=hunter2 ***");
}

#[test]
fn patterns_that_cannot_be_masks_are_refused() {
    for (pattern, why) in [("(", "unclosed group"), ("x*", "it matches everything"), (r"a\z", "`$`"), (r"\p{L}", "Unicode")] {
        let problem = pattern_problem(pattern).unwrap_or_default();
        assert!(problem.contains(why), "{problem}");
    }
    assert_eq!(pattern_problem(r"\\A[0-9]+$"), None);
}
