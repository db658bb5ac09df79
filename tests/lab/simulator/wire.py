"""Errors in the dialect of the service that was asked.

An SDK decides from the exact code and status whether to try again, so each
service gets the ones the real service sends.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from xml.sax.saxutils import escape

from .calls import ACCOUNT, Call


@dataclass
class Response:
    """A complete answer, ready to be sent, cut short or thrown away."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def error_code(self) -> str:
        """The service's own error code, for the journal."""
        if self.status < 400:
            return ""
        text = self.body.decode("utf-8", "replace")
        if text.lstrip().startswith("{"):
            return str(json.loads(text).get("__type", "")).rpartition("#")[2]
        return text.partition("<Code>")[2].partition("</Code>")[0]


def error(call: Call, status: int, code: str, message: str) -> Response:
    """`code` and `message` in the protocol of `call`."""
    request_id = str(uuid.uuid4())
    xml = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.protocol in ("json", "rest"):
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
    elif call.protocol == "ec2":
        kind = "text/xml"
        body = f"<Response><Errors><Error>{xml}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    elif call.protocol == "s3":
        kind, body = "application/xml", f"<Error>{xml}<RequestId>{request_id}</RequestId></Error>"
    elif call.protocol == "imds":
        kind, body = "text/plain", message
    else:
        kind = "text/xml"
        blame = "Sender" if status < 500 else "Receiver"
        body = (
            f"<ErrorResponse><Error><Type>{blame}</Type>{xml}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    headers = [("Content-Type", kind), ("x-amzn-RequestId", request_id)]
    return Response(status, headers, body.encode())


def throttled(call: Call) -> Response:
    """What the service says when it is asked too often."""
    return {
        "json": lambda: error(call, 400, "ThrottlingException", "Rate exceeded"),
        "rest": lambda: error(call, 429, "TooManyRequestsException", "Rate exceeded"),
        "query": lambda: error(call, 400, "Throttling", "Rate exceeded"),
        "ec2": lambda: error(call, 503, "RequestLimitExceeded", "Request limit exceeded."),
        "s3": lambda: error(call, 503, "SlowDown", "Please reduce your request rate."),
        "imds": lambda: error(call, 429, "TooManyRequests", "too many requests"),
    }[call.protocol]()


def broken(call: Call, status: int) -> Response:
    """An error on the service's side: 500 or 503."""
    if status == 503:
        code = "ServiceUnavailableException" if call.service == "logs" else "ServiceUnavailable"
    else:
        codes = {"json": "InternalServerError", "s3": "InternalError", "ec2": "InternalError"}
        code = codes.get(call.protocol, "InternalFailure")
    return error(call, status, code, "The request processing has failed because of an unknown error.")


def denied(call: Call, caller: str, name: str) -> Response:
    """No policy allows this call."""
    return not_authorized(call, caller, f"{call.service}:{call.action}", resource_arn(call, name))


def not_authorized(call: Call, caller: str, permission: str, resource: str) -> Response:
    """No policy allows this; the message names caller, action and resource."""
    message = (
        f"User: {caller} is not authorized to perform: {permission} on resource: "
        f"{resource} because no identity-based policy allows the {permission} action"
    )
    if call.protocol == "json":
        return error(call, 400, "AccessDeniedException", message)
    return error(call, 403, "UnauthorizedOperation" if call.protocol == "ec2" else "AccessDenied", message)


def forged(call: Call) -> Response:
    """The signature is not the one that these keys make of this request."""
    code = "InvalidSignatureException" if call.protocol == "json" else "SignatureDoesNotMatch"
    message = f"The request signature we calculated does not match the signature you provided: {call.forged}"
    return error(call, 400 if call.protocol == "json" else 403, code, message)


def expired(call: Call) -> Response:
    """The credentials were good once."""
    message = "The security token included in the request is expired"
    if call.protocol == "json":
        return error(call, 400, "ExpiredTokenException", message)
    return error(call, 400 if call.protocol == "s3" else 403, "ExpiredToken", message)


def resource_arn(call: Call, name: str) -> str:
    """The name as IAM spells it."""
    if call.service == "s3":
        return f"arn:aws:s3:::{name}"
    start = f"arn:aws:{call.service}:{call.region}:{ACCOUNT}:"
    if call.service == "ssm":
        return f"{start}parameter/{name.lstrip('/')}"
    if call.service == "autoscaling":
        return f"{start}autoScalingGroup:*:autoScalingGroupName/{name}"
    if call.service == "logs":
        return f"{start}log-group:{name}:log-stream:"
    if call.service == "secretsmanager":
        return f"{start}secret:{name}"
    return f"{start}{name}" if name else "*"
