"""Which service, action, resource and instance a request is about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

ACCOUNT = "123456789012"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
# Larger bodies are summed up in the journal instead of being copied into it.
_LARGE = 64 * 1024


@dataclass
class Call:
    """One request, in the words of the API it uses."""

    service: str
    action: str
    protocol: str  # json, query, ec2, s3, rest or imds
    region: str = "us-east-1"
    access_key: str = ""
    caller_ip: str = ""
    instance: str = ""
    user_agent: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    # What is wrong with its signature.
    forged: str = ""


def identify(environ: dict[str, Any], body: bytes) -> Call:
    """Read the signature's scope, the target header, the form or the path."""
    path = environ.get("PATH_INFO", "/")
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    key, region, service = _scope(environ.get("HTTP_AUTHORIZATION", ""), query)
    ip = environ.get("REMOTE_ADDR", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        action = target.rpartition(".")[2]
        params = _json(body)
        call = Call(service or _service_of(target), action, "json", params=params)
    elif service != "s3" and ("Action" in query or _is_form(environ)):
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) or query
        protocol = "ec2" if service == "ec2" else "query"
        call = Call(service or "unknown", form.get("Action", ""), protocol, params=form)
    elif service in ("", "s3"):
        call = _s3(environ, path, query)
    else:
        method = environ["REQUEST_METHOD"]
        call = Call(service, f"{method} {path}", "rest", params=_json(body))
    call.region, call.access_key, call.caller_ip = region, key, ip
    call.user_agent = environ.get("HTTP_USER_AGENT", "")
    call.names = _names(call)
    call.params = _for_journal(call, body)
    return call


def _scope(header: str, query: dict[str, str]) -> tuple[str, str, str]:
    text = header or "Credential=" + unquote(query.get("X-Amz-Credential", ""))
    found = _CREDENTIAL.search(text)
    return found.groups() if found else ("", "us-east-1", "")  # type: ignore[return-value]


def _is_form(environ: dict[str, Any]) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def _service_of(target: str) -> str:
    # Only unsigned requests come here: their service is in the target's prefix.
    prefixes = {"AmazonSSM": "ssm", "Logs_20140328": "logs", "secretsmanager": "secretsmanager"}
    return prefixes.get(target.partition(".")[0], target.partition(".")[0])


def _json(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


_S3_SUBRESOURCES = {
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("POST", "delete"): "DeleteObjects",
    ("PUT", "uploadId"): "UploadPart",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("GET", "versions"): "ListObjectVersions",
    ("PUT", "versioning"): "PutBucketVersioning",
}


def _s3(environ: dict[str, Any], path: str, query: dict[str, str]) -> Call:
    method = environ["REQUEST_METHOD"]
    bucket, _, key = path.lstrip("/").partition("/")
    action = next((a for (m, q), a in _S3_SUBRESOURCES.items() if m == method and q in query), "")
    if not action and key:
        verb = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "DELETE": "Delete", "POST": "Post"}
        action = ("Copy" if "HTTP_X_AMZ_COPY_SOURCE" in environ else verb.get(method, method)) + "Object"
    elif not action and bucket:
        action = {"GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket"}.get(method, "DeleteBucket")
        action += "V2" if query.get("list-type") == "2" else ""
    params: dict[str, Any] = {"Bucket": bucket, "Key": key, **query}
    if "HTTP_RANGE" in environ:
        params["Range"] = environ["HTTP_RANGE"]
    return Call("s3", action or "ListBuckets", "s3", params=params)


def _names(call: Call) -> list[str]:
    """The resources a fault or a denial can be aimed at."""
    params = call.params
    if isinstance(params.get("Names"), list):
        return [str(name) for name in params["Names"]]
    if call.service == "s3":
        return [f"{params['Bucket']}/{params['Key']}" if params["Key"] else params["Bucket"]]
    fields = ("Name", "Path", "SecretId", "logGroupName", "AutoScalingGroupName", "InstanceId")
    return [str(params[field]) for field in fields if params.get(field)]


def _for_journal(call: Call, body: bytes) -> dict[str, Any]:
    if call.action == "PutLogEvents" and isinstance(call.params.get("logEvents"), list):
        events = call.params["logEvents"]
        stamps = [e.get("timestamp") for e in events if isinstance(e, dict)]
        rest = {k: v for k, v in call.params.items() if k != "logEvents"}
        ends = {"first": stamps[0], "last": stamps[-1]} if stamps else {}
        return {**rest, "events": len(events), "body_bytes": len(body), **ends}
    if call.protocol != "s3" and len(body) > _LARGE:
        return {"body_bytes": len(body), "keys": sorted(call.params)}
    return {**call.params, **({"body_bytes": len(body)} if call.service == "s3" else {})}
