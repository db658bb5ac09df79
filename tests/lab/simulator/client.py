"""Start the simulator, drive it, and ask it what happened.

>>> with Simulator.start(journal=path) as aws:
...     instance = s1.create(aws, parameters={"/prod/KEY": "value"})
...     aws.attach(instance, ip="10.77.0.2")
...     aws.instance(instance)["lifecycle_state"]
'Pending:Wait'
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

REGION = "us-east-1"


class ControlError(Exception):
    """The simulator refused a control call; the message says why."""


class Simulator:
    """A running simulator, by the addresses of its two listeners."""

    def __init__(self, aws: str, imds: str = "", process: Any = None) -> None:
        self.aws_url = f"http://{aws}"
        self.imds_url = f"http://{imds}" if imds else ""
        self._process = process

    @classmethod
    def start(
        cls, aws: str = "", imds: str = "", journal: Path | None = None, python: str = sys.executable
    ) -> Simulator:
        """Run one, on free loopback ports unless told, and wait until it listens."""
        aws, imds = aws or _free_address(), imds or _free_address()
        command = [python, "-m", "simulator", "--aws", aws, "--imds", imds]
        command += ["--journal", str(journal)] if journal else []
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            process.kill()
            raise RuntimeError("the simulator did not start; its stderr says why")
        return cls(aws, imds, process)

    def stop(self) -> None:
        """End the one that `start` began."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    # -- AWS -----------------------------------------------------------------

    def boto(self, service: str, region: str = REGION, **keys: str) -> Any:
        """A boto3 client that neither retries nor checks: that is for the simulator to do."""
        import boto3
        from botocore.config import Config

        config = Config(
            retries={"total_max_attempts": 1}, parameter_validation=False, s3={"addressing_style": "path"}
        )
        keys = keys or {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
        return boto3.client(service, region_name=region, endpoint_url=self.aws_url, config=config, **keys)

    def environment(self, instance: str, region: str = REGION) -> dict[str, str]:
        """What points an SDK on this machine at the simulator, as that instance."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self.imds_url}/{instance}",
            "AWS_REGION": region,
        }

    # -- control ---------------------------------------------------------------

    def reset(self) -> None:
        """An empty account."""
        self._call("POST", "reset", {})

    def instances(self) -> list[dict[str, Any]]:
        """Every instance that belongs or belonged to a group."""
        return self._call("GET", "instances")

    def instance(self, instance: str) -> dict[str, Any]:
        """State, actions with deadlines, answers, and history with times."""
        return self._call("GET", f"instances/{instance}")

    def attach(self, instance: str, **settings: Any) -> dict[str, Any]:
        """Say where an instance runs: `ip`, `user_data`, `user_data_base64`, `role`,
        `tags_enabled`, `credentials_after`, `credentials_lifetime`."""
        return self._call("POST", f"instances/{instance}/attach", settings)

    def detach(self, instance: str) -> None:
        """Its stand-in is gone."""
        self._call("POST", f"instances/{instance}/detach", {})

    def terminate(self, instance: str, decrement: bool = False, now: bool = False) -> dict[str, Any]:
        """End it through its hooks, or at once."""
        return self._call("POST", f"instances/{instance}/terminate", {"decrement": decrement, "now": now})

    def to_service(self, instance: str) -> dict[str, Any]:
        """Scale out by one and use this warm instance."""
        return self._call("POST", f"instances/{instance}/to-service", {})

    def group(self, name: str) -> dict[str, Any]:
        """Members of a group, warm ones and those that are gone included."""
        return self._call("GET", f"groups/{name}")

    def replacement(self, name: str, enabled: bool) -> None:
        """Whether the group launches instances for those it lost."""
        self._call("POST", f"groups/{name}/replacement", {"enabled": enabled})

    def pending_for(self, seconds: float) -> None:
        """How long the next instances stay in `Pending` before their hooks wait."""
        self._call("POST", "pending", {"seconds": seconds})

    def policy(self, role: str, document: dict[str, Any]) -> None:
        """From now on the role may do what this policy says, and nothing else."""
        self._call("POST", f"roles/{role}/policy", document)

    def fault(self, kind: str, **rule: Any) -> int:
        """Add a fault rule; the fields are those of `faults.Rule`."""
        return self._call("POST", "faults", {"kind": kind, **rule})["id"]

    def faults(self) -> list[dict[str, Any]]:
        """The rules in force, with how often each has hit."""
        return self._call("GET", "faults")

    def idle_faults(self) -> list[dict[str, Any]]:
        """The rules since the last reset that have never hit, lifted ones too."""
        return self._call("GET", "faults/idle")

    def clear_faults(self, rule: int | None = None) -> None:
        """Lift one rule or all."""
        self._call("DELETE", "faults" if rule is None else f"faults/{rule}")

    def now(self) -> float:
        """The lab's time."""
        return self._call("GET", "clock")["now"]

    def advance(self, seconds: float) -> None:
        """Let time pass without waiting."""
        self._call("POST", "clock", {"advance": seconds})

    def journal(self, since: int = 0, **wanted: str) -> list[dict[str, Any]]:
        """Requests, filtered by shell-style patterns on their fields."""
        return self._call("GET", "journal?" + urlencode({"since": since, **wanted}))

    def clear_journal(self) -> None:
        """Forget the requests so far."""
        self._call("DELETE", "journal")

    def logs(self, group: str, stream: str = "") -> list[dict[str, Any]]:
        """Events of a stream, or of a whole group, in order of time."""
        return self._call("GET", "logs?" + urlencode({"group": group, **({"stream": stream} if stream else {})}))

    def log_groups(self) -> dict[str, Any]:
        """Groups with their retention and streams."""
        return self._call("GET", "logs")

    def write_console(self, instance: str, text: bytes, append: bool = False) -> None:
        """Keep what an instance printed on its serial console."""
        self._send("POST", f"console/{instance}{'?append=1' if append else ''}", text)

    def console(self, instance: str) -> str:
        """What it printed, even when it is long gone."""
        return self._send("GET", f"console/{instance}").decode("utf-8", "replace")

    def wait_for(self, instance: str, state: str, seconds: float) -> dict[str, Any]:
        """Wait, on the machine's own time, until an instance is in a lifecycle state."""
        end = time.monotonic() + seconds
        while True:
            view = self.instance(instance)
            if view["lifecycle_state"] == state:
                return view
            if time.monotonic() >= end:
                raise TimeoutError(f"`{instance}` is `{view['lifecycle_state']}`, not `{state}`, after {seconds} s")
            time.sleep(0.2)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self._send(method, path, data))

    def _send(self, method: str, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.aws_url}/_lab/{path}", data=data, method=method)
        # A proxy of the machine's has no business between us and loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise ControlError(error.read().decode("utf-8", "replace")) from error


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
