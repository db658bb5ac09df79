"""A web server with TLS, under an authority of its own: where a team keeps what it downloads.

Run as `python -m instance.web DIRECTORY ADDRESS` it serves the files in DIRECTORY/files.
"""

import functools
import http.server
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional

from . import paths
from .command import LabError, run
from .network import Network

_PORT = 443
_TRUSTED = "/usr/local/share/ca-certificates/lab-web.crt"


class Web:
    """The server: its authority, its files, what was asked of it."""

    def __init__(self, directory: Path, network: Network):
        self.directory = directory
        self.address = network.aws
        self._network = network
        self._server: Optional[subprocess.Popen] = None
        self._began, self._changes = int(time.time()) - 3600, 0

    def up(self) -> "Web":
        """Makes authority and certificate and starts the server."""
        (self.directory / "files").mkdir(parents=True)
        key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
        here = {"cwd": self.directory}
        run([*key, "-x509", "-days", "2", "-subj", "/CN=authority of the lab", "-keyout", "authority.key", "-out", "authority.pem"], **here)
        run([*key, "-subj", "/CN=web", "-keyout", "key.pem", "-out", "request.pem"], **here)
        (self.directory / "names").write_text(f"subjectAltName=IP:{self.address}\n")
        signed = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "names"]
        run(["openssl", "x509", "-req", "-days", "1", "-in", "request.pem", *signed, "-out", "certificate.pem"], **here)
        self.listen()
        return self

    def put(self, name: str, content: bytes) -> str:
        """Makes this the content at an address, and returns the address."""
        path = self.directory / "files" / name
        path.write_bytes(content)
        # HTTP counts whole seconds; whoever asks whether it has changed is to hear of two changes in one second as well.
        self._changes += 1
        changed = self._began + self._changes
        os.utime(path, (changed, changed))
        return f"https://{self.address}/{name}"

    def trusted_by(self, machine) -> None:
        """Makes an instance trust the authority, as a team's image would."""
        machine.exec(["tee", _TRUSTED], input=(self.directory / "authority.pem").read_text())
        machine.exec(["update-ca-certificates"])

    def requests(self) -> List[str]:
        """What was asked for, in order."""
        said = (self.directory / "log").read_text()
        return [line.split('"')[1] for line in said.splitlines() if '"' in line]

    def listen(self) -> None:
        """Starts the server, or starts it again."""
        self.stop()
        command = self._network.inside(sys.executable, "-m", "instance.web", self.directory, self.address)
        with open(self.directory / "log", "ab") as log:
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(paths.LAB)},
            )
        end = time.monotonic() + 10
        while not run(self._network.inside("ss", "-Hltn", f"sport = :{_PORT}")).stdout:
            if self._server.poll() is not None or time.monotonic() > end:
                raise LabError(f"the web server does not listen\n{(self.directory / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server; its port refuses connections."""
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None


def serve(directory: Path, address: str) -> None:
    """Serves for ever."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory / "files"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    with http.server.ThreadingHTTPServer((address, _PORT), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
