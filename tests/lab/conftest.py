"""Fixtures for tests on real instances: `lab` for the session, `launch` for instances that go away with their test."""

import itertools
import os
import shutil
from pathlib import Path

import pytest
import scenario

from instance import lock, paths
from instance.agent import PROGRAM, Agent
from instance.binary import built
from instance.lab import Lab
from simulator import s1

# Another lab's name here lets a second session run beside the first one.
LAB = os.environ.get("LAB", "test")


@pytest.fixture(scope="session")
def lab():
    """The lab named `test`: prepared root, network, simulator, Bitbucket's stand-in."""
    with lock.held(paths.lock(LAB), f"the lab `{LAB}`"):
        it = Lab(LAB)
        try:
            yield it.up()
        finally:
            it.down()


@pytest.fixture
def aws(lab, request):
    """The simulator's client, on an empty account. A fault that never struck fails the test that made it: it has shown nothing."""
    control = lab.aws.control()
    control.reset()
    yield control
    if not getattr(request.node, "failed", False):
        assert control.idle_faults() == [], "these faults never struck"


@pytest.fixture
def launch(lab, aws, request):
    """Launches instances; each is gone when the test ends. A failed test shows their consoles."""
    launched = []

    def start(*arguments, **keywords):
        put = lab.host if keywords.get("instance") else lab.launch
        machine = put(*arguments, **keywords)
        launched.append(machine)
        return machine

    yield start
    failed = getattr(request.node, "failed", False)
    for machine in launched:
        if failed:
            request.node.add_report_section("call", f"console of {machine.name}", machine.why())
        machine.destroy()


@pytest.fixture(scope="session")
def binary():
    """The agent under test: the one `AGENT_BINARY` names, or the checkout's."""
    return Path(os.environ["AGENT_BINARY"]) if "AGENT_BINARY" in os.environ else built()


@pytest.fixture
def equip(lab, launch, binary):
    """Launches an instance on which the agent is there and nothing else: no cloud-init, no user-data, one user `ubuntu`.

    What it is given goes to `launch`; with `instance=` the machine is for an instance that exists in the simulator.
    """

    def start(*arguments, boot=True, image=None, **keywords):
        machine = launch(*arguments, boot=False, image=image, files=scenario.QUICK, **keywords)
        target = machine.upper / PROGRAM.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(binary, target)
        target.chmod(0o755)
        if boot:
            machine.boot().wait()
            if not image:
                machine.exec(["useradd", "--create-home", "--shell", "/bin/bash", "ubuntu"])
        return Agent(machine, lab.environment())

    return start


@pytest.fixture
def member(aws, equip):
    """Launches an instance that waits for its hooks. The group does not replace it: one instance is enough here."""

    def start(**account):
        s1.create(aws, desired=0, **account)
        agent = equip(group=s1.GROUP, role=s1.ROLE)
        aws.replacement(s1.GROUP, False)
        return agent

    return start


@pytest.fixture
def agent(equip):
    """The agent on a booted instance in no group."""
    return equip()


@pytest.fixture
def instance(launch):
    """One booted instance in no group and without user-data."""
    machine = launch()
    machine.wait()
    return machine


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets a fixture know whether its test failed, and hands the consoles to the report."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed = report.failed


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """Every test's time: a lab that gets slower should be seen."""
    reports = itertools.chain(*(terminalreporter.stats.get(key, []) for key in ("passed", "failed")))
    for report in sorted(reports, key=lambda one: -one.duration):
        if report.when == "call":
            terminalreporter.write_line(f"{report.duration:7.2f} s  {report.nodeid}")
