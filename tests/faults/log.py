"""A log as an application and its rotation write it: numbered lines, whatever file they are in by now."""

import gzip
import os
import shutil
from pathlib import Path

from shipper.lines import lines


class Log:
    """Lines of one source, from 0 on."""

    def __init__(self, path: Path, source: str):
        self.path, self.source = path, source
        self.written = 0

    def write(self, count: int) -> "Log":
        """Appends lines, as somebody who opens the file each time."""
        with self.path.open("ab") as file:
            self.write_to(file, count)
        return self

    def write_to(self, file, count: int) -> None:
        """Writes lines to a file that somebody holds open."""
        for begin in range(0, count, 50_000):
            some = min(50_000, count - begin)
            file.write(lines(self.source, self.written, some))
            self.written += some
        file.flush()

    def rotated(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def rename(self, packed: bool = False) -> None:
        """As logrotate with `create`: the older ones move up, and this one becomes the first of them."""
        self._make_room()
        self.path.rename(self.rotated(1))
        self.path.touch()
        if packed:
            self.pack(self.rotated(1))

    def copytruncate(self) -> None:
        """As logrotate with `copytruncate`."""
        self._make_room()
        shutil.copyfile(self.path, self.rotated(1))
        os.truncate(self.path, 0)

    @staticmethod
    def pack(path: Path) -> None:
        """As gzip: beside it, then the original goes."""
        with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)
        path.unlink()

    def _make_room(self) -> None:
        for number in range(20, 0, -1):
            for ending in ("", ".gz", ".zst"):
                old = Path(f"{self.rotated(number)}{ending}")
                if old.exists():
                    old.rename(f"{self.rotated(number + 1)}{ending}")
