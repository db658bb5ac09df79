"""An answer or an error in the dialect of the service that is asked: an SDK decides by code and status whether to try again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

_NAMESPACE = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
_METADATA = "<ResponseMetadata><RequestId>fleet</RequestId></ResponseMetadata>"


@dataclass
class Answer:
    """What goes over the wire."""

    status: int
    kind: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The service says no."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


def json_answer(value: dict[str, Any]) -> Answer:
    """SSM's and the log service's."""
    return Answer(200, "application/x-amz-json-1.1", json.dumps(value).encode())


def xml_answer(action: str, result: str) -> Answer:
    """Auto Scaling's."""
    body = f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{result}</{action}Result>{_METADATA}</{action}Response>'
    return Answer(200, "text/xml", body.encode())


def refusal(service: str, refused: Refused) -> Answer:
    """An error of this service."""
    if service == "autoscaling":
        error = f"<Type>Sender</Type><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
        body = f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{error}</Error><RequestId>fleet</RequestId></ErrorResponse>'
        return Answer(refused.status, "text/xml", body.encode())
    body = json.dumps({"__type": refused.code, "message": refused.message})
    return Answer(refused.status, "application/x-amz-json-1.1", body.encode())


def throttled(service: str) -> Answer:
    """Asked too often."""
    code = "Throttling" if service == "autoscaling" else "ThrottlingException"
    return refusal(service, Refused(code, "Rate exceeded"))


def text(status: int, words: str, **headers: str) -> Answer:
    """The metadata service's."""
    return Answer(status, "text/plain", words.encode(), {name.replace("_", "-"): value for name, value in headers.items()})
