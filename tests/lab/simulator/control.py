"""The lab's own API, under `/_lab/` on the AWS listener. JSON in, JSON out."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from moto.autoscaling.models import autoscaling_backends
from moto.logs.models import logs_backends

from . import warm_pools
from .calls import ACCOUNT
from .lifecycle import Member
from .wire import Response
from .world import World


class NotFound(Exception):
    """There is no such thing."""


class Control:
    """A table of method, path and what to do."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._routes = [
            ("GET", r"health", self._health),
            ("POST", r"reset", self._reset),
            ("GET", r"instances", self._instances),
            ("GET", r"instances/([^/]+)", self._instance),
            ("POST", r"instances/([^/]+)/attach", self._attach),
            ("POST", r"instances/([^/]+)/detach", self._detach),
            ("POST", r"instances/([^/]+)/terminate", self._terminate),
            ("POST", r"instances/([^/]+)/to-service", self._to_service),
            ("GET", r"groups/([^/]+)", self._group),
            ("POST", r"groups/([^/]+)/replacement", self._replacement),
            ("POST", r"pending", self._pending),
            ("POST", r"roles/([^/]+)/policy", self._policy),
            ("GET", r"faults", lambda _: self._world.faults.list()),
            ("POST", r"faults", lambda request: self._world.faults.add(request)),
            ("GET", r"faults/idle", lambda _: self._world.faults.idle()),
            ("DELETE", r"faults", self._clear_faults),
            ("DELETE", r"faults/(\d+)", self._remove_fault),
            ("GET", r"clock", self._clock),
            ("POST", r"clock", self._advance),
            ("GET", r"journal", self._journal),
            ("DELETE", r"journal", self._clear_journal),
            ("GET", r"logs", self._logs),
        ]

    def __call__(self, environ: dict[str, Any], body: bytes) -> Response:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"][len("/_lab/"):].strip("/")
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        console = re.fullmatch(r"console/([^/]+)", path)
        if console:
            return self._console(method, console.group(1), query, body)
        try:
            for wanted, pattern, act in self._routes:
                found = re.fullmatch(pattern, path)
                if wanted == method and found:
                    request = query if method == "GET" else json.loads(body or b"{}")
                    return _json(200, act(request, *found.groups()))
        except NotFound as error:
            return _json(404, {"error": str(error)})
        except (ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})
        return _json(404, {"error": f"no `{method} /_lab/{path}`"})

    # -- instances and groups ------------------------------------------------

    def _instances(self, _: Any) -> Any:
        with self._world.holding("autoscaling"):
            return [self._view(member) for member in list(self._world.groups.lifecycle.members.values())]

    def _instance(self, _: Any, instance: str) -> Any:
        with self._world.holding("autoscaling"):
            member = self._world.groups.member(instance)
            if member is not None:
                return self._view(member)
            return {"instance": instance, "group": None, **self._machine_view(instance)}

    def _attach(self, request: Any, instance: str) -> Any:
        found = self._existing(instance)
        machine = self._world.machines.attach(instance, request)
        with self._world.holding("ec2"):
            self._world.move_in(found, machine.ip)
        return machine.summary()

    def _detach(self, _: Any, instance: str) -> Any:
        return {"detached": self._world.machines.detach(instance)}

    def _terminate(self, request: Any, instance: str) -> Any:
        """In the orderly way, through terminating hooks; `now` goes behind the group's back."""
        with self._world.holding("autoscaling"):
            member = self._world.groups.member(instance)
            if member is None or request.get("now"):
                self._existing(instance).ec2_backend.terminate_instances([instance])
            else:
                if request.get("decrement"):
                    member.group.desired_capacity -= 1
                self._world.groups.terminate(member, "terminated by the lab")
                self._world.groups.reconcile(member.group)
        return self._instance(None, instance)

    def _to_service(self, _: Any, instance: str) -> Any:
        """Scale out by one, and let it be this warm instance."""
        with self._world.holding("autoscaling"):
            member = self._world.groups.member(instance)
            if member is None:
                raise NotFound(f"`{instance}` is in no group")
            warm_pools.take_out(self._world.groups, member)
            member.group.desired_capacity += 1
            self._world.groups.reconcile(member.group)
        return self._instance(None, instance)

    def _pending(self, request: Any) -> Any:
        """How long the next instances stay in `Pending` before their hooks wait."""
        self._world.groups.lifecycle.pending_for = float(request["seconds"])
        return request

    def _policy(self, request: Any, role: str) -> Any:
        """What a role may do; until it is said, it may do everything."""
        self._world.policies.attach(role, request)
        return request

    def _group(self, _: Any, name: str) -> Any:
        with self._world.holding("autoscaling"):
            group = self._find_group(name)
            members = [m for m in self._world.groups.lifecycle.members.values() if m.group is group]
            return {
                "group": name, "desired": group.desired_capacity,
                "replacement": not self._world.groups.suspended(group, "Launch"),
                "instances": [self._view(m) for m in self._world.groups.of(group)],
                "gone": [self._view(m) for m in members if m.gone],
            }

    def _replacement(self, request: Any, name: str) -> Any:
        """Whether the group may launch; the API call for it is SuspendProcesses."""
        with self._world.holding("autoscaling"):
            group = self._find_group(name)
            change = group.autoscaling_backend
            if request["enabled"]:
                change.resume_processes(name, ["Launch"])
                self._world.groups.reconcile(group)
            else:
                change.suspend_processes(name, ["Launch"])
        return self._group(None, name)

    def _view(self, member: Member) -> dict[str, Any]:
        now = self._world.clock.now()
        return {
            "instance": member.instance,
            "group": member.group.name,
            "lifecycle_state": member.state,
            "target_lifecycle_state": member.phase.target,
            "actions": [
                {**vars(action), "remaining": action.deadline - now} for action in member.actions.values()
            ],
            "finished": member.finished,
            "history": member.history,
            **self._machine_view(member.instance),
        }

    def _machine_view(self, instance: str) -> dict[str, Any]:
        found = self._existing(instance)
        machine = self._world.machines.get(instance)
        return {
            "ec2_state": found.state, "private_ip": found.private_ip_address,
            "launched": found.launch_time.timestamp(),
            "attached": machine.summary() if machine else None,
        }

    def _existing(self, instance: str) -> Any:
        found = self._world.ec2_instance(instance)
        if found is None:
            raise NotFound(f"there is no instance `{instance}`")
        return found

    def _find_group(self, name: str) -> Any:
        for backend in list(autoscaling_backends[ACCOUNT].values()):
            if name in backend.autoscaling_groups:
                return backend.autoscaling_groups[name]
        raise NotFound(f"there is no group `{name}`")

    # -- everything else -------------------------------------------------------

    def _health(self, _: Any) -> Any:
        return {"ready": True}

    def _reset(self, _: Any) -> Any:
        self._world.reset()
        return {}

    def _clear_faults(self, _: Any) -> Any:
        self._world.faults.clear()
        return {}

    def _remove_fault(self, _: Any, rule: str) -> Any:
        if not self._world.faults.remove(int(rule)):
            raise NotFound(f"there is no fault {rule}")
        return {}

    def _clock(self, _: Any) -> Any:
        return {"now": self._world.clock.now(), "offset": self._world.clock.offset}

    def _advance(self, request: Any) -> Any:
        self._world.clock.advance(float(request["advance"]))
        with self._world.holding("autoscaling"):
            return self._clock(None)

    def _journal(self, query: Any) -> Any:
        since = int(query.pop("since", 0))
        fields = {"service", "action", "instance", "region", "status", "error", "name", "fault", "caller_ip"}
        if unknown := set(query) - fields:
            raise ValueError(f"unknown filters {sorted(unknown)}; known are {sorted(fields)}")
        return self._world.journal.read(since, **query)

    def _clear_journal(self, _: Any) -> Any:
        self._world.journal.clear()
        return {}

    def _logs(self, query: Any) -> Any:
        """Events of one stream in order; without a stream, the groups and streams there are."""
        with self._world.holding("logs"):
            groups = {
                group.name: group
                for region, backend in list(logs_backends[ACCOUNT].items())
                if query.get("region", region) == region
                for group in backend.groups.values()
            }
            if "group" not in query:
                return {
                    name: {"retention": group.retention_in_days, "streams": sorted(group.streams)}
                    for name, group in groups.items()
                }
            group = groups.get(query["group"])
            if group is None:
                raise NotFound(f"there is no log group `{query['group']}`")
            streams = [query["stream"]] if "stream" in query else sorted(group.streams)
            if missing := [name for name in streams if name not in group.streams]:
                raise NotFound(f"there is no log stream `{missing[0]}`")
            events = [
                {"stream": name, "timestamp": e.timestamp, "ingestion": e.ingestion_time, "message": e.message}
                for name in streams
                for e in group.streams[name].events
            ]
        return sorted(events, key=lambda event: event["timestamp"])

    def _console(self, method: str, instance: str, query: dict[str, str], body: bytes) -> Response:
        if method == "POST":
            self._world.machines.write_console(instance, body, query.get("append") == "1")
        return Response(200, [("Content-Type", "text/plain; charset=utf-8")], self._world.machines.console(instance))


def _json(status: int, value: Any) -> Response:
    return Response(status, [("Content-Type", "application/json")], json.dumps(value, default=str).encode())
