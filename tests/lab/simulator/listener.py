"""HTTP/1.1 with keep-alive, and every way to break off a connection.

The server that comes with moto closes each connection and cannot misbehave on
request; this one reads a whole request, asks the application, and then sends
the answer, half of it, or nothing.
"""

from __future__ import annotations

import io
import os
import socket
import socketserver
import struct
import sys
import traceback
from collections.abc import Callable
from http.server import HTTPServer
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

from .wire import Response

Application = Callable[[dict[str, Any], bytes], Response]


class Severed(Exception):
    """The application wants the connection broken off: drop, reset or truncate."""

    def __init__(self, how: str, response: Response | None = None) -> None:
        super().__init__(how)
        self.how = how
        self.response = response


class Handler(MotoRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def run_wsgi(self) -> None:
        """Answer one request; the base class calls this for every method."""
        environ = self.make_environ()
        body = self._body(environ)
        try:
            response = self.server.app(environ, body)  # type: ignore[attr-defined]
        except Severed as severed:
            self.close_connection = True
            self._sever(severed)
            return
        except Exception:
            traceback.print_exc(file=sys.stderr)
            response = Response(500, [("Content-Type", "text/plain")], b"the simulator itself failed")
        self._send(response)

    def _body(self, environ: dict[str, Any]) -> bytes:
        if environ.pop("wsgi.input_terminated", False):
            body = environ["wsgi.input"].read()
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        else:
            body = self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return body

    def _send(self, response: Response, keep: float = 1.0) -> None:
        given = {name.lower() for name, _ in response.headers}
        self.send_response_only(response.status)
        self.send_header("Server", self.version_string())
        if "date" not in given:
            self.send_header("Date", self.date_time_string())
        for name, value in response.headers:
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        bodyless = self.command == "HEAD" or response.status in (204, 304)
        if "content-length" not in given and not (response.status in (204, 304)):
            self.send_header("Content-Length", str(len(response.body)))
        body = b"" if bodyless else response.body[: int(len(response.body) * keep)]
        self._headers_buffer.append(b"\r\n")
        self.wfile.write(b"".join(self._headers_buffer) + body)
        self._headers_buffer = []

    def _sever(self, severed: Severed) -> None:
        if severed.how == "truncate" and severed.response is not None:
            self._send(severed.response, keep=0.5)
        if severed.how == "reset":
            # Only the last close of a socket that may not linger sends RST, so
            # the descriptor is taken away from the objects that hold it open.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(self.connection.detach())
            return
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """The journal says it all."""


class Listener(socketserver.ThreadingMixIn, HTTPServer):
    """One address, a thread per connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256
    # What the request handler asks its server for.
    ssl_context = None
    multithread = True
    multiprocess = False
    _server_version = "simulator"

    def __init__(self, address: tuple[str, int], app: Application) -> None:
        self.app = app
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """As the base class, without asking DNS for our own name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc(file=sys.stderr)
