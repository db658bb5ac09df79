"""The way over: the Ansible playbook of the bench, imported as it is, brings an instance into service. Nothing is added by hand: its
lifecycle call stands in the user-data around it, and the agent makes that call by itself."""

import json

import pytest
from instance import bootstrap, paths
from instance.command import run
from scenario import answers

ANSIBLE = paths.REPOSITORY / "tests" / "bench" / "ansible" / "playbook.yaml"
UNIT = "background-removal.service"
# What `ansible.sh` gives to `ansible-playbook` with `-e`.
GIVEN = ("--set", f"bucket={bootstrap.BUCKET}", "--set", "installer=pip", "--set", "instance_id=unused")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def imported(binary, tmp_path_factory):
    """The playbook that comes of it, and the report's last line."""
    path = tmp_path_factory.mktemp("imported") / "imported.yaml"
    report = run([binary.resolve(), "import", *GIVEN, "--json", "--output", path, ANSIBLE]).stdout
    return path, [json.loads(line) for line in report.splitlines()]


@pytest.fixture(scope="module")
def machine(lab, binary, imported):
    """An instance that bootstrapped itself with it."""
    aws = lab.aws.control()
    aws.clear_faults()
    aws.reset()
    it = bootstrap.launch(lab, binary, imported[0], options=())
    try:
        it.wait_for_cloud_init(seconds=420)
        assert answers(aws, it.name), f"{it.read('/var/log/cloud-init-output.log')[-4000:]}\n{it.why()}"
        yield it
    finally:
        it.destroy()


def test_all_of_it_is_translated(imported):
    *lines, share = imported[1]
    assert [line for line in lines if line["became"] == "left_out"] == []
    assert share["tasks"] == {"translated": 16, "all": 16}


def test_the_instance_is_in_service(machine, lab):
    assert lab.aws.control().instance(machine.name)["lifecycle_state"] == "InService", machine.why()
    assert answers(lab.aws.control(), machine.name) == ["CONTINUE by call"]


def test_the_machine_is_what_the_ansible_playbook_wished_for(machine):
    answer = machine.exec(["curl", "--silent", "--fail", "http://localhost:8000/healthcheck"]).stdout
    assert json.loads(answer) == {"status": "ok"}
    assert machine.exec(["systemctl", "is-enabled", UNIT]).stdout == "enabled\n"
    modes = machine.exec(["stat", "--format=%a %U:%G", "/home/ubuntu/tcc/.env", "/home/ubuntu/.ssh/deploy_key"]).stdout
    assert modes == "600 ubuntu:ubuntu\n" * 2
    assert f"APP_SECRET={bootstrap.SECRET}" in machine.read("/home/ubuntu/tcc/.env").replace('"', "").replace("'", "")


def test_a_second_run_has_nothing_to_do(machine, imported):
    words = f"agent run {bootstrap.location(imported[0])}"
    again = machine.exec(["systemd-run", "--quiet", "--pipe", "--wait", "--setenv=HOME=/root", "sh", "-c", words], check=False)
    assert again.returncode == 0 and "nothing to do" in again.stdout + again.stderr, again
