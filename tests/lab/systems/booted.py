"""A system's instance: what a dry-run on a twin said would happen, the boot that made it happen, and later runs."""

import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Set

from instance import bootstrap
from instance.agent import PROGRAM, STATE, Agent, Run
from instance.command import run
from instance.lab import Lab
from instance.machine import Machine
from scenario import QUICK, answers, until

from . import gallery
from .system import System

_SECRETS = "/run/secrets-of-the-lab.json"
_FACTS = "/run/facts-of-the-lab.json"


@dataclass
class Booted:
    """An instance that bootstrapped itself."""

    system: System
    lab: Lab
    machine: Machine
    # The dry-run on another instance, from the same image, before anything was done.
    plan: Run
    # When its power was switched on, in seconds since 1970.
    began: float
    # The events of the boot run.
    events: List[dict] = field(default_factory=list)
    # The agent that it was told to fetch.
    binary: Path = field(kw_only=True)

    @property
    def aws(self):
        """The simulator's client."""
        return self.lab.aws.control()

    @property
    def agent(self) -> Agent:
        """Runs of the agent in it."""
        return Agent(self.machine, self.lab.environment())

    @property
    def location(self) -> str:
        """The playbook, as `agent install` was told."""
        return bootstrap.location(self.system.playbook)

    def run(self, *options: str, seconds: float = 600) -> Run:
        """One more run of the playbook, as a person would start it."""
        return self.agent.run_at(self.location, *self.system.options, *options, seconds=seconds)

    def dry_run(self, *options: str) -> Run:
        """What a run would do now, for somebody who knows the secrets, may ask the servers, and lets the guards run."""
        return _dry_run(self.agent, self.system, *options)

    def publish(self, binary) -> None:
        """The playbook of today into the bucket, in the place of the one it started with."""
        bootstrap.publish(self.lab, binary, self.system.playbook)

    def get(self, url: str, *options: str) -> str:
        """What an address answers, asked from inside the instance."""
        return self.machine.exec(["curl", "--silent", "--show-error", "--fail", *options, url]).stdout

    def outside(self, *argv: str) -> str:
        """What a program beside the instance prints, such as a load balancer's question; nothing when it fails."""
        return run(self.lab.network.inside(*argv), check=False, timeout=60).stdout

    def sh(self, script: str, check: bool = True) -> str:
        """What a shell script says inside."""
        return self.machine.exec(["sh", "-c", script], check=check).stdout

    def logs(self, group: str) -> str:
        """Everything in a log group, as one text; nothing when there is no such group yet."""
        there = group in self.aws.log_groups()
        return "\n".join(event["message"] for event in self.aws.logs(group)) if there else ""

    @contextmanager
    def restarts(self, *units: str) -> Iterator[Set[str]]:
        """The set that is filled with those of the units that were restarted, stopped or started meanwhile."""
        before = self._invocations(units)
        restarted: Set[str] = set()
        yield restarted
        after = self._invocations(units)
        restarted.update(unit for unit in units if before[unit] != after[unit])

    def _invocations(self, units) -> Dict[str, str]:
        show = ["systemctl", "show", "--property=InvocationID,ActiveState,NRestarts"]
        return {unit: self.machine.exec([*show, unit]).stdout for unit in units}


def changed(run: Run) -> Set[str]:
    """The labels of the steps that a run changed."""
    return {label for label, ending in run.endings.items() if ending == "changed"}


@contextmanager
def boot(lab: Lab, binary, system: System, created: bool = False) -> Iterator[Booted]:
    """Makes the account (unless it is), asks a twin what would happen, boots the instance from user-data, and waits for its verdict."""
    if not created:
        system.create(lab)
    bootstrap.publish(lab, binary, system.playbook)
    with bare(lab, binary, system.role) as twin:
        plan = _dry_run(twin, system)
    script = bootstrap.user_data(binary, bootstrap.location(system.playbook), system.options)
    began = time.time()
    machine = lab.launch(script, group=system.group or None, role=system.role)
    try:
        # User-data follows the run, so it is over when there is a verdict, or when there will never be one.
        machine.wait_for_cloud_init(seconds=system.patience)
        events = boot_run(machine)
        ended = [event for event in events if event["event"] == "run_finished"]
        assert ended and ended[-1]["converged"], f"{machine.read('/var/log/cloud-init-output.log')[-6000:]}\n{machine.why()}"
        if system.hook:
            until(lambda: answers(lab.aws.control(), machine.name), 30, "the answer to the hook")
        gallery.record(system.name, healthy=ended[-1]["at"] / 1000 - began)
        yield Booted(system, lab, machine, plan, began, events, binary=binary)
    finally:
        machine.destroy()


@contextmanager
def bare(lab: Lab, binary, role: str = "instance") -> Iterator[Agent]:
    """An instance from the same image on which nothing happened yet: the agent is there, cloud-init is not."""
    machine = lab.launch(None, role=role, files=QUICK, boot=False)
    try:
        target = machine.upper / PROGRAM.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(binary, target)
        target.chmod(0o755)
        machine.boot().wait()
        yield Agent(machine, lab.environment())
    finally:
        machine.destroy()


def boot_run(machine: Machine) -> List[dict]:
    """The record of the first run there was."""
    records = machine.exec(["sh", "-c", f"ls {STATE}/runs/* 2>/dev/null || true"]).stdout.split()
    text = machine.read(records[0]) if records else ""
    return [event for event in map(json.loads, text.splitlines()) if "event" in event]


def _dry_run(agent: Agent, system: System, *options: str) -> Run:
    # In memory only: nobody looks for secrets on this disk later and finds the lab's own file.
    agent.machine.exec(["tee", _SECRETS], input=json.dumps(system.secrets(system.overrides())))
    # A dry-run gives the metadata service no more than 50 ms, which on a busy machine is a matter of luck.
    agent.machine.exec(["tee", _FACTS], input=agent.machine.exec(agent.command(["facts", "--json"])).stdout)
    given = ["--dry-run", "--online", "--run-guards", "--secrets-from", _SECRETS, "--facts", _FACTS]
    try:
        return agent.run_at(bootstrap.location(system.playbook), *system.options, *given, *options)
    finally:
        agent.machine.exec(["rm", _SECRETS, _FACTS])
