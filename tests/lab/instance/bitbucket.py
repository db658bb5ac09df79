"""A real sshd and real repositories in the place of Bitbucket and GitHub.

Guests know the address as `bitbucket.org` and `github.com`. The daemon runs in the lab's network with its own configuration, host keys and
user table, so that neither this machine's sshd nor its users are touched.
"""

import grp
import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import List, Optional

from .command import LabError, run
from .network import Network

KEY_TYPES = ["ed25519", "ecdsa", "rsa"]
HOSTS = ["bitbucket.org", "github.com"]
_UID = 64055
# Where the daemon sees its directory: the lab's own may lie in a home that `git` cannot enter.
_SEEN = Path("/mnt")

_CONFIG = """\
ListenAddress {address}:22
{host_keys}
PidFile none
UsePAM no
AllowUsers git
AuthorizedKeysFile {seen}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitTTY no
AllowTcpForwarding no
X11Forwarding no
LogLevel VERBOSE
"""

# What a deploy key may do there: read.
_READ_ONLY = """\
#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
    "git-upload-pack "*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
    *) echo "this deploy key may only read" >&2; exit 1 ;;
esac
"""


class Bitbucket:
    """The stand-in: its keys, its repositories, its daemon."""

    def __init__(self, directory: Path, network: Network):
        self.directory = directory
        self.address = network.bitbucket
        self._network = network
        self._daemon: Optional[subprocess.Popen] = None

    def up(self) -> None:
        """Makes keys and an empty home and starts the daemon."""
        self.directory.mkdir(parents=True)
        self.directory.chmod(0o755)
        for kind in KEY_TYPES:
            _key(self.directory / f"host_{kind}", kind)
        _key(self.directory / "deploy", "ed25519")
        self.home.mkdir()
        read_only = self.directory / "read-only"
        read_only.write_text(_READ_ONLY)
        read_only.chmod(0o755)
        (self.directory / "authorized_keys").touch(mode=0o644)
        self.authorize(Path(f"{self.directory}/deploy.pub").read_text())
        self._user_table()
        self.listen()

    @property
    def home(self) -> Path:
        """The home of `git`; repositories lie in it as `team/name.git`."""
        return self.directory / "home"

    @property
    def deploy_key(self) -> str:
        """The private key that may read the repositories."""
        return (self.directory / "deploy").read_text()

    @property
    def host_keys(self) -> List[str]:
        """The daemon's public keys, `type base64` each."""
        return [" ".join((self.directory / f"host_{kind}.pub").read_text().split()[:2]) for kind in KEY_TYPES]

    @property
    def known_hosts(self) -> str:
        """Lines for a known_hosts file."""
        return "".join(f"{','.join(HOSTS)} {key}\n" for key in self.host_keys)

    def authorize(self, public_key: str) -> None:
        """Lets another key read."""
        with open(self.directory / "authorized_keys", "a") as file:
            file.write(f'restrict,command="{_SEEN}/read-only" {public_key.strip()}\n')

    def listen(self, host_keys: str = "host") -> None:
        """Starts the daemon, or starts it again with the host keys of another name (see `wrong_host_keys`)."""
        self.stop()
        keys = "\n".join(f"HostKey {_SEEN}/{host_keys}_{kind}" for kind in KEY_TYPES)
        config = self.directory / "sshd_config"
        config.write_text(_CONFIG.format(address=self.address, host_keys=keys, seen=_SEEN))
        # sshd looks its users up in the system's tables and insists on a directory in /run: a private mount namespace has both.
        script = (
            f"mount --bind {self.directory}/passwd /etc/passwd && mount --bind {self.directory}/group /etc/group &&"
            f" mount --bind {self.directory}/shadow /etc/shadow && mount --bind {self.directory} {_SEEN} &&"
            f" mkdir -p /run/sshd && exec {_sshd()} -D -e -f {_SEEN}/sshd_config"
        )
        with open(self.directory / "sshd.log", "ab") as log:
            self._daemon = subprocess.Popen(
                self._network.inside("unshare", "--mount", "sh", "-c", script),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        self._until_it_answers()

    def wrong_host_keys(self) -> None:
        """From now on the daemon shows keys nobody has pinned: somebody is in between."""
        for kind in KEY_TYPES:
            if not (self.directory / f"wrong_{kind}").exists():
                _key(self.directory / f"wrong_{kind}", kind)
        self.listen("wrong")

    def stop(self) -> None:
        """Ends the daemon; its port refuses connections."""
        if self._daemon:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None

    def repository(self, name: str, source: Path, branch: str = "main") -> Path:
        """Makes `name` (`team/project.git`) with one commit that holds the files of `source`, in the place of any before it."""
        bare = self.home / name
        shutil.rmtree(bare, ignore_errors=True)
        bare.mkdir(parents=True)
        _git("init", "--bare", "--quiet", f"--initial-branch={branch}", bare)
        self.push(name, source, "the application", branch)
        return bare

    def push(self, name: str, source: Path, message: str, branch: str = "main") -> str:
        """Commits the files of `source` on top of `branch`, as somebody's push would, and returns the new commit."""
        bare = self.home / name
        tree = self.directory / "push"
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(source, tree, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
        here = [f"--git-dir={bare}", f"--work-tree={tree}"]
        _git(*here, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
        _git(*here, "add", "--all")
        _git(*here, "commit", "--quiet", "--allow-empty", "--message", message)
        shutil.rmtree(tree)
        (bare / "index").unlink(missing_ok=True)
        run(["chown", "-R", f"{_UID}:{_UID}", self.home])
        return _git(*here, "rev-parse", f"refs/heads/{branch}").strip()

    def log(self) -> str:
        """What the daemon has written."""
        return (self.directory / "sshd.log").read_text(errors="replace")

    def _until_it_answers(self) -> None:
        for _ in range(50):
            found = run(self._network.inside("ssh-keyscan", "-T", "1", "-t", "ed25519", self.address), check=False)
            if "ssh-ed25519" in found.stdout:
                return
            time.sleep(0.1)
        raise LabError(f"sshd does not answer\n{self.log()}")

    def _user_table(self) -> None:
        """This machine's users and groups with `git` and sshd's own among them."""
        users = [":".join(map(str, user)) for user in pwd.getpwall() if user.pw_name not in ("git", "sshd")]
        users += [f"git:x:{_UID}:{_UID}::{_SEEN}/home:/bin/sh", f"sshd:x:{_UID + 1}:{_UID + 1}::/run/sshd:/usr/sbin/nologin"]
        groups = [f"{group.gr_name}:x:{group.gr_gid}:" for group in grp.getgrall() if group.gr_name not in ("git", "sshd")]
        groups += [f"git:x:{_UID}:", f"sshd:x:{_UID + 1}:"]
        (self.directory / "passwd").write_text("\n".join(users) + "\n")
        (self.directory / "group").write_text("\n".join(groups) + "\n")
        shadow = self.directory / "shadow"
        shadow.write_text("git:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n")
        shadow.chmod(0o600)


def _key(path: Path, kind: str) -> None:
    run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "lab", "-f", path])


def _git(*argv: object) -> str:
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Lab"), ("EMAIL", "lab@example.com"))
    }
    plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who}
    return run(["git", "-c", "safe.directory=*", *argv], env=plain).stdout


def _sshd() -> str:
    found = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    if not found:
        raise LabError("`sshd` is not installed")
    return found
