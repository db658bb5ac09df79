"""What was measured of each system, and the table in `playbooks/README.md` that is made from it.

    tests/lab/test --full tests/lab/systems && tests/lab/python -m systems.gallery
"""

import json
import os
from pathlib import Path
from typing import Dict, List

from instance import paths

from .system import System

README = paths.REPOSITORY / "playbooks" / "README.md"
_BEGIN, _END = "<!-- measured: ", "<!-- end of what was measured -->"
_HEAD = ["| system | steps | load | power-on to healthy | second run | errors while a revision changes |", "|---|---:|---:|---:|---:|---:|"]


def record(name: str, **measured: float) -> None:
    """Keeps what was measured of one system, beside what is known of it already."""
    _folder().mkdir(parents=True, exist_ok=True)
    path = _folder() / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if "healthy" in measured:
        # Of the last five minutes: how many wanted a core meanwhile.
        measured["load"] = os.getloadavg()[1]
    path.write_text(json.dumps({**known, **measured}))


def rows(text: str) -> Dict[str, str]:
    """The rows of the table in a README, by system."""
    lines = text.partition(_BEGIN)[2].partition(_END)[0].splitlines()
    found = [line for line in lines if line.startswith("| [")]
    return {line.split("[", 1)[1].split("]", 1)[0]: line for line in found}


def rewritten(text: str) -> str:
    """A README with the rows that are known better now; the others stay."""
    head, mark, rest = text.partition(_BEGIN)
    note, _, table = rest.partition("\n")
    assert mark and _END in table, f"`{README.name}` has no place for the table"
    known = rows(text)
    for path in sorted(_folder().glob("*.json")):
        measured = json.loads(path.read_text())
        if {"healthy", "again"} <= set(measured):
            known[Path(path.stem).stem] = _row(path.stem, measured)
    lines: List[str] = [*_HEAD, *(known[name] for name in sorted(known))]
    return head + mark + note + "\n\n" + "\n".join(lines) + "\n\n" + _END + table.partition(_END)[2]


def _row(name: str, measured: Dict[str, float]) -> str:
    link = f"[{Path(name).stem}]({name}{'' if name.endswith('.yaml') else '/playbook.yaml'})"
    load = f"{measured['load']:.0f}" if "load" in measured else "–"
    errors = f"{measured['errors']:.1f} s" if "errors" in measured else "–"
    return f"| {link} | {_steps(name)} | {load} | {measured['healthy']:.0f} s | {measured['again']:.1f} s | {errors} |"


def _steps(name: str) -> int:
    return len(System(name).document["steps"])


def _folder() -> Path:
    return paths.cache() / "lab" / "systems"


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text()))
