use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

const PLAYBOOK: &str = "version: 1\nname: shop\nvars: { environment: prod }\n\
    secrets:\n  key: ssm:/shop/key:3\n  env: ssm:/shop/{{ environment }}/*\n  db: secretsmanager:db#password\n  tls: s3://keys/tls.pem\n\
    lifecycle: { group: Web, hook: launching, timeout: 450s }\n\
    logs:\n  group: /aws/{{ name }}\n  retention: 7d\n  sources:\n  - { file: /a }\n  - { unit: b.service, group: \"other-{{ instance.region }}\", retention: 1d }\n\
    steps:\n\
    - file: { path: /srv/tool, source: \"s3://tools/{{ os.arch }}/tool\" }\n\
    - file: { path: /srv/dev, source: s3://tools/dev }\n  when: environment == 'dev'\n\
    - file: { path: /srv/other, source: s3://tools/other }\n  when: os.id == 'debian'\n\
    - file: { path: /srv/tls, source: s3://keys/tls.pem }\n";

fn made(text: &str, words: &[&str]) -> (serde_json::Value, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    let words = ["iam-policy", path.as_str()].into_iter().chain(words.iter().copied());
    let arguments = <Line as clap::Parser>::try_parse_from(words).unwrap().arguments;
    let playbook = Playbook::load(&arguments.playbook, &arguments.overrides.overrides()).unwrap();
    let (document, notes) = policy(&arguments, &playbook, values(&arguments).unwrap()).unwrap();
    (serde_json::to_value(document).unwrap(), notes)
}

fn statements(document: &serde_json::Value) -> Vec<(String, String, String)> {
    let list = |value: &serde_json::Value| {
        value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let all = document["Statement"].as_array().unwrap().iter();
    all.map(|one| (one["Sid"].as_str().unwrap().to_owned(), list(&one["Action"]), list(&one["Resource"]))).collect()
}

#[test]
fn every_part_of_a_playbook_has_its_statement() {
    let (document, notes) =
        made(PLAYBOOK, &["--at", "s3://artifacts/p.yaml#sha256=00", "--binary", "s3://artifacts/agent", "--kms-key", "k"]);
    let statements = statements(&document);
    let parameter = "arn:aws:ssm:placeholder-region:placeholder-account:parameter";
    let secret = "arn:aws:secretsmanager:placeholder-region:placeholder-account:secret:db-??????";
    let logs = "arn:aws:logs:placeholder-region:placeholder-account:log-group";
    let both = format!("{logs}:/aws/shop:* {logs}:other-placeholder-region:*");
    let expected = [
        ("ReadAgent", "s3:GetObject", "arn:aws:s3:::artifacts/agent".to_owned()),
        ("ReadPlaybook", "s3:GetObject", "arn:aws:s3:::artifacts/p.yaml".to_owned()),
        ("ReadParameters", "ssm:GetParameters", format!("{parameter}/aws/reference/secretsmanager/db {parameter}/shop/key")),
        ("ReadParametersBelow", "ssm:GetParametersByPath", format!("{parameter}/shop/prod")),
        ("ReadManagedSecrets", "secretsmanager:GetSecretValue", secret.to_owned()),
        ("ReadSecretObjects", "s3:GetObject", "arn:aws:s3:::keys/tls.pem".to_owned()),
        (
            "Steps",
            "s3:GetObject",
            "arn:aws:s3:::tools/aarch64/tool arn:aws:s3:::tools/other arn:aws:s3:::tools/x86_64/tool".to_owned(),
        ),
        ("WriteLogs", "logs:CreateLogStream logs:PutLogEvents", both.clone()),
        ("MakeLogGroups", "logs:CreateLogGroup", both.clone()),
        ("KeepLogs", "logs:PutRetentionPolicy", both),
        (
            "AnswerHook",
            "autoscaling:CompleteLifecycleAction autoscaling:RecordLifecycleActionHeartbeat",
            "arn:aws:autoscaling:placeholder-region:placeholder-account:autoScalingGroup:*:autoScalingGroupName/Web".to_owned(),
        ),
        ("FindHook", "autoscaling:DescribeAutoScalingInstances autoscaling:DescribeLifecycleHooks", "*".to_owned()),
        ("UseKeys", "kms:Decrypt", "arn:aws:kms:placeholder-region:placeholder-account:key/k".to_owned()),
    ];
    let expected = expected.map(|(sid, action, resource)| (sid.to_owned(), action.to_owned(), resource));
    assert_eq!(statements, expected);
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn what_cannot_be_told_is_said() {
    let text = "version: 1\nsecrets: { a: ssm:/a }\nsteps:\n- id: c\n  command: { argv: [date], query: true }\n\
        - file: { path: /srv/x, source: \"s3://b/{{ steps.c.stdout }}\" }\n";
    let (document, notes) = made(text, &[]);
    let sids: Vec<String> = statements(&document).into_iter().map(|(sid, ..)| sid).collect();
    assert_eq!(sids, ["ReadParameters", "FindHook"]);
    for said in ["step 2", "no `lifecycle:`", "`--kms-key`", "`command` steps"] {
        assert!(notes.iter().any(|note| note.contains(said)), "{said}: {notes:?}");
    }
    assert_eq!(notes.len(), 4, "{notes:?}");
}
