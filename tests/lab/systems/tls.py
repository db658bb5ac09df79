"""An authority of the team's own, and certificates of it for the names of its servers."""

import http.client
import socket
import ssl
from pathlib import Path
from typing import Tuple

from instance.command import run

_NEW = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]


class Authority:
    """Signs certificates; whoever trusts it can be shown them."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._run([*_NEW, "-x509", "-days", "2", "-subj", "/CN=authority of the team", "-keyout", "authority.key", "-out", "authority.pem"])

    def certificate(self, name: str) -> Tuple[bytes, bytes]:
        """A new certificate for a server's name, and its key."""
        self._run([*_NEW, "-subj", f"/CN={name}", "-keyout", "server.key", "-out", "request.pem"])
        (self._directory / "names").write_text(f"subjectAltName=DNS:{name}\n")
        signed = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "names"]
        self._run(["openssl", "x509", "-req", "-days", "1", "-in", "request.pem", *signed, "-out", "server.pem"])
        return (self._directory / "server.pem").read_bytes(), (self._directory / "server.key").read_bytes()

    def connection(self, address: str, name: str) -> http.client.HTTPSConnection:
        """A connection to the server of this name at this address, which must show a certificate of ours."""
        return _Named(address, name, ssl.create_default_context(cafile=str(self._directory / "authority.pem")))

    def _run(self, argv) -> None:
        run(argv, cwd=self._directory)


class _Named(http.client.HTTPSConnection):
    """Connects to an address and asks there for a name, as if a name server had led to it."""

    def __init__(self, address: str, name: str, context: ssl.SSLContext):
        super().__init__(name, timeout=30, context=context)
        self._address, self._trust = address, context

    def connect(self) -> None:
        self.sock = self._trust.wrap_socket(socket.create_connection((self._address, 443), self.timeout), server_hostname=self.host)

    def shown(self) -> bytes:
        """The certificate that the server shows, in DER."""
        self.connect()
        return self.sock.getpeercert(binary_form=True)
