"""Puts the limits of the real log service into moto's."""

from __future__ import annotations

import datetime
import json
from typing import Any

from moto.logs import models as logs
from moto.logs.exceptions import InvalidParameterException
from moto.logs.responses import LogsResponse

from . import log_limits
from .clock import Clock
from .patching import replace


def install(clock: Clock) -> None:
    """Batches, names, retention, and the wording of what exists already."""

    def utcnow() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(clock.now(), tz=datetime.timezone.utc).replace(tzinfo=None)
    def put_log_events(self: Any) -> str:
        backend, group_name = self.logs_backend, self._get_param("logGroupName")
        stream_name, events = self._get_param("logStreamName"), self._get_param("logEvents") or []
        try:
            log_limits.check_batch(events)
            group = backend.groups.get(group_name)
            if group is None:
                raise logs.ResourceNotFoundException("The specified log group does not exist.")
            stream = group.streams.get(stream_name)
            if stream is None:
                raise logs.ResourceNotFoundException("The specified log stream does not exist.")
            now_ms = int(clock.now() * 1000)
            kept, rejected = log_limits.split(events, now_ms, group.retention_in_days)
        except log_limits.Refused as refused:
            raise InvalidParameterException(str(refused)) from refused
        token = stream.put_log_events(kept)
        body: dict[str, Any] = {"nextSequenceToken": token}
        if rejected:
            body["rejectedLogEventsInfo"] = rejected
        return json.dumps(body)

    def checked(name: str, check: Any, parameter: str) -> None:
        def method(self: Any) -> str:
            try:
                check(self._get_param(parameter))
            except log_limits.Refused as refused:
                raise InvalidParameterException(str(refused)) from refused
            return original(self)

        original = replace(LogsResponse, name, method)

    def create_log_stream(self: Any, stream_name: str) -> None:
        # moto says "log group" for both.
        if stream_name in self.streams:
            exists = logs.ResourceAlreadyExistsException()
            exists.message = "The specified log stream already exists"
            exists.description = json.dumps({"__type": exists.error_type, "message": exists.message})
            raise exists
        create_stream(self, stream_name)

    replace(logs, "utcnow", utcnow)
    replace(LogsResponse, "put_log_events", put_log_events)
    checked("create_log_group", log_limits.check_group_name, "logGroupName")
    checked("create_log_stream", log_limits.check_stream_name, "logStreamName")
    checked("put_retention_policy", log_limits.check_retention, "retentionInDays")
    create_stream = replace(logs.LogGroup, "create_log_stream", create_log_stream)
