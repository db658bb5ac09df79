"""Images of containers, made without a container engine: Python from Debian's packages, an application on top, as `docker save` packs it.

    base layer   Python and what applications import, a layer of the lab that is made once
    top layer    the application
"""

import hashlib
import io
import json
import platform
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Dict, Iterable, List, Tuple

from instance import layers, root
from instance.command import run

_PYTHON = "3.11"
_PACKAGES = [
    "libc6", "libgcc-s1", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libuuid1", "libcrypt1",
    f"libpython{_PYTHON}-minimal", f"libpython{_PYTHON}-stdlib", f"python{_PYTHON}-minimal", "netbase",
]
_SPARED = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug"]
_LIBRARIES = "usr/lib/application"
# No root in the container, by name or number.
_USER = "10001:10001"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def archive(name: str, version: str, application: Path, requirements: Path) -> bytes:
    """The image `localhost/NAME:VERSION`, which serves the application's `main:app` on port 8000."""
    base, top = _base(requirements), _packed(_application(application))
    config = {
        "architecture": _ARCHITECTURES[platform.machine()], "os": "linux",
        "config": {
            "Env": ["PATH=/usr/bin", f"PYTHONPATH=/{_LIBRARIES}", "PYTHONDONTWRITEBYTECODE=1", f"VERSION={version}"],
            "Entrypoint": [f"/usr/bin/python{_PYTHON}", "-m", "uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"],
            "WorkingDir": "/app", "User": _USER,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}" for layer in (base, top)]},
        "history": [{"created_by": "lab"}, {"created_by": "lab"}],
    }
    described = json.dumps(config, sort_keys=True).encode()
    manifest = {"Config": f"{_sha256(described)}.json", "RepoTags": [f"localhost/{name}:{version}"], "Layers": ["base.tar", "top.tar"]}
    return _tar([
        ("manifest.json", json.dumps([manifest]).encode()), (manifest["Config"], described), ("base.tar", base), ("top.tar", top),
    ])


def _base(requirements: Path) -> bytes:
    wanted = layers.digest(Path(__file__).read_text(), requirements.read_text(), *(path.name for path in root.prepared()))
    made = layers.layer(f"container-python-{wanted}", root.prepared(), lambda guest: _make_base(guest, requirements))
    return (made / "image.tar").read_bytes()


def _make_base(guest: Path, requirements: Path) -> None:
    inside = ["chroot", guest, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
    image, fetched = guest / "image", guest / "fetched"
    fetched.mkdir()
    run([*inside, "apt-get", "-q", "update"])
    run([*inside, "sh", "-c", f"cd /fetched && apt-get -q download {' '.join(_PACKAGES)}"])
    for package in sorted(fetched.iterdir()):
        run([*inside, "dpkg-deb", "--extract", f"/fetched/{package.name}", "/image"])
    for name in _SPARED:
        shutil.rmtree(image / name, ignore_errors=True)
    run([
        sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", f"--target={image / _LIBRARIES}", "--only-binary=:all:",
        "--implementation=cp", f"--python-version={_PYTHON}", f"--platform=manylinux2014_{platform.machine()}", f"--requirement={requirements}",
    ])
    # Or each start of a container would compile everything it imports.
    run([*inside, "python3", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "/image/usr/lib"], check=False)
    for name in ("app", "dev", "proc", "sys", "tmp"):
        (image / name).mkdir()
    (image / "etc/passwd").write_text("root:x:0:0::/:/\napp:x:10001:10001::/app:/\n")
    (image / "etc/group").write_text("root:x:0:\napp:x:10001:\n")
    (guest / "image.tar").write_bytes(_packed(_tree(image)))
    for used in (image, fetched, guest / "var/lib/apt/lists"):
        shutil.rmtree(used)
    (guest / "var/lib/apt/lists/partial").mkdir(parents=True)


def _application(folder: Path) -> List[Tuple[tarfile.TarInfo, bytes]]:
    found = []
    for path in sorted(folder.glob("*.py")):
        entry = tarfile.TarInfo(f"app/{path.name}")
        entry.size, entry.mode = path.stat().st_size, 0o644
        found.append((entry, path.read_bytes()))
    assert found, f"there is no application in `{folder}`"
    return found


def _tree(folder: Path) -> Iterable[Tuple[tarfile.TarInfo, bytes]]:
    """Everything below a folder, always in the same order and of the same time: the digest says what is in it."""
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            entry = tar.gettarinfo(str(path), arcname=str(path.relative_to(folder)))
            if entry.islnk():
                # Whichever name comes first would be the file, the others links to it; each is a file here.
                entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
            yield entry, path.read_bytes() if entry.isreg() else b""


def _packed(entries: Iterable[Tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry, content in entries:
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _tar(files: List[Tuple[str, bytes]]) -> bytes:
    entries = []
    for name, content in files:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        entries.append((entry, content))
    return _packed(entries)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
