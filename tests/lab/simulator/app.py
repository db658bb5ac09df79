"""The AWS listener: journal, expiry, signature, faults, the role's policy, then moto."""

from __future__ import annotations

import gzip
import io
import json
import time
from email.utils import formatdate
from typing import Any

from . import signatures, wire
from .calls import Call, identify
from .control import Control
from .faults import Rule
from .listener import Severed
from .wire import Response
from .world import World

# Long enough for any client to give up first.
_HANG = 600.0
_EMPTY_PAGE = "lab-empty-page:"


class AwsApp:
    """One request in, one response or broken connection out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._control = Control(world)

    def __call__(self, environ: dict[str, Any], body: bytes) -> Response:
        path = environ["PATH_INFO"]
        if path.startswith("/_lab/"):
            return self._control(environ, body)
        if path.startswith(("/latest/", "/moto-api")):
            # moto's own metadata service checks no token; ours is elsewhere.
            return Response(404, [("Content-Type", "text/plain")], b"not an AWS API")
        # What was signed is what was sent, compressed as it may be.
        sent = (dict(environ), body)
        if environ.get("HTTP_CONTENT_ENCODING") == "gzip" and "HTTP_X_AMZ_TARGET" in environ:
            body = _gunzip(environ, body)
        call = identify(environ, body)
        owner = self._world.credentials.owner(call.access_key)
        machine = self._world.machines.at(call.caller_ip)
        call.instance = owner.instance if owner else (machine.instance if machine else "")
        call.forged = signatures.wrong(*sent, call, owner) if owner else ""
        return journalled(self._world, call, lambda rules: self._answer(call, rules, environ, body))

    def _answer(self, call: Call, rules: list[Rule], environ: dict[str, Any], body: bytes) -> Response:
        if self._world.credentials.expired(call.access_key):
            return wire.expired(call)
        if call.forged:
            return wire.forged(call)
        early = before(self._world, call, rules)
        if early is not None:
            return early
        for rule in rules:
            if rule.kind == "empty_page" and call.action == "GetParametersByPath":
                token = call.params.get("NextToken") or ""
                page = {"Parameters": [], "NextToken": _EMPTY_PAGE + token}
                return Response(200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(page).encode())
        lacking = self._world.policies.lacking(call, self._world.credentials.owner(call.access_key))
        if lacking:
            return wire.not_authorized(call, *lacking)
        body = _skip_empty_page(call, environ, body)
        with self._world.holding(call.service):
            return _ask(self._world.moto, environ)


def journalled(world: World, call: Call, answer: Any) -> Response:
    """Run the call under the rules that hit it, and write down what came of it."""
    rules = world.faults.firing(call)
    entry: dict[str, Any] = {
        "time": world.clock.now(), "service": call.service, "action": call.action,
        "region": call.region, "instance": call.instance, "caller_ip": call.caller_ip,
        "access_key": call.access_key, "user_agent": call.user_agent, "names": call.names, "params": call.params,
        "faults": [rule.kind for rule in rules], "status": 0, "error": "",
    }
    started = time.monotonic()
    try:
        response = after(rules, answer(rules))
        entry["status"], entry["error"] = response.status, response.error_code()
        return response
    except Severed as severed:
        entry["error"] = severed.how
        raise
    finally:
        entry["ms"] = round((time.monotonic() - started) * 1000, 1)
        world.journal.record(entry)


def before(world: World, call: Call, rules: list[Rule]) -> Response | None:
    """Faults that strike before the service acts; delays first, then failures."""
    for rule in rules:
        if rule.kind in ("latency", "hang"):
            time.sleep(rule.seconds if rule.kind == "latency" else _HANG)
            if rule.kind == "hang":
                raise Severed("drop")
    for rule in rules:
        if rule.kind in ("drop", "reset") and rule.when == "before":
            raise Severed(rule.kind)
        if rule.kind in ("throttle", "limit"):
            return wire.throttled(call)
        if rule.kind in ("error500", "error503"):
            return wire.broken(call, int(rule.kind[-3:]))
        if rule.kind == "error":
            return wire.error(call, rule.status, rule.code, rule.message)
        if rule.kind == "access_denied":
            owner = world.credentials.owner(call.access_key)
            caller = owner.caller if owner else "arn:aws:iam::123456789012:user/lab"
            return wire.denied(call, caller, rule.named(call) or "")
    return None


def after(rules: list[Rule], response: Response) -> Response:
    """Faults that take away an answer the service has already given."""
    for rule in rules:
        if rule.kind == "skew":
            response.headers.append(("Date", formatdate(time.time() + rule.seconds, usegmt=True)))
        if rule.kind == "truncate":
            raise Severed("truncate", response)
        if rule.kind in ("drop", "reset") and rule.when == "after":
            raise Severed(rule.kind)
    return response


def _gunzip(environ: dict[str, Any], body: bytes) -> bytes:
    body = gzip.decompress(body)
    del environ["HTTP_CONTENT_ENCODING"]
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return body


def _skip_empty_page(call: Call, environ: dict[str, Any], body: bytes) -> bytes:
    """The token of an empty page leads to the page that was asked for before it."""
    if not str(call.params.get("NextToken") or "").startswith(_EMPTY_PAGE):
        return body
    request = json.loads(body)
    token = request.pop("NextToken")[len(_EMPTY_PAGE):]
    if token:
        request["NextToken"] = token
    body = json.dumps(request).encode()
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return body


def _ask(application: Any, environ: dict[str, Any]) -> Response:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [int(status.split(" ", 1)[0]), headers]

    chunks = application(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return Response(started[0], started[1], body)
