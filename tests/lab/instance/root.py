"""The guest's operating system: Debian 12 with the packages of a cloud image, prepared once.

Debian 12 whatever the host runs: its systemd is the newest that starts where the host still has version 1 cgroups.
There is no pip, no venv and no git in it, as in the image a team starts from: installing them is part of what is tested.
"""

import shutil
from pathlib import Path
from typing import List

from . import paths, settings
from .command import run
from .layers import digest, layer
from .report import step

SUITE = "bookworm"
PACKAGES = [
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "python3", "openssh-client", "sudo", "ca-certificates", "curl",
    "iproute2", "procps", "less",
]
# Installed by apt afterwards: debootstrap does not resolve the virtual packages it depends on.
AFTERWARDS = ["cloud-init", "locales"]
_CLEAN = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]


def prepared() -> List[Path]:
    """The layers every instance stands on, top first; made if they are not there yet."""
    host = settings.gather()
    init = (paths.GUEST / "init").read_text()
    cloud = (paths.GUEST / "90_lab.cfg").read_text()
    system = layer(f"{SUITE}-{digest(SUITE, *PACKAGES, *AFTERWARDS, Path(__file__).read_text(), init, cloud)}", [], _system(host))

    contents = [part for name, text in sorted(host.items()) for part in (name, text)]
    top = layer(f"{system.name}-host-{digest(*contents)}", [system], lambda root: settings.apply(root, host))
    return [top, system]


def _system(host):
    def make(root: Path) -> None:
        with step("preparing the guest's Debian (once, about two minutes)"):
            run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root], timeout=1800)
            settings.apply(root, host)
            _same_sources(root)
            inside = ["chroot", root, "/usr/bin/env", "-i", *_CLEAN]
            _no_services_while_installing(root)
            run([*inside, "apt-get", "-q", "update"])
            run([*inside, "apt-get", "-q", "-y", "upgrade"], timeout=1800)
            run([*inside, "apt-get", "-q", "-y", "install", "--no-install-recommends", *AFTERWARDS], timeout=1800)
            (root / "usr/sbin/policy-rc.d").unlink()
            _like_an_image(root)

    return make


def _same_sources(root: Path) -> None:
    """A host of the same release knows the security updates' address too; any other leaves what debootstrap wrote."""
    if f"VERSION_CODENAME={SUITE}\n" not in Path("/etc/os-release").read_text() + "\n":
        return
    for source in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.sources")]:
        if source.is_file() and "debian-archive-keyring" in source.read_text():
            shutil.copy(source, root / source.relative_to("/"))
            if source.suffix == ".sources":
                (root / "etc/apt/sources.list").write_text("")


def _no_services_while_installing(root: Path) -> None:
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def _like_an_image(root: Path) -> None:
    """What an image builder does last: no identity, no lists, no caches, cloud-init unspent."""
    shutil.copy(paths.GUEST / "90_lab.cfg", root / "etc/cloud/cloud.cfg.d/90_lab.cfg")
    (root / "usr/lib/lab").mkdir()
    shutil.copy(paths.GUEST / "init", root / "usr/lib/lab/init")
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)
    # The address is there before the first process; a DHCP client would only delay cloud-init's early stage.
    (root / "sbin/dhclient").chmod(0o644)
    for directory in ["var/lib/apt/lists", "var/cache/apt/archives", "var/lib/cloud"]:
        shutil.rmtree(root / directory, ignore_errors=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
