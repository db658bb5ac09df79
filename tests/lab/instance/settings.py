"""What this machine knows about its network, handed to the guests: trusted roots, resolver, proxies, apt and pip.

A contributor's laptop, a company's network and a build machine differ in exactly these. They are read from where the
machine keeps them, so that the project names no registry and no proxy.
"""

import os
import re
from pathlib import Path
from typing import Dict, List

from .command import LabError, run

_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
_GUEST_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PROXIES = {
    name: os.environ[name]
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") if os.environ.get(name)
}
# How apt reaches its sources, and how strict it is about their age: a frozen mirror needs the same leniency inside.
_APT = re.compile(r'^Acquire::(https?::|Check-|Retries|ForceIPv4|ForceIPv6)\S* "[^"]')
_PIP = ["index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries"]
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def gather() -> Dict[str, str]:
    """The files to write into a guest, by path. Their contents name the layer they become."""
    files = {"/etc/resolv.conf": _resolver(), "/etc/pip.conf": _pip(), "/etc/uv/uv.toml": _uv()}
    apt = _apt()
    if apt:
        files["/etc/apt/apt.conf.d/90host"] = apt
    if _PROXIES:
        files["/etc/environment"] = "".join(f'{name}="{value}"\n' for name, value in _PROXIES.items())
    files["/usr/local/share/ca-certificates/.host-bundle"] = _host_bundle().read_text()
    return files


def apply(root: Path, files: Dict[str, str]) -> None:
    """Writes the settings into a root and makes its certificate store trust what the host trusts."""
    for name, content in files.items():
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.write_text(content)
        target.chmod(0o644)
    _trust(root)


def proxies() -> Dict[str, str]:
    """The proxies of this machine, for the environment of the guest's services."""
    return dict(_PROXIES)


def _trust(root: Path) -> None:
    """Adds the host's certificates that the guest's own package does not bring, and rebuilds its store."""
    store = root / "usr/local/share/ca-certificates"
    bundle = store / ".host-bundle"
    shipped = {
        _body(path.read_text(errors="replace")) for path in (root / "usr/share/ca-certificates").rglob("*.crt")
    }
    for number, certificate in enumerate(_CERTIFICATE.findall(bundle.read_text())):
        if _body(certificate) not in shipped:
            (store / f"host-{number}.crt").write_text(certificate + "\n")
    bundle.unlink()
    run(["chroot", root, "update-ca-certificates", "--fresh"])


def _body(certificate: str) -> str:
    return "".join(certificate.split())


def _host_bundle() -> Path:
    named = os.environ.get("SSL_CERT_FILE")
    for candidate in ([named] if named else []) + _BUNDLES:
        if Path(candidate).is_file():
            return Path(candidate)
    raise LabError("this machine has no bundle of trusted certificates; install `ca-certificates`")


def _resolver() -> str:
    """The host's name servers. A stub on the host's loopback is of no use in another network namespace."""
    for candidate in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/resolv.conf"]:
        path = Path(candidate)
        if not path.is_file():
            continue
        lines = [line for line in path.read_text().splitlines() if re.match(r"(nameserver|search|options)\s", line)]
        lines = [line for line in lines if not re.match(r"nameserver\s+(127\.|::1)", line)]
        if any(line.startswith("nameserver") for line in lines):
            return "\n".join(lines) + "\n"
    raise LabError("no name server but one on this machine's loopback was found; guests could not reach it")


def _apt() -> str:
    if not Path("/usr/bin/apt-config").exists():
        return ""
    lines: List[str] = run(["apt-config", "dump"]).stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if _APT.match(line) and "::Proxy-Auto-Detect" not in line)


def _pip() -> str:
    """The host's index and its manners; always the guest's own certificate store."""
    options = {}
    listed = run(["python3", "-m", "pip", "config", "list"], check=False).stdout
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name = key.rsplit(".", 1)[-1]
        if name in _PIP:
            options[name] = value.strip("'\"")
    options["cert"] = _GUEST_BUNDLE
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(options.items()))


def _uv() -> str:
    index = re.search(r"^index-url = (.+)$", _pip(), re.MULTILINE)
    lines = ["native-tls = true"]
    if index:
        lines.append(f'index-url = "{index.group(1)}"')
    return "\n".join(lines) + "\n"
