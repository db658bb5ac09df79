"""One behaviour, one folder: a machine, the real binary, and what the folder expects.

A case folder holds `playbook.yaml` and, as needed: `case.yaml` (settings, below), `outside.sh` (run in a copy of the folder, outside of
the machine, whose programs it does not need: it has no git), `before.sh` (makes the machine as it is found, run
inside it), `daemons.sh` (starts what was running already; returns when it is up), `beside.py` (a server outside of the machine that is
reached over its loopback; says `up` when it is), `between.sh` (what happens to the machine between
the first run and the second), `check.sh` (looks at the result from inside; must end 0), and the expected `plan.txt`, `run.txt` and
`after.txt`. `UPDATE=1` writes the expected files anew; read the difference before you commit it. A script that several cases share is a
symbolic link to the one of the first.

A folder whose `case.yaml` says `refused: true` holds a playbook that no command accepts: `check.txt` is what `agent check` says.

Settings: `arguments` (for every command), `run_arguments` (for `agent run` only), `run_exit` (0), `plan_exit` (10), `always` (why the second run does something),
`location` (what the commands are given instead of `playbook.yaml`),
`secrets` (name: value, given with --secrets-from), `systemd` (true: the machine is booted), `side_by_side` (true: what steps say is sorted), `uncut` (why the run is not cut short),
`timeout` (seconds, 60).
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Union

import cut
import yaml
from booted import Booted, Power
from chroot import Chroot

STATE = "var/lib/bootstrap-agent"
Machine = Union[Booted, Chroot]
# An account that owns nothing.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Case:
    """A case folder and the machine as it is found."""

    def __init__(self, folder: Path, binary: Path, base: List[Path], power: Power):
        self.folder = folder
        settings = folder / "case.yaml"
        self.settings: Dict = yaml.safe_load(settings.read_text()) or {} if settings.exists() else {}
        self.secrets: Dict[str, object] = self.settings.get("secrets", {})
        self.timeout = float(self.settings.get("timeout", 60))
        # Overlays cannot stand on another overlay, so not below the checkout.
        self._work = Path(tempfile.mkdtemp(prefix="bootstrap-agent-case-", dir="/var/tmp"))
        self._work.chmod(0o755)
        self._power = power
        self._machines: List[Machine] = []
        self._made = 0
        try:
            self._lower = self._prepare(binary, base)
        except BaseException:
            self.close()
            raise

    def _prepare(self, binary: Path, base: List[Path]) -> List[Path]:
        files = self._work / "files"
        (files / "usr/local/bin").mkdir(parents=True)
        try:
            os.link(binary, files / "usr/local/bin/agent")
        except OSError:
            shutil.copy(binary, files / "usr/local/bin/agent")
        shutil.copytree(self.folder, files / ".case")
        if (self.folder / "outside.sh").exists():
            subprocess.run(["sh", "-eu", "outside.sh"], cwd=files / ".case", check=True, stdin=subprocess.DEVNULL, capture_output=True)
        if self.secrets:
            (files / ".case/secrets.yaml").write_text(yaml.safe_dump(self.secrets))
        lower = [files, *base]
        if (self.folder / "before.sh").exists():
            machine = Chroot(self._work / "before", lower)
            try:
                self._script(machine, "before.sh")
            finally:
                machine.close()
            lower = [machine.upper, *lower]
        return lower

    def close(self) -> None:
        """Removes every machine of the case."""
        for machine in self._machines:
            machine.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def fresh(self) -> Machine:
        """The machine as it is found."""
        self._made += 1
        directory = self._work / f"machine-{self._made}"
        booted = self.settings.get("systemd")
        machine = self._power.launch(self._lower, directory) if booted else Chroot(directory, self._lower)
        self._machines.append(machine)
        if (self.folder / "beside.py").exists():
            machine.beside([sys.executable, "beside.py"], self._work / "files/.case")
        if (self.folder / "daemons.sh").exists():
            self._script(machine, "daemons.sh")
            machine.is_as_found()
        return machine

    def gone(self, machine: Machine) -> None:
        """This one is not needed any more."""
        self._machines.remove(machine)
        machine.close()

    def script(self, machine: Machine, name: str) -> None:
        """Runs a script of the folder inside, if there is one."""
        if (self.folder / name).exists():
            self._script(machine, name)

    def _script(self, machine: Machine, name: str) -> None:
        # Daemons keep an output open; a file can be left to them, a pipe would be waited for.
        log = Path(machine.upper).parent / f"{name}.log"
        with open(log, "w+") as output:
            done = subprocess.run(
                machine.command(["sh", "-eu", f"/.case/{name}"]), stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=300,
            )
        assert done.returncode == 0, f"{name} failed:\n{log.read_text()}"

    def agent(self, *options: str, command: str = "run") -> List[str]:
        """The agent's command line."""
        given = [str(argument) for argument in self.settings.get("arguments", [])]
        if command == "run":
            given += self.settings.get("run_arguments", [])
            given += ["--secrets-from", "/.case/secrets.yaml"] if self.secrets else []
        return ["agent", command, *options, *given, f"/.case/{self.settings.get('location', 'playbook.yaml')}"]

    def values(self) -> List[str]:
        """Every secret value that the redactor searches for."""
        def leaves(value: object) -> Iterator[str]:
            if isinstance(value, dict):
                for inner in value.values():
                    yield from leaves(inner)
            else:
                yield str(value)

        return [value for value in leaves(self.secrets) if len(value) >= 8]

    def expect(self, name: str, text: str) -> Optional[str]:
        """Compares with the expected file; `UPDATE=1` writes it. Returns what differs."""
        path = self.folder / name
        if os.environ.get("UPDATE") == "1":
            path.write_text(text)
            return None
        wanted = path.read_text() if path.exists() else ""
        return None if wanted == text else different(name, wanted, text)

    def in_order(self, text: str) -> str:
        """What a run said. Of steps that run side by side nobody knows which one speaks first, so their lines are sorted."""
        return "".join(sorted(text.splitlines(keepends=True))) if self.settings.get("side_by_side") else text

    def cut_after(self, machine: Machine, nth: int) -> bool:
        """Runs until the nth change is being made or the nth step has ended, then kill -9. False: it ended before."""
        # Booting takes longer than all the rest: there only the changes count.
        return cut.after(machine.command(self.agent("--json")), nth, self.timeout, endings=not self.settings.get("systemd"))


def different(what: str, wanted: str, found: str) -> str:
    """How a text is not what it should be."""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), f"{what}, expected", f"{what}, found", lineterm="")
    return "\n".join(lines)


def steady(text: str) -> str:
    """Output without what differs from run to run: durations, digests of this run, process ids."""
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|s)\b", "N s", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "DATE", text)
    text = re.sub(r"\.bootstrap-agent\.[0-9a-f]+", ".bootstrap-agent.RANDOM", text)
    text = re.sub(r"\(pid \d+\)|process \d+", "process N", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.M)
