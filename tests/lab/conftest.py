"""Fixtures for tests on real instances: `lab` for the session, `launch` for instances that go away with their test."""

import itertools

import pytest

from instance import lock, paths
from instance.lab import Lab


@pytest.fixture(scope="session")
def lab():
    """The lab named `test`: prepared root, network, simulator, Bitbucket's stand-in."""
    with lock.held(paths.lock("test"), "the lab `test`"):
        it = Lab("test")
        try:
            yield it.up()
        finally:
            it.down()


@pytest.fixture
def aws(lab):
    """The simulator's client, on an empty account."""
    control = lab.aws.control()
    control.clear_faults()
    control.reset()
    return control


@pytest.fixture
def launch(lab, aws, request):
    """Launches instances; each is gone when the test ends. A failed test shows their consoles."""
    launched = []

    def start(*arguments, **keywords):
        machine = lab.launch(*arguments, **keywords)
        launched.append(machine)
        return machine

    yield start
    failed = getattr(request.node, "failed", False)
    for machine in launched:
        if failed:
            request.node.add_report_section("call", f"console of {machine.name}", machine.why())
        machine.destroy()


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
