"""Ties the replaced parts of moto to the one version they were written for.

moto keeps groups, streams and parameters and speaks the protocols. What happens
to an instance of a group, and what services refuse, is ours.
"""

from __future__ import annotations

from typing import Any

import moto
from moto.core.responses import ActionResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.responses.general import General

from . import MOTO_VERSION, moto_cloudformation, moto_groups, moto_hooks, moto_logs, moto_parameters
from .clock import Clock
from .groups import Groups
from .machines import Machines
from .patching import replace


def install(groups: Groups, machines: Machines, clock: Clock) -> None:
    """Replace moto's methods; once per process."""
    if moto.__version__ != MOTO_VERSION:
        raise SystemExit(f"the simulator needs moto {MOTO_VERSION}, found {moto.__version__}")
    moto_groups.install(groups)
    moto_hooks.install(groups)
    moto_logs.install(clock)
    moto_parameters.install()
    moto_cloudformation.install()
    _patch_console(machines)


def _patch_console(machines: Machines) -> None:
    def get_console_output(self: Any) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        # The real service keeps the last 64 KB.
        text = machines.console(instance.id)[-65536:].decode("utf-8", "replace")
        return ActionResult(
            {"InstanceId": instance.id, "Timestamp": utcnow(), "Output": Base64EncodedString.from_raw_string(text)}
        )

    replace(General, "get_console_output", get_console_output)
