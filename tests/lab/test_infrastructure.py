"""packaging/: the templates say what the agent prints and the playbook means, and an instance of the stack bootstraps itself."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import hcl2
import pytest
import yaml
from cfnlint.decode.cfn_yaml import loads
from instance import bootstrap, paths
from instance.command import run
from scenario import answers, until

PACKAGING = paths.REPOSITORY / "packaging"
TERRAFORM = PACKAGING / "terraform"
PLAYBOOK = paths.REPOSITORY / "playbooks" / "background-removal.yaml"
IMAGE = "ami-0abcdef1234567890"


@pytest.fixture(scope="module")
def asked(binary):
    """What the agent is asked, for the template and in the tests."""
    return [PLAYBOOK, "--at", bootstrap.location(PLAYBOOK), "--binary", bootstrap.agent(binary), *bootstrap.OPTIONS]


@pytest.fixture(scope="module")
def rendered(binary, asked, tmp_path_factory):
    """The template with what the agent prints."""
    path = tmp_path_factory.mktemp("cloudformation") / "group.yaml"
    path.write_text(run(["env", f"AGENT={binary.resolve()}", PACKAGING / "cloudformation" / "render", *asked]).stdout)
    return path


@pytest.fixture(scope="module")
def template(rendered):
    """As CloudFormation reads it."""
    return loads(rendered.read_text())


def playbook():
    """What it says of its surroundings."""
    return yaml.safe_load(PLAYBOOK.read_text())


def lint(*files: Path) -> subprocess.CompletedProcess:
    return subprocess.run([Path(sys.executable).with_name("cfn-lint"), *files], capture_output=True, text=True, check=False)


def test_templates_pass_the_linter(rendered, tmp_path):
    judged = lint(rendered, PACKAGING / "ssm" / "converge.yaml")
    assert (judged.returncode, judged.stdout) == (0, ""), judged.stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(rendered.read_text().replace("HttpTokens: required", "HttpTokens: perhaps"))
    assert lint(wrong).returncode != 0, "the linter finds nothing"


def test_user_data_and_policy_are_what_the_agent_prints(binary, asked, template):
    data = template["Resources"]["Template"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]
    assert data == run([binary.resolve(), "user-data", *asked]).stdout
    policy = json.dumps(template["Resources"]["Policy"]["Properties"]["PolicyDocument"])
    plain = json.loads(re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", policy))
    assert plain == json.loads(run([binary.resolve(), "iam-policy", *asked]).stdout)
    assert policy.count("Fn::Sub") == json.dumps(plain).count("parameter/") + policy.count("log-group") + policy.count("autoScalingGroup:")


def test_the_defaults_are_those_of_the_playbook(template):
    default = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
    said = playbook()
    name, hook, logs = said["name"], said["lifecycle"], said["logs"]
    assert default["PlaybookName"] == name
    assert (default["GroupName"], default["HookName"], f"{default['HookTimeout']}s") == (hook["group"], hook["hook"], hook["timeout"])
    assert default["LogGroupName"] == logs["group"].replace("{{ name }}", name) and f"{default['LogRetention']}d" == logs["retention"]
    assert f"ssm:{default['SecretParameter']}" in said["secrets"].values()


def metrics_of_the_agent() -> dict:
    """Metric names in the source, and the dimension each file gives them."""
    source = paths.REPOSITORY / "src"
    runs, shipper = (source / "engine" / "metrics.rs").read_text(), (source / "logs" / "figures" / "report.rs").read_text()
    names = {name: "Playbook" for name in re.findall(r'name: "(\w+)", unit', runs)}
    names |= {name: "LogGroup" for name in re.findall(r'metric\("(\w+)",', shipper)}
    assert len(names) > 8 and 'name: "Playbook"' in runs
    return names


def test_alarms_watch_metrics_that_exist(template):
    alarms = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    known = metrics_of_the_agent()
    assert len(alarms) >= 5
    for alarm in alarms:
        (dimension,) = alarm["Dimensions"]
        assert (alarm["Namespace"], dimension["Name"]) == ("BootstrapAgent", known[alarm["MetricName"]]), alarm


# -- Terraform: without its registry, as far as that goes ---------------------------------------------------------------------------


def terraform():
    """Its blocks by kind: each a pair of labels and body."""
    blocks = {}
    for path in sorted(TERRAFORM.glob("*.tf")):
        for kind, found in hcl2.loads(path.read_text()).items():
            if kind != "__comments__":
                blocks.setdefault(kind, []).extend(found)
    return blocks


def labels(block: dict, depth: int) -> tuple:
    """`resource "a" "b"` has two."""
    name = next(key for key in block if not key.startswith("__"))
    return (name.strip('"'),) + (labels(block[name], depth - 1) if depth > 1 else ())


def test_terraform_refers_only_to_what_is_declared():
    blocks = terraform()
    declared = {f"var.{labels(one, 1)[0]}" for one in blocks["variable"]}
    declared |= {".".join(labels(one, 2)) for one in blocks["resource"]}
    declared |= {".".join(("data", *labels(one, 2))) for one in blocks["data"]}
    declared |= {f"local.{name}" for one in blocks["locals"] for name in one if not name.startswith("__")}
    text = re.sub(r"^ *#.*$", "", "\n".join(path.read_text() for path in TERRAFORM.glob("*.tf")), flags=re.MULTILINE)
    used = set(re.findall(r"\b(?:var|local)\.\w+", text))
    used |= set(re.findall(r"\b(?:data\.)?aws_\w+\.\w+", text))
    assert len(used) > 20
    assert used <= declared, used - declared
    assert {name for name in declared if name.startswith("var.")} <= used, "a variable that changes nothing"


def test_terraform_says_what_cloudformation_says(template):
    blocks = terraform()
    variables = {labels(one, 1)[0]: next(iter(one.values())) for one in blocks["variable"]}
    plain = {name: str(body.get("default", "")).strip('"') for name, body in variables.items()}
    same = {
        "playbook": "PlaybookName", "group": "GroupName", "hook": "HookName", "hook_timeout": "HookTimeout", "log_group": "LogGroupName",
        "log_retention": "LogRetention", "instance_type": "InstanceType", "min_size": "MinSize", "max_size": "MaxSize",
        "slow_bootstrap": "SlowBootstrap", "alarm_topic": "AlarmTopic", "systems_manager": "SystemsManager",
    }
    parameters = template["Parameters"]
    assert {name: plain[name].lower() for name in same} == {name: str(parameters[of]["Default"]).lower() for name, of in same.items()}
    assert {variables[name]["description"].strip('"') for name in same} == {parameters[of]["Description"] for of in same.values()}
    text = (TERRAFORM / "alarms.tf").read_text()
    resources = template["Resources"].values()
    alarms = [one["Properties"] for one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]
    told = re.findall(
        r'description = "(.*)"\n *metric *= "(\w+)"\n *dimensions *= local\.of_(\w+)\n *statistic *= "(\w+)"\n *period *= (\d+)\n *periods *= (\d+)', text
    )
    of = {"playbook": "Playbook", "logs": "LogGroup"}
    assert [(d, m, of[x], s, int(p), int(n)) for d, m, x, s, p, n in told] == [
        (a["AlarmDescription"], a["MetricName"], a["Dimensions"][0]["Name"], a["Statistic"], a["Period"], a["EvaluationPeriods"]) for a in alarms
    ]


# -- Systems Manager ----------------------------------------------------------------------------------------------------------------


def converge(tmp_path, code: int, **parameters: str) -> tuple:
    """Runs the document's script as Systems Manager would, with a stand-in for the agent that ends with this code."""
    document = loads((PACKAGING / "ssm" / "converge.yaml").read_text())["Resources"]["Converge"]["Properties"]["Content"]
    (script,) = document["mainSteps"][0]["inputs"]["runCommand"]
    for name, parameter in document["parameters"].items():
        value = parameters.get(name, parameter["default"])
        assert value in parameter["allowedValues"], "what goes into a shell is one of few words"
        script = script.replace("{{ %s }}" % name, value)
    assert "{{" not in script
    stand_in, asked = tmp_path / "bootstrap-agent", tmp_path / "asked"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >{asked}\nexit {code}\n')
    stand_in.chmod(0o755)
    script = script.replace("/usr/local/bin/agent", "/nonexistent/agent")
    done = subprocess.run(["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    return asked.read_text().strip(), done.returncode


def test_the_document_converges_or_reports(tmp_path, binary):
    assert converge(tmp_path, 10) == ("run --dry-run --online", 0), "to find something is no failure of a report"
    assert converge(tmp_path, 1) == ("run --dry-run --online", 1)
    assert converge(tmp_path, 0, DryRun="false") == ("run --trigger timer", 0)
    assert converge(tmp_path, 3, DryRun="false", Trigger="manual") == ("run --trigger manual", 0), "another run does the work"
    assert converge(tmp_path, 1, DryRun="false")[1] == 1
    # Each line is one that the agent understands.
    for line in ("run --dry-run --online", "run --trigger timer", "run --trigger manual"):
        run([binary.resolve(), *line.split(), "--help"])


# -- a real account: only as far as that goes without one ------------------------------------------------------------------------------

ACCOUNT = paths.REPOSITORY / "tests" / "aws" / "run"
# What makes something, and what removes it.
MADE = {
    "s3 mb": "s3 rb", "ssm put-parameter": "ssm delete-parameter", "cloudformation deploy": "cloudformation delete-stack",
    "autoscaling put-warm-pool": "autoscaling delete-warm-pool",
}


@pytest.fixture
def account(tmp_path, binary):
    """Runs the script with a stand-in for the AWS CLI; gives its exit code, what it said, and what it asked for."""
    asked = tmp_path / "asked"

    def start(*options: str, aws: str, until_asked: str = "") -> tuple:
        stand_in = tmp_path / "aws"
        stand_in.write_text(f'#!/bin/sh\necho "$*" >>{asked}\n{aws}\n')
        stand_in.chmod(0o755)
        asked.write_text("")
        (tmp_path / "tmp").mkdir(exist_ok=True)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path)}
        process = subprocess.Popen(
            [ACCOUNT, *options, "--binary", binary.resolve()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )
        if until_asked:
            until(lambda: until_asked in asked.read_text(), 120, until_asked)
            # A shell that was itself started with the interrupt ignored, as in the background, could not trap that.
            os.killpg(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=120)
        assert not list((tmp_path / "tmp").iterdir()), "it leaves files"
        return process.returncode, said, asked.read_text()

    return start


def test_scripts_pass_the_linter(tmp_path):
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = [ACCOUNT, PACKAGING / "cloudformation" / "render", paths.REPOSITORY / "tests" / "fleet" / "run"]
    judged = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert (judged.returncode, judged.stdout) == (0, ""), judged.stdout
    (tmp_path / "wrong").write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert subprocess.run([shellcheck, tmp_path / "wrong"], capture_output=True, check=False).returncode != 0


def test_the_account_script_spends_nothing_unless_told(account):
    code, said, asked = account("--dry-run", aws="exit 99")
    assert (code, asked) == (0, ""), said
    doing, _, removing = said.partition("removing what was made")
    for make, remove in MADE.items():
        assert f"+ aws {make} " in doing and f"+ aws {remove} " in removing, said
    assert "+ aws logs delete-log-group " in removing and "+ aws ssm send-command " in doing
    code, said, asked = account(aws="exit 99")
    assert (code, asked) == (2, "") and "--dry-run" in said


def test_the_account_script_removes_what_it_made(account):
    fails = 'case "$*" in "cloudformation deploy"*) exit 1 ;; *) echo answer ;; esac'
    code, said, asked = account("--yes", aws=fails)
    assert code != 0 and "put-warm-pool" not in asked, said
    after = asked.partition("cloudformation deploy")[2]
    assert all(remove in after for remove in MADE.values()) and "STILL THERE" not in said, asked
    # What cannot be removed is named.
    stays = fails.replace("*) echo", '"s3 rb"*) exit 1 ;; *) echo')
    code, said, _ = account("--yes", aws=stays)
    assert code != 0 and re.search(r"STILL THERE.*: bucket bootstrap-agent-test-\d+$", said, re.MULTILINE), said


def test_the_account_script_removes_what_it_made_when_it_is_interrupted(account):
    hangs = 'case "$*" in "cloudformation deploy"*) sleep 300 ;; *) echo answer ;; esac'
    code, said, asked = account("--yes", aws=hangs, until_asked="cloudformation deploy")
    assert code == 130, said
    after = asked.partition("cloudformation deploy")[2]
    assert all(remove in after for remove in MADE.values()), asked
    # Made and wanted: then it is said how it is removed.
    code, said, asked = account("--yes", "--keep", aws=hangs, until_asked="cloudformation deploy")
    assert code == 130 and "delete-stack" not in asked and "To remove it" in said


# -- the stack, for real as far as the simulator goes -----------------------------------------------------------------------------------


@pytest.mark.full
def test_an_instance_of_the_stack_bootstraps_itself(lab, aws, binary, rendered):
    """Launch template, hook and policy are the stack's; moto has no alarms and no checks of the linter's kind in CloudFormation."""
    ssm, ec2, stacks = (aws.boto(name) for name in ("ssm", "ec2", "cloudformation"))
    for name, value in bootstrap.parameters(lab).items():
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    ssm.put_parameter(Name="/images/ubuntu", Value=IMAGE, Type="String")
    bootstrap.publish(lab, binary, PLAYBOOK)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    firewall = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    given = {"Image": "/images/ubuntu", "Subnets": subnet, "SecurityGroups": firewall}
    stacks.create_stack(
        StackName="background-removal", TemplateBody=rendered.read_text(), Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )
    (stack,) = stacks.describe_stacks(StackName="background-removal")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    said = playbook()["lifecycle"]
    (hook,) = aws.boto("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=said["group"])["LifecycleHooks"]
    assert (hook["LifecycleHookName"], f"{hook['HeartbeatTimeout']}s", hook["DefaultResult"]) == (said["hook"], said["timeout"], "ABANDON")
    aws.replacement(said["group"], False)
    (member,) = aws.group(said["group"])["instances"]
    instance = member["instance"]
    assert aws.instance(instance)["lifecycle_state"] == "Pending:Wait", "it was launched before its hook"
    # Its role may do what the stack says, and nothing else.
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    policy = aws.boto("iam").get_role_policy(RoleName=outputs["Role"], PolicyName="bootstrap-agent")["PolicyDocument"]
    profile = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["IamInstanceProfile"]["Arn"]
    aws.policy(profile.rpartition("/")[2], policy)
    machine = lab.host(instance)
    try:
        machine.wait_for_cloud_init(seconds=420)
        said = textwrap.indent(machine.read("/var/log/cloud-init-output.log")[-3000:], "  ")
        assert answers(aws, instance) == ["CONTINUE by call"], said
        assert aws.instance(instance)["lifecycle_state"] == "InService"
        assert aws.journal(instance=instance, error="AccessDenied*") == []
        until(lambda: aws.logs("/aws/ec2/background-removal"), 60, "logs")
    finally:
        machine.destroy()
