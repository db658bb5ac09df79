"""What the real PutLogEvents refuses, and what it stores only in part."""

from __future__ import annotations

import re
from typing import Any

BATCH_BYTES = 1_048_576
EVENT_OVERHEAD = 26
BATCH_EVENTS = 10_000
EVENT_BYTES = 1_048_576
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RETENTION_DAYS = {
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827,
    2192, 2557, 2922, 3288, 3653,
}
_GROUP_NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_STREAM_NAME = re.compile(r"[^:*]{1,512}")


class Refused(Exception):
    """The whole call fails with InvalidParameterException."""


def check_batch(events: list[dict[str, Any]]) -> None:
    """Size, count and order: whatever needs no clock."""
    if not 1 <= len(events) <= BATCH_EVENTS:
        bound = "less than or equal to 10000" if events else "greater than or equal to 1"
        raise Refused(
            "1 validation error detected: Value at 'logEvents' failed to satisfy constraint: "
            f"Member must have length {bound}"
        )
    total, before = 0, 0
    for index, event in enumerate(events, start=1):
        total += _event_size(event, index)
        if event["timestamp"] < before:
            raise Refused("Log events in a single PutLogEvents request must be in chronological order.")
        before = event["timestamp"]
    if total > BATCH_BYTES:
        raise Refused(f"Upload too large: {total} bytes exceeds limit of {BATCH_BYTES}")


def _event_size(event: dict[str, Any], index: int) -> int:
    message, stamp = event.get("message"), event.get("timestamp")
    if not isinstance(stamp, int) or stamp < 0:
        raise Refused(
            f"1 validation error detected: Value '{stamp}' at 'logEvents.{index}.member.timestamp' failed "
            "to satisfy constraint: Member must have value greater than or equal to 0"
        )
    if not isinstance(message, str) or not message:
        raise Refused(
            f"1 validation error detected: Value '' at 'logEvents.{index}.member.message' failed "
            "to satisfy constraint: Member must have length greater than or equal to 1"
        )
    size = len(message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD
    if size > EVENT_BYTES:
        raise Refused(f"Log event too large: {size} bytes exceeds limit of {EVENT_BYTES}")
    return size


def split(
    events: list[dict[str, Any]], now_ms: int, retention_days: int | None
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The events to store, and which ends of the batch were rejected.

    `tooOldLogEventEndIndex` and `expiredLogEventEndIndex` are exclusive,
    `tooNewLogEventStartIndex` is inclusive; a batch is in order, so each
    rejection is one end of it.
    """
    too_old = _older_than(events, now_ms - 14 * DAY_MS)
    expired = _older_than(events, now_ms - retention_days * DAY_MS) if retention_days else 0
    too_new = _older_than(events, now_ms + 2 * HOUR_MS + 1)
    rejected = {}
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired:
        rejected["expiredLogEventEndIndex"] = expired
    if too_new < len(events):
        rejected["tooNewLogEventStartIndex"] = too_new
    kept = events[max(too_old, expired):too_new]
    if kept and kept[-1]["timestamp"] - kept[0]["timestamp"] > DAY_MS:
        raise Refused("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    return kept, rejected


def _older_than(events: list[dict[str, Any]], stamp: int) -> int:
    return sum(1 for event in events if event["timestamp"] < stamp)


def check_retention(days: Any) -> None:
    """Only certain numbers of days exist."""
    if days not in RETENTION_DAYS:
        raise Refused(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy "
            f"constraint: Member must satisfy enum value set: {sorted(RETENTION_DAYS)}"
        )


def check_group_name(name: Any) -> None:
    """Length and alphabet, and `aws/` is the service's own."""
    if not isinstance(name, str) or not _GROUP_NAME.fullmatch(name) or name.startswith("aws/"):
        raise Refused(
            f"1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        )


def check_stream_name(name: Any) -> None:
    """Anything without `:` and `*`."""
    if not isinstance(name, str) or not _STREAM_NAME.fullmatch(name):
        raise Refused(
            f"1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [^:*]*"
        )
