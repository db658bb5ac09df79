"""The packages on a real machine: dpkg and rpm install, upgrade and remove them, and what is left is what shall be left."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from instance import paths
from instance.agent import PROGRAM
from scenario import until

pytestmark = pytest.mark.full

UNITS = ["bootstrap-agent.service", "bootstrap-agent-converge.service", "bootstrap-agent-logs.service", "bootstrap-agent.timer"]
# Waits until it is let go; what comes after it is written by a helper, the agent started once more as somebody else.
PLAYBOOK = """
version: 1
name: packaged
steps:
  - command: { script: "until [ -e /root/go ]; do sleep 0.2; done; touch /srv/went", creates: /srv/went }
  - file: { path: /home/ubuntu/made, owner: ubuntu, content: "by the package\\n" }
"""
# What an upgrade must not do to a run that is under way.
MAIN = ["systemctl", "show", "--value", "--property", "MainPID", "bootstrap-agent.service"]
# Everything but what the package managers and systemd keep for themselves, and what the playbook makes.
FILES = (
    "find /etc /usr /opt /root /run/systemd/system /var/lib /var/spool ! -type d ! -path '/var/lib/dpkg/*' ! -path '/var/lib/rpm/*'"
    " ! -path '/var/lib/systemd/*' ! -path '/usr/lib/sysimage/*' ! -path '/root/*' | sort"
)


@pytest.fixture(scope="module")
def packages(binary, tmp_path_factory):
    """The packages of this binary, and the same as a second revision."""
    made = tmp_path_factory.mktemp("packages")
    # Debugging symbols are not what is tested.
    small = made / "agent"
    subprocess.run(["strip", "-o", small, binary], check=True)
    for revision in ("1", "2"):
        subprocess.run([paths.REPOSITORY / "packaging/packages", small, "--revision", revision, "--to", made], check=True, timeout=600)
    return made


@pytest.fixture
def machine(agent, packages):
    """A booted instance on which there is no agent yet, and the packages are at hand."""
    agent.machine.exec(["rm", PROGRAM])
    agent.machine.exec(["mkdir", "/srv/packages"])
    for package in packages.iterdir():
        with open(package, "rb") as content:
            subprocess.run(agent.machine.inside(["tee", f"/srv/packages/{package.name}"]), stdin=content, stdout=subprocess.DEVNULL, check=True)
    agent.put(PLAYBOOK)
    return agent.machine


def files(machine):
    return set(machine.exec(["sh", "-c", FILES]).stdout.splitlines())


def states(machine, question):
    return machine.exec(["systemctl", question, *UNITS], check=False).stdout.split()


def nothing_starts_by_itself(machine):
    assert states(machine, "is-enabled") == ["disabled", "static", "disabled", "disabled"]
    assert states(machine, "is-active") == ["inactive"] * 4


def installs_and_is_not_disturbed_by(machine, upgrade):
    """`agent install` from the packaged binary; the upgrade comes while the boot run is at work."""
    machine.exec(["/usr/bin/agent", "install", "--no-follow", "--playbook", "/root/playbook.yaml"])
    assert "ExecStart=/usr/bin/agent run --trigger boot" in machine.read("/etc/systemd/system/bootstrap-agent.service")
    assert machine.exec(["test", "-e", PROGRAM], check=False).returncode == 1
    until(lambda: machine.exec(["pgrep", "--full", "until . -e /root/go"], check=False).returncode == 0, 60, "the first step")
    before = machine.exec(MAIN).stdout
    assert before.strip() != "0"
    upgrade()
    assert machine.exec(MAIN).stdout == before
    machine.exec(["touch", "/root/go"])
    over = ["inactive", "failed"]
    until(lambda: states(machine, "is-active")[0] in over, 300, "the end of the boot run")
    assert states(machine, "is-active")[0] == "inactive", machine.exec(["journalctl", "-u", "bootstrap-agent"]).stdout
    assert machine.read("/home/ubuntu/made") == "by the package\n"
    assert states(machine, "is-enabled") == ["enabled", "static", "enabled", "enabled"]
    # And the new binary finds the records of the old one.
    status = json.loads(machine.exec(["/usr/bin/agent", "status", "--json"]).stdout)
    assert status["run"] and status["trigger"] == "boot", status


def is_gone(machine, before):
    """No unit, no link to one, no file of the package."""
    assert states(machine, "is-active") == ["inactive"] * 4
    left = files(machine) - before
    state = {name for name in left if name.startswith(("/var/lib/bootstrap-agent/", "/etc/bootstrap-agent/"))}
    assert left == state and state, left - state


def test_dpkg_installs_upgrades_removes_and_purges(machine):
    before = files(machine)
    install = lambda revision: machine.exec(["sh", "-ec", f"dpkg --install /srv/packages/*-{revision}_*.deb"], timeout=300)
    install(1)
    nothing_starts_by_itself(machine)
    assert machine.exec(["bootstrap-agent", "--version"]).stdout == machine.exec(["agent", "--version"]).stdout
    assert machine.exec(["dpkg", "--verify", "bootstrap-agent"]).stdout == ""
    assert machine.exec(["dpkg-query", "--show", "--showformat=${Conffiles}", "bootstrap-agent"]).stdout == ""
    completion = "source /usr/share/bash-completion/completions/agent && complete -p agent"
    assert "agent" in machine.exec(["bash", "-c", completion]).stdout

    installs_and_is_not_disturbed_by(machine, lambda: install(2))
    assert machine.exec(["dpkg-query", "--show", "--showformat=${Version}", "bootstrap-agent"]).stdout.endswith("-2")

    machine.exec(["dpkg", "--remove", "bootstrap-agent"])
    is_gone(machine, before)
    # Installed again, it finds its playbook and its records.
    install(2)
    nothing_starts_by_itself(machine)
    assert machine.exec(["agent", "run"]).returncode == 0
    machine.exec(["dpkg", "--purge", "bootstrap-agent"])
    assert files(machine) == before


def test_an_agent_that_is_not_the_package_s_keeps_its_units_and_its_records(machine):
    machine.exec(["sh", "-ec", "dpkg --install /srv/packages/*-1_*.deb && cp /usr/bin/agent /usr/local/bin/agent && touch /root/go"])
    machine.exec(["/usr/local/bin/agent", "install", "--playbook", "/root/playbook.yaml"])
    machine.exec(["dpkg", "--purge", "bootstrap-agent"])
    assert states(machine, "is-enabled") == ["enabled", "static", "enabled", "enabled"]
    assert states(machine, "is-active")[3] == "active"
    assert machine.exec(["/usr/local/bin/agent", "run"]).returncode == 0


def test_rpm_installs_upgrades_and_erases(machine):
    machine.exec(["sh", "-ec", "apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends rpm"], timeout=600)
    before = files(machine)
    # Debian's own packages are unknown to rpm, the shell among them.
    install = lambda revision: machine.exec(["sh", "-ec", f"rpm --upgrade --nodeps /srv/packages/*-{revision}.*.rpm"], timeout=300)
    install(1)
    nothing_starts_by_itself(machine)
    assert machine.exec(["rpm", "--verify", "--nodeps", "bootstrap-agent"]).stdout == ""
    assert machine.exec(["rpm", "--query", "--configfiles", "bootstrap-agent"]).stdout.split() == []
    installs_and_is_not_disturbed_by(machine, lambda: install(2))
    assert machine.exec(["rpm", "--query", "bootstrap-agent"]).stdout.split()[0].rsplit(".", 1)[0].endswith("-2")
    machine.exec(["rpm", "--erase", "bootstrap-agent"])
    is_gone(machine, before)


def test_packages_hold_what_the_binary_says(packages):
    (deb,) = packages.glob("*-1_*.deb")
    unpacked = packages / "unpacked"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, unpacked], check=True)
    agent = unpacked / "usr/bin/agent"
    for path in subprocess.run([agent, "artefacts"], check=True, text=True, stdout=subprocess.PIPE).stdout.split():
        place = unpacked / path
        content = subprocess.run([agent, "artefacts", path], check=True, stdout=subprocess.PIPE).stdout
        held = place.read_bytes() if place.exists() else subprocess.run(["gzip", "-dc", f"{place}.gz"], check=True, stdout=subprocess.PIPE).stdout
        assert held == content, path
    for page in (unpacked / "usr/share/man").rglob("*.gz"):
        drawn = subprocess.run(["man", "--warnings", "--local-file", page], text=True, capture_output=True, cwd=unpacked / "usr/share/man")
        assert drawn.returncode == 0 and drawn.stderr == "", f"{page}: {drawn.stderr}"
    shutil.rmtree(unpacked)


def test_the_bill_names_what_is_linked_and_its_licences(packages):
    (path,) = Path(packages).glob("*.cdx.json")
    bill = json.loads(path.read_text())
    names = {one["name"] for one in bill["components"]}
    assert {"clap", "rustls", "aws-sdk-ssm", "libgit2-sys", "rust-std"} <= names and not names & {"tempfile", "serde_derive", "cc"}
    for one in bill["components"]:
        assert one["licenses"], one["name"]
        assert one["name"] == "rust-std" or len(one["hashes"][0]["content"]) == 64, one["name"]
    known = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {name for one in bill["dependencies"] for name in [one["ref"], *one["dependsOn"]]} <= known
