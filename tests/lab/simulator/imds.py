"""The instance metadata service, version 2 only.

Whose metadata it serves follows from the address a request comes from, or
from an instance id at the start of the path.
"""

from __future__ import annotations

import re
import secrets
import threading
from typing import Any

from .app import before, journalled
from .calls import Call
from .faults import Rule
from .metadata import tree
from .wire import Response
from .world import World

_PREFIX = re.compile(r"^/(i-[0-9a-f]+)(/.*)$")
# cloud-init asks for dated versions, and looks for the newest it knows.
VERSIONS = ("2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
_TTL = "HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS"
_LONGEST = 21600


class ImdsApp:
    """Tokens, and the tree behind them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}

    def __call__(self, environ: dict[str, Any], body: bytes) -> Response:
        path, ip = environ["PATH_INFO"], environ["REMOTE_ADDR"]
        prefixed = _PREFIX.match(path)
        if prefixed:
            instance, path = prefixed.groups()
        else:
            machine = self._world.machines.at(ip)
            instance = machine.instance if machine else ""
        action = "PutToken" if environ["REQUEST_METHOD"] == "PUT" else "Get"
        params = {"method": environ["REQUEST_METHOD"], "path": path}
        call = Call("imds", action, "imds", caller_ip=ip, instance=instance, params=params, names=[path])
        return journalled(self._world, call, lambda rules: self._answer(call, rules, environ))

    def _answer(self, call: Call, rules: list[Rule], environ: dict[str, Any]) -> Response:
        early = before(self._world, call, rules)
        if early is not None:
            return early
        if not call.instance or self._world.ec2_instance(call.instance) is None:
            return _text(404, "no instance lives at this address")
        method, path = call.params["method"], call.params["path"]
        if method == "PUT":
            return self._put_token(call.instance, path, environ)
        if method not in ("GET", "HEAD"):
            return _text(405, "method not allowed")
        if not self._live(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN", ""), call.instance):
            return _text(401, "unauthorized")
        return self._get(call.instance, path)

    def _put_token(self, instance: str, path: str, environ: dict[str, Any]) -> Response:
        if path != "/latest/api/token":
            return _text(404, "not found")
        if "HTTP_X_FORWARDED_FOR" in environ:
            return _text(403, "forbidden")
        ttl = environ.get(_TTL, "")
        if not ttl.isascii() or not ttl.isdigit() or not 1 <= int(ttl) <= _LONGEST:
            return _text(400, "bad request")
        token = secrets.token_urlsafe(40) + "=="
        with self._lock:
            self._tokens[token] = (instance, self._world.clock.now() + int(ttl))
        answer = _text(200, token)
        answer.headers.append(("X-aws-ec2-metadata-token-ttl-seconds", ttl))
        return answer

    def _live(self, token: str, instance: str) -> bool:
        with self._lock:
            owner, expires = self._tokens.get(token, ("", 0.0))
        return owner == instance and self._world.clock.now() < expires

    def _get(self, instance: str, path: str) -> Response:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return _text(200, "\n".join(VERSIONS))
        if parts[0] not in VERSIONS:
            return _text(404, "not found")
        with self._world.holding("ec2"):
            node: Any = tree(self._world, self._world.ec2_instance(instance), self._world.machines.get(instance))
        for part in parts[1:]:
            if not isinstance(node, dict) or part not in node:
                return _text(404, "not found")
            node = node[part]
        if isinstance(node, bytes):
            return Response(200, [("Content-Type", "application/octet-stream"), ("Server", "EC2ws")], node)
        return _text(200, _listing(node) if isinstance(node, dict) else node)


def _listing(node: dict[str, Any]) -> str:
    return "\n".join(name + ("/" if isinstance(child, dict) else "") for name, child in sorted(node.items()))


def _text(status: int, text: str) -> Response:
    return Response(status, [("Content-Type", "text/plain"), ("Server", "EC2ws")], text.encode())
