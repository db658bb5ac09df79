"""The log service of the bench (`tests/bench/sink`), on loopback and over TLS."""

import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, List, Optional


class Sink:
    """A running one. It is told how to behave, and asked what came."""

    def __init__(self, binary: Path, folder: Path):
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
             "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )
        listen, self._control = _free_port(), _free_port()
        self.endpoint = f"https://localhost:{listen}"
        self._process = subprocess.Popen(
            [binary, "--listen", f"127.0.0.1:{listen}", "--control", f"127.0.0.1:{self._control}",
             "--certificate", self.certificate, "--key", key],
            stdout=subprocess.PIPE, text=True,
        )
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the sink did not start")

    def environment(self) -> Dict[str, str]:
        """What points an SDK here."""
        return {
            "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_ENDPOINT_URL": self.endpoint, "SSL_CERT_FILE": str(self.certificate), "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def say(self, word: str) -> None:
        self._ask("POST", word)

    def figures(self) -> Dict[str, Any]:
        return json.loads(self._ask("GET", "figures"))

    def source(self, name: str) -> Dict[str, int]:
        """What came of the lines of one source."""
        return self.figures()["tally"]["sources"].get(name, {"came": 0, "next": 0, "holes": 0, "duplicates": 0, "late": 0})

    def kept(self) -> List[Dict[str, Any]]:
        """The messages that are no generated lines, in the order in which they came, from `keep` on."""
        return json.loads(self._ask("GET", "kept"))

    def wait(self, name: str, count: int, seconds: float) -> Optional[float]:
        """When so many different lines have come, on the clock; None if they do not."""
        end = time.monotonic() + seconds
        while self.source(name)["came"] < count:
            if time.monotonic() > end:
                return None
            time.sleep(0.05)
        return time.monotonic()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, method: str, path: str) -> bytes:
        address = f"http://127.0.0.1:{self._control}/{path}"
        request = urllib.request.Request(address, method=method, data=b"" if method == "POST" else None)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return answer.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
