"""A client that asks all along, as those of a deployment do: one connection for each question, and every answer is kept."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import List, Optional, Type

from instance.network import Network

_ASK = """
import http.client, json, sys, time
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
while True:
    at, said, status = time.time(), "", 0
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        status, said = answer.status, answer.read().decode(errors="replace")
    except OSError as error:
        said = repr(error)
    except http.client.HTTPException as error:
        said = repr(error)
    finally:
        connection.close()
    print(json.dumps({"at": at, "status": status, "said": said}), flush=True)
    time.sleep(0.02)
"""


class Poller:
    """Asks from beside the instance until the block ends; then `answers` are there."""

    def __init__(self, network: Network, address: str, port: int, path: str):
        self._argv = network.inside(sys.executable, "-c", _ASK, address, str(port), path)
        self.answers: List[dict] = []

    def __enter__(self) -> "Poller":
        self._file = tempfile.NamedTemporaryFile("w+", prefix="bootstrap-agent-poller-")
        self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=self._file, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._process.kill()
        self._process.wait()
        whole, _, _ = Path(self._file.name).read_text().rpartition("\n")
        self._file.close()
        self.answers = [json.loads(line) for line in whole.splitlines()]

    @property
    def failed(self) -> List[dict]:
        """Everything that was no good answer."""
        return [answer for answer in self.answers if answer["status"] != 200]

    def first_to_last_failure(self) -> float:
        """For how long there were failures, in seconds."""
        times = [answer["at"] for answer in self.failed]
        return max(times) - min(times) if times else 0.0
