"""One behaviour, one folder: a machine made of overlays, the real binary, and the laws that hold for every case.

A case folder holds `playbook.yaml` and, as needed: `case.yaml` (settings, below), `before.sh` (makes the machine as it is found, run
inside it), `check.sh` (looks at the result from inside; must end 0), and the expected `plan.txt`, `run.txt` and `after.txt`.
`UPDATE=1` writes the expected files anew; read the difference before you commit it.

Settings: `arguments` (for every command), `run_exit` (0), `plan_exit` (10), `always` (why the second run does something),
`secrets` (name: value, given with --secrets-from), `uncut` (why the run is not cut short), `timeout` (seconds, 60).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import tree
import yaml
from instance import layers
from instance.command import run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STATE = "var/lib/bootstrap-agent"


class Machine:
    """A root directory in which the agent runs: the prepared Debian below, what is written on top."""

    def __init__(self, directory: Path, lower: List[Path]):
        self.upper, self.root = directory / "upper", directory / "root"
        self.lower = lower
        layers.stack(lower, self.upper, directory / "work", self.root)
        for name, kind in (("proc", "proc"), ("sys", "sysfs")):
            run(["mount", "-t", kind, kind, self.root / name])
        run(["mount", "--bind", "/dev", self.root / "dev"])

    def close(self) -> None:
        """Takes the mounts away."""
        for name in ("dev", "sys", "proc", ""):
            subprocess.run(["umount", "--lazy", str(self.root / name)], check=False)

    def command(self, argv: List[str]) -> List[str]:
        """The command line that runs a program inside."""
        return ["chroot", str(self.root), "/usr/bin/env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", "AWS_EC2_METADATA_DISABLED=true",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9", *argv]

    def run(self, argv: List[str], timeout: float) -> subprocess.CompletedProcess:
        """Runs a program inside to its end."""
        return subprocess.run(self.command(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, errors="replace")


class Case:
    """A case folder and the machine as it is found."""

    def __init__(self, folder: Path, binary: Path, base: List[Path], work: Path):
        self.folder = folder
        settings = folder / "case.yaml"
        self.settings: Dict = yaml.safe_load(settings.read_text()) or {} if settings.exists() else {}
        self.secrets: Dict[str, object] = self.settings.get("secrets", {})
        self.timeout = float(self.settings.get("timeout", 60))
        self._work = work
        self._count = 0
        files = work / "files"
        (files / "usr/local/bin").mkdir(parents=True)
        shutil.copy(binary, files / "usr/local/bin/agent")
        shutil.copytree(folder, files / ".case")
        if self.secrets:
            (files / ".case/secrets.yaml").write_text(yaml.safe_dump(self.secrets))
        self._lower = [files, *base]
        before = folder / "before.sh"
        if before.exists():
            machine = self._machine("before", self._lower)
            try:
                done = machine.run(["sh", "-eu", "/.case/before.sh"], 300)
                assert done.returncode == 0, f"before.sh failed:\n{done.stdout}{done.stderr}"
            finally:
                machine.close()
            self._lower = [machine.upper, *self._lower]

    def _machine(self, name: str, lower: List[Path]) -> Machine:
        return Machine(self._work / name, lower)

    def fresh(self) -> Machine:
        """The machine as it is found."""
        self._count += 1
        return self._machine(f"machine-{self._count}", self._lower)

    def agent(self, *options: str) -> List[str]:
        """The agent's command line."""
        given = list(self.settings.get("arguments", []))
        if self.secrets:
            given += ["--secrets-from", "/.case/secrets.yaml"]
        return ["agent", "run", *options, *given, "/.case/playbook.yaml"]

    def values(self) -> List[str]:
        """Every secret value that the redactor searches for."""
        def leaves(value: object) -> Iterator[str]:
            if isinstance(value, dict):
                for inner in value.values():
                    yield from leaves(inner)
            else:
                yield str(value)

        return [value for value in leaves(self.secrets) if len(value) >= 8]

    def after(self, machine: Machine) -> str:
        """The tree that the run has made."""
        return "\n".join(tree.describe(machine.upper, machine.root, self.values())) + "\n"

    def expect(self, name: str, text: str) -> Optional[str]:
        """Compares with the expected file; `UPDATE=1` writes it. Returns what differs."""
        path = self.folder / name
        if os.environ.get("UPDATE") == "1":
            path.write_text(text)
            return None
        wanted = path.read_text() if path.exists() else ""
        return None if wanted == text else f"{name} differs:\n--- expected\n{wanted}\n+++ found\n{text}"

    def cut_after(self, machine: Machine, nth: int) -> bool:
        """Runs until the nth change was announced as being made or the nth step ended, then kill -9. False: it ended before."""
        process = subprocess.Popen(
            machine.command(self.agent("--json")), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        seen = 0
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            made = event.get("event") == "change" and event.get("applying")
            if made or event.get("event") == "step_finished":
                seen += 1
                if seen == nth:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    return True
        process.wait(self.timeout)
        return False


def steady(text: str) -> str:
    """Output without what differs from run to run: durations, digests of this run, process ids."""
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|s)\b", "N s", text)
    text = re.sub(r"\(pid \d+\)|process \d+", "process N", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


def workspace() -> Path:
    """A directory for overlays; they cannot stand on another overlay, so not below the checkout."""
    return Path(tempfile.mkdtemp(prefix="bootstrap-agent-case-", dir="/var/tmp"))
