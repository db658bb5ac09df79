"""One of everything, put together, and the locks around moto."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2 import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import moto_patches
from .calls import ACCOUNT
from .clock import Clock
from .credentials import CredentialStore
from .faults import Faults
from .groups import Groups
from .journal import Journal
from .machines import Machines
from .policies import Policies


class World:
    """The simulated account."""

    def __init__(self, journal: Path | None = None) -> None:
        self.clock = Clock()
        self.journal = Journal(journal)
        self.faults = Faults(self.clock)
        self.credentials = CredentialStore(self.clock)
        self.machines = Machines(self.clock)
        self.groups = Groups(self.clock)
        self.policies = Policies()
        self.moto = DomainDispatcherApplication(create_backend_app)
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        moto_patches.install(self.groups, self.machines, self.clock)

    @contextlib.contextmanager
    def holding(self, service: str) -> Iterator[None]:
        """moto is not thread-safe: one request per service at a time.

        Groups and instances change each other and share a lock. S3 needs none,
        and its transfers are long.
        """
        if service == "s3":
            yield
            return
        if service in ("ec2", "autoscaling", "elasticloadbalancing", "cloudformation"):
            with self.groups.lifecycle.lock:
                self.groups.lifecycle.settle()
                yield
            return
        with self._guard:
            lock = self._locks.setdefault(service, threading.RLock())
        with lock:
            yield

    def ec2_instance(self, instance: str) -> Any:
        """moto's instance of this id, in whatever region, or nothing."""
        with self.groups.lifecycle.lock:
            for backend in list(ec2_backends[ACCOUNT].values()):
                for found in backend.all_instances():
                    if found.id == instance:
                        return found
        return None

    def move_in(self, instance: Any, ip: str) -> None:
        """Make the address its stand-in has the instance's own, in every answer.

        Loopback is only how a process on this machine says who it is.
        """
        if not ip or ip.startswith("127."):
            return
        nic = instance.nics[0]
        nic.private_ip_address = ip
        nic.private_ip_addresses[0]["PrivateIpAddress"] = ip
        nic.private_dns_name = instance.private_dns_name
        nic.private_ip_addresses[0]["PrivateDnsName"] = instance.private_dns_name

    def reset(self) -> None:
        """An empty account at the machine's own time; the journal goes on."""
        with self.groups.lifecycle.lock:
            BackendDict.reset()
            reset_model_data()
            self.groups.reset()
            self.machines.reset()
            self.faults.reset()
            self.credentials.reset()
            self.policies.reset()
            self.clock.reset()
            self.journal.clear()
