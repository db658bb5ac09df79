"""`agent doctor`: an instance that has all it needs, and every defect that was planted, each told by the check that is about it."""

import json
import shutil
from contextlib import contextmanager

import pytest
from instance.agent import PROGRAM, Agent
from scenario import QUICK, answers
from simulator import s1

pytestmark = pytest.mark.full

GROUP = "/aws/ec2/examined"
PLAYBOOK = f"""
version: 1
name: examined
vars: {{ group: {s1.GROUP}, hook: {s1.HOOK} }}
secrets: {{ key: ssm:/app/key, own: ssm:/app/own, env: ssm:/app/env/*, tls: s3://keys/tls.pem, db: "secretsmanager:db#password" }}
lifecycle: {{ group: "{{{{ group }}}}", hook: "{{{{ hook }}}}", timeout: 450s }}
logs: {{ group: {GROUP}, retention: 7d, sources: [{{ file: /var/log/app.log }}] }}
steps:
  - file: {{ path: /srv/tool, source: s3://artifacts/tool }}
"""
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# So that a metadata service that does not answer is a defect, and not somebody else's machine.
EVIDENT = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://169.254.169.254"}


class Patient:
    """An instance that waits for its hook, in an account that has all that the playbook names."""

    def __init__(self, lab, binary, heartbeat=s1.HEARTBEAT, **launch):
        self.aws = lab.aws.control()
        self.aws.clear_faults()
        self.aws.reset()
        s1.create(
            self.aws, desired=0, heartbeat=heartbeat, parameters={"/app/key": "a key", "/app/env/A": "a value"},
            objects={"artifacts/tool": b"tool", "keys/tls.pem": b"certificate"},
        )
        self.key = self.aws.boto("kms").create_key()["KeyMetadata"]["Arn"]
        self.aws.boto("ssm").put_parameter(Name="/app/own", Value="own", Type="SecureString", KeyId=self.key)
        self.aws.boto("secretsmanager").create_secret(Name="db", SecretString=json.dumps({"password": "correct horse"}))
        self.machine = lab.launch(None, files=QUICK, boot=False, **{"group": s1.GROUP, "role": s1.ROLE, **launch})
        self.aws.replacement(s1.GROUP, False)
        target = self.machine.upper / PROGRAM.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(binary, target)
        target.chmod(0o755)
        self.machine.boot().wait()
        self.agent = Agent(self.machine, lab.environment())
        self.location = self.agent.put(PLAYBOOK)

    def examined(self, *options, environment=None, within="60s"):
        """Exit code and findings; there is time enough, so that no answer is missed on a busy machine."""
        words = ["doctor", "--json", "--within", within, self.location, *options]
        done = self.machine.exec(self.agent.command(words, {**EVIDENT, **(environment or {})}), check=False, timeout=180)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def patient(lab, binary):
    it = Patient(lab, binary)
    try:
        yield it
    finally:
        it.aws.clear_faults()
        it.machine.destroy()


def test_a_machine_that_has_all_it_needs_and_keeps_it(patient):
    code, findings = patient.examined()
    assert code == 0 and all(finding["state"] in ("ok", "warning") for finding in findings), findings
    # How much room the disk of this lab has is nothing to be shown here.
    assert not [one for one in findings if one["state"] != "ok" and not one["check"].startswith("disk")], findings
    checks = {finding["check"] for finding in findings}
    assert {"metadata", "role", "clock", "way to ssm", "playbook", "secrets", "step 1", f"logs {GROUP}", "hook"} <= checks
    # The hook still waits, no event was stored, and no secret was said.
    assert answers(patient.aws, patient.machine.name) == []
    assert patient.aws.instance(patient.machine.name)["lifecycle_state"] == "Pending:Wait"
    assert patient.aws.logs(GROUP) == [] and patient.aws.log_groups()[GROUP]["retention"] == 7
    assert "correct horse" not in json.dumps(findings)


def test_for_a_person(patient):
    done = patient.machine.exec(patient.agent.command(["doctor", "--within", "60s", patient.location]))
    assert "ok       role " in done.stdout and done.stderr == "a run would find what it needs\n", done


