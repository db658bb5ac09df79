"""What every fault has shown, as a table."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Dict, List

HEAD = ("fault", "lines", "lost", "twice", "at most", "peak MiB", "and")


@dataclass
class Row:
    """One fault. `twice`: lines that came again; `bound`: how many may, by what the shipper promises."""

    fault: str
    lines: int
    lost: int
    twice: int
    bound: int
    peak: float
    note: str = ""


class Account:
    """The rows of one session."""

    def __init__(self):
        self.rows: List[Row] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def text(self) -> str:
        return _table(_cells(row) for row in self.rows)

    def write(self, path: Path) -> None:
        """Puts the rows into the file; those of faults that were not played stay as they are."""
        known: Dict[str, tuple] = {}
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if line.startswith("| ")][1:]
            cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
            known = {cell[0]: cell for cell in cells}
        known.update({row.fault: _cells(row) for row in self.rows})
        ordered = sorted(known.values(), key=lambda cells: (_number(cells[0]), cells[0]))
        path.write_text(f"{INTRODUCTION}\n{_table(ordered)}\n")


INTRODUCTION = """# What the faults have shown

Made by `UPDATE=1 tests/lab/test --full tests/faults`; what each fault is stands in its test. `twice` counts lines that came again, and `at most`
how many may: what was on its way, or not yet recorded, when the process was killed or an answer was lost. The peak is the process's resident memory.
"""


def _cells(row: Row) -> tuple:
    fault, lines, lost, twice, bound, peak, note = astuple(row)
    return (fault, f"{lines:,}", str(lost), f"{twice:,}", f"{bound:,}", f"{peak:.1f}" if peak else "", note)


def _number(fault: str) -> int:
    digits = fault.split(" ")[0]
    return int(digits) if digits.isdigit() else 99


def _table(rows) -> str:
    rows = [HEAD, tuple("-" * len(name) for name in HEAD), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join(line(row) for row in rows)
