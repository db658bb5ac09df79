"""A little VPC for each lab: its own network namespace with a bridge, the metadata address and a way out.

    instance's namespace          the lab's namespace                        the host
    eth0 198.18.N.10/24 --veth--- bridge 198.18.N.1, .2, 169.254.169.254 ---veth--- masquerade --> registries

198.18.0.0/15 is set aside for testing networks, so it collides with nobody's office. Namespaces keep 169.254.169.254 a plain
address of the simulator, and everything of the lab can be found, and ended, by the namespace it lives in.
"""

import ipaddress
import json
import os
import signal
import time
from pathlib import Path
from typing import List

from .command import LabError, run, succeeds

_INDEX = {name: index for index, name in enumerate(["try", "test", "bench", "spare", "cases", "spare2", "spare3", "spare4", "spare5"])}
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_FOUND = Path("/run/bootstrap-agent-lab.ip_forward")


class Network:
    """The network of the lab of one name."""

    def __init__(self, lab: str):
        if lab not in _INDEX:
            raise LabError(f"there is no lab `{lab}`; the labs are {', '.join(sorted(_INDEX))}")
        index = _INDEX[lab]
        self.space = f"ba-{lab}"
        self.subnet = ipaddress.ip_network(f"198.18.{index}.0/24")
        self.aws = str(self.subnet[1])
        self.bitbucket = str(self.subnet[2])
        self.metadata = "169.254.169.254"
        self._outside, self._inside = f"198.19.{index}.1", f"198.19.{index}.2"

    @property
    def host(self) -> str:
        """This machine's own address, as instances reach it."""
        return self._outside

    def up(self) -> None:
        """Makes namespace, bridge, uplink and masquerading."""
        mtu = _mtu()
        run(["ip", "netns", "add", self.space])
        self._in("ip", "link", "set", "lo", "up")
        self._in("ip", "link", "add", "br0", "type", "bridge")
        for address in (f"{self.aws}/24", f"{self.bitbucket}/24", f"{self.metadata}/32"):
            self._in("ip", "address", "add", address, "dev", "br0")
        self._in("ip", "link", "set", "br0", "up", "mtu", mtu)
        run(["ip", "link", "add", self.space, "mtu", mtu, "type", "veth", "peer", "name", "up0", "netns", self.space])
        run(["ip", "address", "add", f"{self._outside}/30", "dev", self.space])
        run(["ip", "link", "set", self.space, "up"])
        self._in("ip", "address", "add", f"{self._inside}/30", "dev", "up0")
        self._in("ip", "link", "set", "up0", "up", "mtu", mtu)
        self._in("ip", "route", "add", "default", "via", self._outside)
        run(["ip", "route", "replace", self.subnet, "via", self._inside])
        self._in("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        self._masquerade()

    def attach(self, name: str, address: str) -> None:
        """Makes the namespace of one instance, its interface configured."""
        space, end = self.instance(name), f"v{name[-10:]}"
        run(["ip", "netns", "add", space])
        inside = ["ip", "-n", space]
        run([*inside, "link", "set", "lo", "up"])
        self._in("ip", "link", "add", end, "mtu", _mtu(), "type", "veth", "peer", "name", "eth0", "netns", f"/run/netns/{space}")
        self._in("ip", "link", "set", end, "master", "br0", "up")
        run([*inside, "address", "add", f"{address}/24", "dev", "eth0"])
        run([*inside, "link", "set", "eth0", "up", "mtu", _mtu()])
        run([*inside, "route", "add", "default", "via", self.aws])

    def detach(self, name: str) -> None:
        """Ends whatever runs in the namespace of an instance and removes it."""
        _remove(self.instance(name))

    def instance(self, name: str) -> str:
        """The namespace of an instance."""
        return f"{self.space}-{name}"

    def inside(self, *argv: object) -> List[str]:
        """The command line that runs a program in the lab's namespace."""
        return ["ip", "netns", "exec", self.space, *[str(word) for word in argv]]

    def down(self) -> None:
        """Ends every process of the lab, found by its namespaces, and removes them and the way out."""
        listed = json.loads(run(["ip", "-j", "netns", "list"]).stdout or "[]")
        mine = [space["name"] for space in listed if space["name"] == self.space or space["name"].startswith(f"{self.space}-")]
        for space in sorted(mine, reverse=True):
            _remove(space)
        run(["ip", "link", "delete", self.space], check=False)
        run(["nft", "delete", "table", "ip", self.space], check=False)
        for rule in self._accepting():
            while succeeds(["iptables", "-D", "FORWARD", *rule]):
                pass
        _restore_forwarding()

    def _in(self, *argv: object) -> None:
        run(self.inside(*argv))

    def _masquerade(self) -> None:
        if _FORWARD.read_text().strip() == "0":
            _FOUND.write_text("0")
            _FORWARD.write_text("1")
        table = ["nft", "add"]
        run([*table, "table", "ip", self.space])
        run([*table, "chain", "ip", self.space, "out", "{ type nat hook postrouting priority srcnat; }"])
        inside = f"{{ {self.subnet}, {self._inside} }}"
        run([*table, "rule", "ip", self.space, "out", "ip", "saddr", inside, "oifname", "!=", self.space, "masquerade"])
        # Container engines and firewalls drop what they do not know; a table of ours cannot overrule theirs.
        if run(["iptables", "-S", "FORWARD"], check=False).stdout.startswith("-P FORWARD DROP"):
            for rule in self._accepting():
                run(["iptables", "-I", "FORWARD", *rule])

    def _accepting(self) -> List[List[str]]:
        return [["-i", self.space, "-j", "ACCEPT"], ["-o", self.space, "-j", "ACCEPT"]]


def _remove(space: str) -> None:
    for _ in range(50):
        pids = [int(pid) for pid in run(["ip", "netns", "pids", space], check=False).stdout.split()]
        if not pids:
            break
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    run(["ip", "netns", "delete", space], check=False)


def _mtu() -> int:
    """The MTU of the way out: a larger one inside would lose packets where nobody tells the sender."""
    routes = json.loads(run(["ip", "-j", "route", "show", "default"], check=False).stdout or "[]")
    for route in routes:
        links = json.loads(run(["ip", "-j", "link", "show", route["dev"]]).stdout)
        return min(1500, links[0]["mtu"])
    return 1500


def _restore_forwarding() -> None:
    """Forwarding is switched off again by the last lab if a lab switched it on."""
    if _FOUND.exists() and not [link for link in os.listdir("/sys/class/net") if link.startswith("ba-")]:
        _FORWARD.write_text(_FOUND.read_text())
        _FOUND.unlink()
