"""The agent in an instance: playbooks go in, runs happen, and what they said comes out."""

import json
import shutil
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from . import processes
from .command import LabError
from .machine import Machine

PROGRAM = "/usr/local/bin/agent"
STATE = "/var/lib/bootstrap-agent"
PLAYBOOK = "/root/playbook.yaml"


class Run:
    """One run that is over: its exit code and everything it said."""

    def __init__(self, code: int, out: str, err: str, seconds: float):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds
        self.events: List[dict] = [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    @property
    def said(self) -> str:
        """Everything, for assertions on words."""
        return f"{self.out}{self.err}"

    def of(self, kind: str) -> List[dict]:
        """The events of one kind."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def endings(self) -> Dict[str, str]:
        """How each step ended, by label."""
        return {event["label"]: event["ending"] for event in self.of("step_finished")}

    def failure(self, label: str) -> str:
        """Why a step failed or cannot be told, as one text."""
        (reason,) = [event["reason"] for event in self.of("step_finished") if event["label"] == label]
        if not reason:
            return ""
        parts = [*reason["doing"], *reason["because"], *reason["last_lines"], reason["hint"] or "", reason["place"] or ""]
        return "\n".join(parts)

    @property
    def verdicts(self) -> List[str]:
        """What was said about the lifecycle action."""
        return [event["text"] for event in self.of("lifecycle")]

    def __repr__(self) -> str:
        told = "\n".join(_words(event) for event in self.events) if self.events else self.out
        return f"exit {self.code} after {self.seconds:.1f} s\n{told}\n{self.err}"


def _words(event: dict) -> str:
    """An event in a line, for a failed test."""
    rest = {key: value for key, value in event.items() if key not in ("event", "at", "timing") and value is not None}
    return f"{event['event']}: " + " ".join(f"{key}={value}" for key, value in rest.items())


class Running:
    """A run under way. Its output goes to files, so that nobody has to read along."""

    def __init__(self, argv: List[str]):
        self._directory = Path(tempfile.mkdtemp(prefix="bootstrap-agent-run-"))
        self._began = time.monotonic()
        with open(self._directory / "out", "wb") as out, open(self._directory / "err", "wb") as err:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    @property
    def agent(self) -> int:
        """The agent, as the host numbers it: nsenter stays outside and has one child."""
        (child,) = processes.children(self._process.pid)
        return child

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def events(self) -> List[dict]:
        """What has happened so far; a line that is being written does not count yet."""
        whole, _, _ = (self._directory / "out").read_text(errors="replace").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait(self, seconds: float = 120) -> Run:
        """Waits for its end."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            said = (self._directory / "out").read_text() + (self._directory / "err").read_text()
            self.kill()
            raise LabError(f"the run was not over after {seconds:.0f} s\n{said}") from None
        spent = time.monotonic() - self._began
        run = Run(code, *((self._directory / name).read_text(errors="replace") for name in ("out", "err")), spent)
        shutil.rmtree(self._directory)
        return run

    def kill(self) -> None:
        """kill -9 for the agent itself. What it had started is left to whatever becomes of it."""
        for child in processes.children(self._process.pid):
            processes.send(child)
        self._process.wait(10)

    def until(self, done: Callable[[List[dict]], bool], seconds: float = 60) -> None:
        """Waits until the events so far are as wished."""
        end = time.monotonic() + seconds
        while not done(self.events()):
            if time.monotonic() > end or not self.alive():
                raise LabError(f"it did not come to that\n{self.wait(1)!r}")
            time.sleep(0.02)


class Agent:
    """The agent of one instance."""

    def __init__(self, machine: Machine, environment: Dict[str, str]):
        self.machine = machine
        self._environment = environment

    def put(self, playbook: str, path: str = PLAYBOOK) -> str:
        """Writes a playbook into the instance."""
        self.machine.exec(["tee", path], input=textwrap.dedent(playbook))
        return path

    def run(self, playbook: str, *options: str, seconds: float = 120, **more: object) -> Run:
        """Puts the playbook there and runs it to its end."""
        return self.start(playbook, *options, **more).wait(seconds)

    def start(
        self, playbook: str, *options: str, trigger: str = "manual", json: bool = True, path: str = PLAYBOOK,
        user: Optional[str] = None, environment: Optional[Dict[str, str]] = None, under: Sequence[str] = (),
    ) -> Running:
        """Puts the playbook there and starts a run of it, `under` another program that starts it in its turn."""
        self.put(playbook, path)
        words = ["run", *(["--json"] if json else []), "--trigger", trigger, *options, path]
        return Running(self.machine.inside(self.command(words, environment, under), user))

    def run_at(self, location: str, *options: str, seconds: float = 120) -> Run:
        """Runs the playbook that is at this location."""
        return Running(self.machine.inside(self.command(["run", "--json", *options, location]))).wait(seconds)

    def check(self, location: str, *options: str) -> subprocess.CompletedProcess:
        """`agent check` of the playbook that is at this location."""
        return self.machine.exec(self.command(["check", *options, location]), check=False)

    def command(self, words: List[str], environment: Optional[Dict[str, str]] = None, under: Sequence[str] = ()) -> List[str]:
        """The agent's command line, in the environment that systemd gives to the services of the instance."""
        variables = {**self._environment, **(environment or {})}
        return ["env", *[f"{name}={value}" for name, value in variables.items()], *under, PROGRAM, *words]

    def install(self, playbook: str, *options: str) -> Running:
        """`agent install`, which follows the boot run to its verdict."""
        return self.install_at(self.put(playbook), *options)

    def install_at(self, location: str, *options: str) -> Running:
        """The same with the playbook that is at this location."""
        return Running(self.machine.inside(self.command(["install", "--playbook", location, *options])))

    def status(self) -> dict:
        """The record of the last run."""
        return json.loads(self.machine.exec(self.command(["status", "--json"]), check=False).stdout)

    def exists(self, path: str) -> bool:
        """Whether there is such a file in the instance."""
        return self.machine.exec(["test", "-e", path], check=False).returncode == 0
