"""S3, the bastion host: who may pass, who may not, and its end."""

import subprocess

import pytest
from instance.command import run

from . import laws
from .booted import boot, changed
from .system import System

pytestmark = pytest.mark.full

UNITS = ("ssh.service", "bastion-end.timer")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two operators' keys, by name."""
    folder = tmp_path_factory.mktemp("operators")
    for name in ("first", "second"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name])
    return {name: folder / name for name in ("first", "second")}


@pytest.fixture(scope="module")
def bastion(lab, binary, keys):
    system = System(
        "bastion", role="bastion", options=("--set", "lifetime=6h"),
        parameters={"/bastion/authorized-keys": keys["first"].with_suffix(".pub").read_text()},
    )
    with boot(lab, binary, system) as booted:
        yield booted


def test_the_dry_run_told_the_truth(bastion):
    laws.the_dry_run_told_the_truth(bastion)


def test_an_operator_passes_through(bastion, keys):
    # To a port of the lab's network that an operator could not reach otherwise: what they speak with there is their business.
    answer = through(bastion, keys["first"])
    assert answer.returncode == 0 and "200 OK" in answer.stdout and '"ready": true' in answer.stdout, answer


def test_nobody_else_does(bastion, keys):
    assert "Permission denied (publickey)" in through(bastion, keys["second"]).stderr
    assert "Permission denied (publickey)" in ssh(bastion, keys["first"], "root").stderr
    password = ssh(bastion, keys["first"], "jump", "-o", "PubkeyAuthentication=no")
    assert "Permission denied (publickey)" in password.stderr
    session = ssh(bastion, keys["first"], "jump")
    assert session.returncode == 1 and "not available" in session.stdout, session


def test_who_came_is_in_the_logs(bastion):
    laws.the_logs_arrive(bastion, {"/aws/ec2/bastion": 90}, {"/aws/ec2/bastion": "Accepted publickey for jump"})


def test_the_second_run_has_nothing_to_do(bastion):
    with bastion.restarts(*UNITS) as restarted:
        laws.the_second_run_has_nothing_to_do(bastion)
    assert restarted == set()


def test_other_keys_are_let_in_and_nobody_is_thrown_out(bastion, keys):
    bastion.aws.boto("ssm").put_parameter(
        Name="/bastion/authorized-keys", Value=keys["second"].with_suffix(".pub").read_text(), Type="String", Overwrite=True,
    )
    with bastion.restarts(*UNITS) as restarted:
        done = bastion.run()
    assert done.code == 0 and changed(done) == {"keys"} and restarted == set(), (done, restarted)
    assert "200 OK" in through(bastion, keys["second"]).stdout
    assert "Permission denied" in through(bastion, keys["first"]).stderr


def test_the_policy_is_what_it_needs(bastion):
    laws.the_policy_is_what_it_needs(bastion)


def test_it_ends_itself_when_its_time_is_up(bastion):
    """The last of this file: it ends the host."""
    assert "OnBootUSec=6h" in bastion.sh("systemctl show --property=TimersMonotonic bastion-end.timer")
    up = float(bastion.sh("systemctl show --property=UserspaceTimestampMonotonic --value").strip()) / 1e6
    now = float(bastion.machine.read("/proc/uptime").split()[0])
    lifetime = int(now - up) + 60
    done = bastion.run("--set", f"lifetime={lifetime}s")
    assert done.code == 0 and changed(done) == {"end-timer"}, done
    assert bastion.machine.running(), "it ended before its time"
    assert bastion.machine.wait_until_off(300) == "stopped"
    # In order, and by nobody else: the service of the timer ran.
    assert "This host's time is up" in bastion.machine.console() or "Ends this host" in bastion.machine.console()


# With nothing of this machine's own configuration.
OPTIONS = ["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10"]


def ssh(bastion, key, user: str, *options: str, request: str = "", command=("true",)) -> subprocess.CompletedProcess:
    """One attempt to log in, from beside the instance."""
    argv = ["ssh", *OPTIONS, "-i", key, *options, f"{user}@{bastion.machine.address}", *command]
    return run(bastion.lab.network.inside(*argv), check=False, timeout=60, input=request)


def through(bastion, key) -> subprocess.CompletedProcess:
    """A request to the simulator by way of the bastion."""
    aws = bastion.lab.network.aws
    request = f"GET /_lab/health HTTP/1.1\r\nHost: {aws}\r\nConnection: close\r\n\r\n"
    return ssh(bastion, key, "jump", "-W", f"{aws}:4566", request=request, command=())
