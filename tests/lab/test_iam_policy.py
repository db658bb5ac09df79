"""`agent iam-policy`: with what it prints a run passes; without any one of its statements somebody is told which action is missing."""

import json
import textwrap
from pathlib import Path

import pytest
from instance.command import run
from scenario import answers, until
from simulator import s1

pytestmark = pytest.mark.full

LOCATION = "s3://artifacts/playbook.yaml"
GROUP = "/aws/ec2/everything"
PLAYBOOK = f"""
version: 1
name: everything
deadline: 25s
secrets:
  plain: ssm:/app/plain
  own_key: ssm:/app/own-key
  below: ssm:/app/env/*
  managed: secretsmanager:database#password
  object: s3://keys/tls.pem
lifecycle: {{ group: {s1.GROUP}, hook: {s1.HOOK}, timeout: 450s }}
logs: {{ group: {GROUP}, retention: 7d, sources: [{{ file: /var/log/app.log }}] }}
steps:
  - file: {{ path: /srv/tool, source: s3://artifacts/tool }}
  - file: {{ path: /srv/secrets, content: "{{{{ secrets.plain }}}}{{{{ secrets.own_key }}}}{{{{ secrets.managed }}}}{{{{ secrets.object }}}}" }}
"""


class Account:
    """What the playbook finds, and the policy printed for it."""

    def __init__(self, aws, binary: Path, local: Path):
        self.aws = aws
        s1.create(
            aws, desired=0, parameters={"/app/plain": "plain value", "/app/env/A": "value of A"},
            objects={"artifacts/playbook.yaml": PLAYBOOK.encode(), "artifacts/tool": b"tool", "keys/tls.pem": b"a certificate"},
        )
        key = aws.boto("kms").create_key()["KeyMetadata"]["KeyId"]
        aws.boto("ssm").put_parameter(Name="/app/own-key", Value="under a key of ours", Type="SecureString", KeyId=key)
        aws.boto("secretsmanager").create_secret(Name="database", SecretString=json.dumps({"password": "correct horse"}))
        local.write_text(textwrap.dedent(PLAYBOOK))
        place = ["--account", "123456789012", "--region", "us-east-1"]
        self.policy = json.loads(run([binary, "iam-policy", local, "--at", LOCATION, "--kms-key", key, *place]).stdout)

    def without(self, sid: str) -> None:
        """From now on the role lacks this statement."""
        kept = [statement for statement in self.policy["Statement"] if statement["Sid"] != sid]
        assert len(kept) == len(self.policy["Statement"]) - bool(sid)
        self.aws.policy(s1.ROLE, {**self.policy, "Statement": kept})

    def actions(self, sid: str):
        """What a statement is about."""
        return next(statement["Action"] for statement in self.policy["Statement"] if statement["Sid"] == sid)


@pytest.fixture
def account(aws, binary, tmp_path):
    return Account(aws, binary.resolve(), tmp_path / "playbook.yaml")


@pytest.fixture
def booted(aws, equip):
    """Runs the playbook as the boot service does (or lets it), on an instance that waits for its hook."""

    def start(install: bool = False):
        agent = equip(group=s1.GROUP, role=s1.ROLE)
        aws.replacement(s1.GROUP, False)
        agent.machine.exec(["sh", "-c", "echo a line > /var/log/app.log"])
        if install:
            return agent, agent.install_at(LOCATION, "--no-timer").wait(300)
        return agent, agent.run_at(LOCATION, "--trigger", "boot", seconds=300)

    return start


def denied(aws):
    return [call for call in aws.journal() if call["error"].startswith("AccessDenied")]


def test_with_the_policy_all_goes_well(account, aws, booted):
    account.without("")
    agent, done = booted()
    assert done.code == 0 and answers(aws, agent.machine.name) == ["CONTINUE by call"], done
    assert denied(aws) == []
    assert aws.log_groups() == {GROUP: {"retention": 7, "streams": [agent.machine.name]}}
    assert "correct horse" in agent.machine.read("/srv/secrets") and "under a key of ours" in agent.machine.read("/srv/secrets")


SIDS = [
    "ReadPlaybook", "ReadParameters", "ReadParametersBelow", "ReadManagedSecrets", "ReadSecretObjects", "Steps", "WriteLogs",
    "MakeLogGroups", "KeepLogs", "AnswerHook", "FindHook", "UseKeys",
]


def test_every_statement_is_taken_away_once(account):
    assert [statement["Sid"] for statement in account.policy["Statement"]] == SIDS


@pytest.mark.parametrize("sid", SIDS)
def test_a_statement_that_is_missing_is_missed(account, aws, booted, sid):
    account.without(sid)
    if sid == "FindHook":
        # Only who is told that nobody waits asks why.
        aws.pending_for(300)
    is_about_logs = "Log" in sid
    # Who ships logs goes on when the run is over.
    agent, done = booted(install=is_about_logs)
    until(lambda: denied(aws) or not is_about_logs, 120, "a denial")
    assert denied(aws), done
    # Logs that cannot be shipped never fail a run; a verdict that cannot be told is told by the next one.
    assert (done.code == 0) == (is_about_logs or "Hook" in sid), done
    def said():
        return done.said + agent.machine.exec(["journalctl", "--output=cat"]).stdout

    def named():
        return any(action in said() for action in account.actions(sid))

    until(lambda: named() or not is_about_logs, 60, "the name of the action")
    assert named(), said()[-5000:]
    if sid in ("ReadParameters", "UseKeys"):
        assert "/app/" in said() or ":key/" in said()
