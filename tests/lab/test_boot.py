"""The lab itself: what every other test on an instance takes for granted."""

import time
from pathlib import Path

from scenario import until
from simulator import s1

USER_DATA = """#!/bin/sh
echo "user-data ran as $(id -un) with $AWS_ENDPOINT_URL" | tee /root/user-data-ran
"""


def test_systemd_is_the_first_process_and_reaches_running(instance):
    assert instance.wait() == "running"
    assert instance.exec(["cat", "/proc/1/comm"]).stdout.strip() == "systemd"
    assert instance.exec(["systemctl", "--failed", "--no-legend"]).stdout == ""


def test_the_image_has_what_a_cloud_image_has_and_no_more(instance):
    assert instance.exec(["id", "-u", "ubuntu"]).stdout.strip() == "1000"
    assert instance.exec(["sudo", "true"], user="ubuntu").returncode == 0
    missing = instance.exec(["sh", "-c", "for p in git pip3 nginx; do command -v $p; done; python3 -m venv /tmp/v"], check=False)
    assert missing.stdout.startswith("The virtual environment was not created") and missing.returncode == 1


def test_metadata_is_version_2_only_and_about_this_instance(instance, aws):
    curl = ["curl", "-s", "-o", "/dev/stdout", "-w", "\n%{http_code}"]
    url = "http://169.254.169.254/latest"
    assert instance.exec([*curl, f"{url}/meta-data/instance-id"]).stdout.endswith("\n401")
    token = instance.exec(["curl", "-sf", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60", f"{url}/api/token"]).stdout
    answer = instance.exec([*curl, "-H", f"X-aws-ec2-metadata-token: {token}", f"{url}/meta-data/instance-id"]).stdout
    assert answer == f"{instance.name}\n200"


def test_cloud_init_finds_ec2_and_runs_user_data_once(launch, lab):
    machine = launch(USER_DATA)
    said = machine.wait_for_cloud_init()
    assert "status: done" in said and "DataSourceEc2" in said
    assert machine.read("/root/user-data-ran") == f"user-data ran as root with {lab.aws.endpoint}\n"
    machine.exec(["rm", "/root/user-data-ran"])
    machine.reboot()
    machine.wait_for_cloud_init()
    assert machine.exec(["test", "-e", "/root/user-data-ran"], check=False).returncode == 1


def test_apt_and_pip_reach_their_registries(instance):
    instance.exec(["apt-get", "-q", "update"], timeout=300)
    instance.exec(["apt-get", "-q", "-y", "install", "--no-install-recommends", "python3-venv"], timeout=300)
    instance.exec(["python3", "-m", "venv", "/tmp/v"])
    instance.exec(["/tmp/v/bin/pip", "install", "--quiet", "h11==0.16.0"], timeout=300)
    assert instance.exec(["/tmp/v/bin/python", "-c", "import h11; print(h11.__version__)"]).stdout == "0.16.0\n"


def test_the_console_is_kept_here_and_by_the_simulator(instance, aws):
    instance.exec(["sh", "-c", "echo said on the console > /dev/console"])
    instance.poweroff()
    assert "said on the console" in instance.console()
    kept = aws.console(instance.name)
    assert "said on the console" in kept and "Power Off" in kept


def test_files_survive_a_power_cut_and_processes_do_not(instance):
    instance.exec(["sh", "-c", "echo kept > /root/file; systemd-run --unit=forever sleep infinity"])
    instance.crash()
    assert not instance.running()
    instance.boot()
    assert instance.wait() == "running"
    assert instance.read("/root/file") == "kept\n"
    assert instance.exec(["systemctl", "is-active", "forever"], check=False).stdout.strip() == "inactive"


def test_instances_live_side_by_side(launch):
    one, other = launch(), launch()
    assert (one.wait(), other.wait()) == ("running", "running")
    assert one.address != other.address
    for machine in (one, other):
        machine.exec(["systemd-run", "--unit=same", "sleep", "infinity"])
    one.exec(["systemctl", "stop", "same"])
    assert other.exec(["systemctl", "is-active", "same"]).stdout.strip() == "active"
    assert one.exec(["cat", "/etc/machine-id"]).stdout != other.exec(["cat", "/etc/machine-id"]).stdout


def test_the_disk_of_an_instance_is_an_image_for_another(launch):
    first = launch()
    first.wait()
    first.exec(["sh", "-c", "echo from the first > /root/file; rm /usr/bin/less"])
    first.poweroff()
    second = launch(image=first)
    assert second.wait() == "running"
    assert second.read("/root/file") == "from the first\n"
    assert second.exec(["test", "-e", "/usr/bin/less"], check=False).returncode == 1
    assert second.name in second.exec(["cloud-init", "query", "instance_id"]).stdout


def test_a_group_launches_and_its_hook_holds(launch, lab, aws):
    s1.create(aws, desired=0)
    machine = launch(group=s1.GROUP)
    machine.wait()
    assert lab.state(machine) == "Pending:Wait"


def test_the_deploy_key_reads_the_repository_and_nothing_else(lab, instance):
    instance.exec(["install", "-m", "0600", "/dev/stdin", "/run/key"], input=lab.bitbucket.deploy_key)
    ssh = ["ssh", "-i", "/run/key", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "git@bitbucket.org"]
    read = instance.exec([*ssh, "git-upload-pack 'team/project_name-api.git'"], check=False, input="0000")
    assert "refs/heads/main" in read.stdout
    assert "may only read" in instance.exec([*ssh, "git-receive-pack 'team/project_name-api.git'"], check=False, input="").stderr
    assert "may only read" in instance.exec([*ssh, "id"], check=False, input="").stderr


def test_a_wrong_host_key_is_seen(lab, instance):
    lab.bitbucket.wrong_host_keys()
    try:
        ssh = ["ssh", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "git@bitbucket.org"]
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in instance.exec(ssh, check=False).stderr
    finally:
        lab.bitbucket.listen()


def test_a_suspended_instance_stands_still(instance):
    instance.exec(["systemd-run", "--unit=count", "sh", "-c", "while :; do date +%s%N > /run/count; sleep 0.05; done"])
    # /proc shows the guest's files without asking any of its processes.
    count = f"/proc/{instance.leader()}/root/run/count"
    until(lambda: Path(count).exists(), 20, "the first count")
    instance.suspend()
    time.sleep(0.2)
    before = Path(count).read_text()
    time.sleep(0.5)
    assert Path(count).read_text() == before
    instance.resume()
    until(lambda: Path(count).read_text() not in ("", before), 20, "counting on")