def fault(kind, **rule):
    """A fault of the simulator, as long as it is in force."""

    @contextmanager
    def plant(patient):
        number = patient.aws.fault(kind, **rule)
        try:
            yield
            assert [one for one in patient.aws.faults() if one["id"] == number and one["hits"]], "the fault never struck"
        finally:
            patient.aws.clear_faults(number)

    return plant


def without(*actions):
    """A role that may do everything but this."""

    @contextmanager
    def plant(patient):
        services = ["s3:*", "ssm:*", "logs:*", "autoscaling:*", "kms:*", "secretsmanager:*"]
        every = {
            "logs:*": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutRetentionPolicy"],
            "autoscaling:*": ["autoscaling:Describe*", "autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:CompleteLifecycleAction"],
            "ssm:*": ["ssm:GetParameters", "ssm:GetParametersByPath"],
        }
        allowed = [action for service in services for action in every.get(service, [service]) if action not in actions]
        patient.aws.policy(s1.ROLE, {**ANYTHING, "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]})
        try:
            yield
        finally:
            patient.aws.policy(s1.ROLE, ANYTHING)

    return plant


def inside(do, undo):
    """Something about the machine."""

    @contextmanager
    def plant(patient):
        patient.machine.exec(["sh", "-c", do])
        try:
            yield
        finally:
            patient.machine.exec(["sh", "-c", undo])

    return plant


@contextmanager
def expired(patient):
    """The lab's time goes back, so that what a role is given now is over already."""
    patient.aws.advance(-7 * 3600)
    patient.aws.attach(patient.machine.name, role="another", credentials_after=0)
    try:
        yield
    finally:
        patient.aws.attach(patient.machine.name, role=s1.ROLE, credentials_after=0)
        patient.aws.advance(7 * 3600)


@contextmanager
def nothing(patient):
    yield


STATE = "mkdir -p /var/lib/bootstrap-agent && mount -t tmpfs -o {} none /var/lib/bootstrap-agent"
UMOUNT = "umount /var/lib/bootstrap-agent"
LOGS_AT = {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://no-such-host.invalid"}
NOBODY_AT = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
# What is planted, the check that tells it, the words it tells it with; options and environment of the command.
DEFECTS = {
    "the metadata service is away": (fault("reset", service="imds"), "metadata", "metadata service", (), {}),
    "the token never arrives, as behind a hop limit": (fault("hang", service="imds", action="PutToken"), "metadata", "hop limit", (), {}),
    "metadata access is switched off": (fault("error", service="imds", status=403, code="x"), "metadata", "switched off", (), {}),
    "the role's credentials have run out": (expired, "role", "ran out", (), {}),
    "the clock is wrong": (fault("skew", seconds=900, service="s3", action="ListBuckets"), "clock", "900 s behind", (), {}),
    "a name has no address": (nothing, "way to logs", "`no-such-host.invalid` has no address", (), LOGS_AT),
    "nobody takes a connection": (nothing, "way to s3", "NAT gateway or a VPC endpoint for `s3`", (), NOBODY_AT),
    "a disk is full": (inside(STATE.format("size=20m"), UMOUNT), "disk /var/lib/bootstrap-agent", "20 MiB free", (), {}),
    "a disk has no inodes": (inside(STATE.format("nr_inodes=50"), UMOUNT), "disk /var/lib/bootstrap-agent", "no more files", (), {}),
    "a disk is read-only": (inside(STATE.format("ro"), UMOUNT), "disk /var/lib/bootstrap-agent", "read-only", (), {}),
    "ssm:GetParameters": (without("ssm:GetParameters"), "secret ssm:/app/key", "`ssm:GetParameters` on `arn:", (), {}),
    "ssm:GetParametersByPath": (without("ssm:GetParametersByPath"), "secret ssm:/app/env/*", "`ssm:GetParametersByPath` on `arn:", (), {}),
    "kms:Decrypt": (without("kms:*"), "secret ssm:/app/own", "`kms:Decrypt`", (), {}),
    "secretsmanager:GetSecretValue": (without("secretsmanager:*"), "secret secretsmanager:db#password", "`secretsmanager:GetSecretValue`", (), {}),
    "s3:GetObject for a secret": (without("s3:*"), "secret s3://keys/tls.pem", "`s3:GetObject` on `arn:", (), {}),
    "s3:GetObject for a step": (without("s3:*"), "step 1", "`s3:GetObject` on `arn:aws:s3:::artifacts/tool`", (), {}),
    "logs:PutLogEvents": (without("logs:PutLogEvents"), f"logs {GROUP}", "`logs:PutLogEvents`", (), {}),
    "logs:PutRetentionPolicy": (without("logs:PutRetentionPolicy"), f"logs {GROUP}", "`logs:PutRetentionPolicy`", (), {}),
    "autoscaling:CompleteLifecycleAction": (
        without("autoscaling:CompleteLifecycleAction"), "answering the hook", "`autoscaling:CompleteLifecycleAction`", (), {}),
    "autoscaling:RecordLifecycleActionHeartbeat": (
        without("autoscaling:RecordLifecycleActionHeartbeat"), "answering the hook", "`autoscaling:RecordLifecycleActionHeartbeat`", (), {}),
    "autoscaling:DescribeAutoScalingInstances": (
        without("autoscaling:Describe*"), "hook", "`autoscaling:DescribeAutoScalingInstances`", (), {}),
    "a hook of another name": (nothing, "hook", f"no launch hook `typo`; it has `{s1.HOOK}`", ("--set", "hook=typo"), {}),
    "another group": (nothing, "hook", f"answers group `typo`, and this instance belongs to `{s1.GROUP}`", ("--set", "group=typo"), {}),
    "a playbook that is wrong": (inside("echo 'stpes: []' >> /root/playbook.yaml", "sed -i '$d' /root/playbook.yaml"), "playbook", "`stpes`", (), {}),
    "a parameter that is not there": (
        inside("sed -i s,/app/key,/app/kye, /root/playbook.yaml", "sed -i s,/app/kye,/app/key, /root/playbook.yaml"),
        "secret ssm:/app/kye", "there is no `ssm:/app/kye`", (), {}),
    "an object that is not there": (
        inside("sed -i s,artifacts/tool,artifacts/took, /root/playbook.yaml", "sed -i s,artifacts/took,artifacts/tool, /root/playbook.yaml"),
        "step 1", "s3://artifacts/took", (), {}),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_told_by_the_check_that_is_about_it(patient, defect):
    plant, check, words, options, environment = DEFECTS[defect]
    # Who is never answered asks until the time is over.
    within = "15s" if environment or check == "metadata" else "60s"
    with plant(patient):
        code, findings = patient.examined(*options, environment=environment, within=within)
    (found,) = [finding for finding in findings if finding["check"] == check]
    assert code == 1 and found["state"] == "problem", findings
    assert words in found["found"] + found.get("hint", ""), found


def test_what_does_not_answer_is_unknown_and_not_waited_for(patient):
    with fault("latency", seconds=30, service="ssm")(patient):
        code, findings = patient.examined(within="4s")
    unknown = [finding["check"] for finding in findings if finding["state"] == "unknown"]
    assert code == 1 and any(check == "playbook" or check.startswith("secret") for check in unknown), findings


@pytest.mark.parametrize("launch, check, words", [
    ({"credentials_after": 1_000_000}, "role", "attach an instance profile"),
    ({"group": None}, "hook", f"answers group `{s1.GROUP}`, and this instance belongs to none"),
    ({"heartbeat": 440}, "hook", "correct `lifecycle: { timeout: … }`"),
])
def test_a_launch_that_went_wrong(lab, binary, launch, check, words):
    patient = Patient(lab, binary, **launch)
    try:
        code, findings = patient.examined(within="15s")
        (found,) = [finding for finding in findings if finding["check"] == check]
        assert code == 1 and found["state"] == "problem" and words in found["found"] + found.get("hint", ""), findings
    finally:
        patient.machine.destroy()
