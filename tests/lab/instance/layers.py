"""Directories that are made once and reused, stacked with overlayfs.

A layer's name is a digest of everything that goes into it. It is made under another name and renamed when it is complete,
so that an interrupted run leaves nothing that looks finished.
"""

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Callable, List, Sequence

from . import paths
from .command import run
from .lock import held

_KEPT = 14 * 24 * 3600


def digest(*parts: str) -> str:
    """A short name for exactly these inputs."""
    seen = hashlib.sha256()
    for part in parts:
        seen.update(part.encode() + b"\0")
    return seen.hexdigest()[:16]


def stack(lower: Sequence[Path], upper: Path, work: Path, target: Path) -> None:
    """Mounts the lower directories, first on top, under a writable one."""
    for directory in (upper, work, target):
        directory.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={':'.join(str(path) for path in lower)},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", "overlay", "-o", options, target])


def layer(name: str, lower: List[Path], make: Callable[[Path], None]) -> Path:
    """The layer of this name, made by `make` on top of `lower` unless it is there already."""
    finished = paths.layers() / name
    if finished.is_dir():
        os.utime(finished)
        return finished
    with held(paths.layers() / ".lock", "the preparation of the guest's root"):
        if finished.is_dir():
            return finished
        partial = paths.layers() / f"{name}.partial"
        discard(partial)
        upper, root = partial / "upper", partial / "root"
        if lower:
            stack(lower, upper, partial / "work", root)
        else:
            upper.mkdir(parents=True)
            root.symlink_to(upper)
        try:
            make(Path(os.path.realpath(root)))
        finally:
            if lower:
                run(["umount", "--recursive", root])
        upper.chmod(0o755)
        upper.rename(finished)
        discard(partial)
        _forget_unused()
    return finished


def _forget_unused() -> None:
    """Removes layers that no lab has asked for in a long time: each recipe leaves half a gigabyte behind."""
    for entry in paths.layers().iterdir():
        if entry.is_dir() and not entry.name.endswith(".partial") and time.time() - entry.stat().st_mtime > _KEPT:
            shutil.rmtree(entry)


def discard(partial: Path) -> None:
    """Removes what an interrupted run left, mounts first: deleting through a mount would reach the host."""
    if not partial.exists():
        return
    prefix = f"{partial}/"
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in sorted((path for path in mounted if path.startswith(prefix)), reverse=True):
        run(["umount", "--lazy", target])
    shutil.rmtree(partial)
