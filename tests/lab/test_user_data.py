"""`agent user-data`: what it prints is executed as it was printed, by cloud-init, on instances for which something goes wrong."""

import textwrap

import pytest
from instance import bootstrap
from instance.command import run
from scenario import answers, calls, hits, until
from simulator import s1

pytestmark = pytest.mark.full

PLAYBOOK = """
version: 1
name: worst-case
lifecycle: { group: IaC-Prod, hook: lifecycle-hook, timeout: 450s }
vars: { greeting: { required: true }, place: nowhere }
steps:
  - file: { path: /srv/greeting, content: "{{ greeting }} {{ place }}" }
"""
# Whatever a shell could make something of.
GREETING = "it's \"worth\" $HOME `reboot` \\ ; ü @SHA256@"
WAITS = {"role": s1.ROLE, "group": s1.GROUP}


@pytest.fixture
def account(lab, aws, binary, tmp_path):
    """The agent and the playbook in their bucket; gives a function that prints user-data for them."""
    s1.create(aws, desired=0)
    local = tmp_path / "playbook.yaml"
    local.write_text(textwrap.dedent(PLAYBOOK))
    bootstrap.publish(lab, binary, local)

    def printed(*options: str, agent: str = bootstrap.agent(binary)) -> str:
        command = [binary.resolve(), "user-data", local, "--at", bootstrap.location(local), "--binary", agent]
        return run([*command, "--set", "greeting=hello", *options]).stdout

    printed.local = local
    return printed


def output(machine) -> str:
    return machine.read("/var/log/cloud-init-output.log")


def gave_up(machine, aws, why: str) -> str:
    """It says why on the console and that nobody answers the hook, and that is so. Returns all that it said."""
    machine.wait_for_cloud_init()
    said = output(machine)
    machine.poweroff()
    console = aws.console(machine.name)
    assert f"this instance has not bootstrapped: {why}" in console, console[-3000:]
    assert "no agent runs here that could answer the lifecycle hook; only its timeout will" in console
    assert aws.instance(machine.name)["lifecycle_state"] == "Pending:Wait" and answers(aws, machine.name) == []
    aws.replacement(s1.GROUP, False)
    aws.advance(s1.HEARTBEAT + 1)
    assert answers(aws, machine.name) == ["ABANDON by timeout"]
    return said


def test_the_worst_case_that_ends_well(account, aws, launch, binary, tmp_path):
    """No credentials for more than ten seconds; then S3 is slow, fails, and breaks off, and off again behind what had arrived."""
    values = tmp_path / "prod.yaml"
    values.write_text("place: 'here: #1'\n")
    script = account("--vars", str(values), "--set", f"greeting='{GREETING.replace(chr(39), chr(39) * 2)}'")
    assert len(script) < 8000
    fetch = {"service": "s3", "action": "GetObject", "name": "*/agent/*"}
    rules = [
        aws.fault("error503", count=1, **fetch), aws.fault("truncate", skip=1, count=2, **fetch),
        aws.fault("latency", seconds=3, count=2, **fetch),
    ]
    machine = launch(script, credentials_after=100_000, **WAITS)
    log = machine.upper / "var/log/cloud-init-output.log"
    waiting = "no credentials of it yet; trying again in 8 s"
    until(lambda: log.exists() and waiting in log.read_text(errors="replace"), 180, "tries without credentials")
    aws.attach(machine.name, credentials_after=0)
    machine.wait_for_cloud_init(seconds=300)
    said = output(machine)
    assert answers(aws, machine.name) == ["CONTINUE by call"], said
    assert all(hits(aws, rule) for rule in rules), said
    assert machine.read("/srv/greeting") == f"{GREETING} here: #1"
    # What had arrived was not fetched again.
    asked = [call["params"].get("Range", "") for call in calls(aws, "GetObject", name="*/agent/*") if call["status"] != 503]
    assert len(asked) == 3 and asked[0] in ("", "bytes=0-") and asked[1] != asked[2] and all(asked[1:]), asked
    # All of it signed with the role's keys, and the playbook is the one that was here.
    assert "#sha256=" in script and all(call["access_key"].startswith("ASIA") for call in calls(aws, "GetObject"))


def test_another_agent_than_was_printed_never_runs(account, aws, launch):
    machine = launch(account("--sha256", "0" * 64), **WAITS)
    gave_up(machine, aws, "`s3://project-artifacts/agent/")
    assert "has sha256" in aws.console(machine.name) and len(calls(aws, "GetObject", name="*/agent/*")) == 3


def test_an_agent_that_is_not_there(account, aws, launch):
    machine = launch(account("--patience", "5s", agent="s3://project-artifacts/agent/none"), **WAITS)
    gave_up(machine, aws, "`s3://project-artifacts/agent/none` cannot be fetched: curl: (22)")
    assert "error: 404" in aws.console(machine.name)


def test_a_role_that_never_comes(account, aws, launch):
    machine = launch(account("--patience", "5s"), group=s1.GROUP, role=s1.ROLE, credentials_after=100_000)
    gave_up(machine, aws, "`s3://project-artifacts/agent/")
    assert "the instance has no role, or no credentials of it yet" in aws.console(machine.name)


def test_a_role_that_may_not_read_the_agent(account, aws, launch):
    aws.policy(s1.ROLE, {"Version": "2012-10-17", "Statement": []})
    machine = launch(account("--patience", "5s"), **WAITS)
    assert "403 means that the role lacks s3:GetObject" in gave_up(machine, aws, "`s3://project-artifacts/agent/")


def test_a_playbook_that_was_changed_after_it_was_pinned(account, aws, launch):
    script = account()
    s1.put_objects(aws, {bootstrap.location(account.local).removeprefix("s3://"): b"version: 1\nsteps: []\n"})
    machine = launch(script, **WAITS)
    assert "it was changed after it was pinned" in gave_up(machine, aws, "the playbook was not installed")


def test_a_part_between_others(account, aws, launch):
    """As Terraform's `cloudinit_config` and others combine it with a cloud-config."""
    config = "Content-Type: text/cloud-config\nMIME-Version: 1.0\n\n#cloud-config\nwrite_files: [{ path: /srv/beside, content: there }]\n"
    parts = "".join(f"--BOUNDARY\n{part}\n" for part in (config, account("--format", "mime")))
    whole = f'Content-Type: multipart/mixed; boundary="BOUNDARY"\nMIME-Version: 1.0\n\n{parts}--BOUNDARY--\n'
    machine = launch(whole, **WAITS)
    machine.wait_for_cloud_init(seconds=180)
    assert answers(aws, machine.name) == ["CONTINUE by call"], output(machine)
    assert machine.read("/srv/beside") == "there" and machine.read("/srv/greeting") == "hello nowhere"
