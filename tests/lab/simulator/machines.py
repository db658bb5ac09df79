"""What the lab told us about its instances: addresses, settings, consoles."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, fields
from typing import Any

from .clock import Clock
from .credentials import LIFETIME


@dataclass
class Machine:
    """A running stand-in for one instance, and how its metadata service behaves."""

    instance: str
    ip: str = ""
    user_data: bytes | None = None
    role: str | None = None
    tags_enabled: bool | None = None
    credentials_after: float = 0.0
    credentials_lifetime: float = LIFETIME
    attached: float = 0.0

    def summary(self) -> dict[str, Any]:
        """As the control API shows it."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        shown["user_data"] = None if self.user_data is None else len(self.user_data)
        return shown


class Machines:
    """By instance id and by the address requests come from."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._machines: dict[str, Machine] = {}
        self._consoles: dict[str, bytes] = {}

    def attach(self, instance: str, given: dict[str, Any]) -> Machine:
        """Begin or change an attachment; what is not given stays as it was."""
        known = {"ip", "user_data", "user_data_base64", "role", "tags_enabled",
                 "credentials_after", "credentials_lifetime"}
        if unknown := set(given) - known:
            raise ValueError(f"unknown fields {sorted(unknown)}; known are {sorted(known)}")
        with self._lock:
            # Taken out and put back: who gives an address last is the one who has it.
            machine = self._machines.pop(instance, None) or Machine(instance, attached=self._clock.now())
            self._machines[instance] = machine
            for name, value in given.items():
                if name == "user_data":
                    machine.user_data = None if value is None else str(value).encode()
                elif name == "user_data_base64":
                    machine.user_data = base64.b64decode(value)
                else:
                    setattr(machine, name, value)
            if "credentials_after" in given:
                machine.attached = self._clock.now()
            return machine

    def detach(self, instance: str) -> bool:
        """The stand-in is gone; its address may be used by another one."""
        with self._lock:
            return self._machines.pop(instance, None) is not None

    def get(self, instance: str) -> Machine | None:
        """The machine of an instance."""
        with self._lock:
            return self._machines.get(instance)

    def at(self, ip: str) -> Machine | None:
        """Who lives at an address; the latest to move in wins."""
        with self._lock:
            return next((m for m in reversed(self._machines.values()) if ip and m.ip == ip), None)

    def credentials_ready(self, machine: Machine) -> bool:
        """Whether the role's credentials have appeared yet."""
        return self._clock.now() >= machine.attached + machine.credentials_after

    def console(self, instance: str) -> bytes:
        """What its serial console printed; outlives the instance."""
        with self._lock:
            return self._consoles.get(instance, b"")

    def write_console(self, instance: str, text: bytes, append: bool) -> None:
        """Keep captured console output."""
        with self._lock:
            before = self._consoles.get(instance, b"") if append else b""
            self._consoles[instance] = before + text

    def reset(self) -> None:
        """No machines, no consoles."""
        with self._lock:
            self._machines.clear()
            self._consoles.clear()
