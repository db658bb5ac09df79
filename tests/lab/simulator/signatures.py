"""Whether a request carries the signature (AWS Signature Version 4) that its keys make of it.

Only keys that the metadata service gave out are looked at: tests sign with whatever they like. When it was signed is not judged,
because the lab's clock can be moved.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any
from urllib.parse import quote

from .calls import Call
from .credentials import Credentials

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/(\d{8}/[^/]+/[^/]+/aws4_request), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
_OTHERS = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def wrong(environ: dict[str, Any], body: bytes, call: Call, keys: Credentials) -> str:
    """What is wrong with it; nothing when it is right."""
    found = _HEADER.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
    if not found:
        return "there is none in the header"
    scope, names, signature = found.groups()
    signed = names.split(";")
    if environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != keys.token:
        return "the session token is not that of these keys"
    present = {name[5:].replace("_", "-").lower() for name in environ if name.startswith("HTTP_X_AMZ_")}
    if unsigned := {*present, "host"} - set(signed):
        return f"these headers are not signed: {sorted(unsigned)}"
    path, _, query = str(environ.get("RAW_URI") or environ["REQUEST_URI"]).partition("?")
    # S3 signs a path as it was sent, the others encode it once more.
    path = path if call.service == "s3" else quote(path, safe="/-_.~")
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&")) if query else []
    headers = "".join(f"{name}:{_value(environ, name)}\n" for name in signed)
    digest = environ.get("HTTP_X_AMZ_CONTENT_SHA256") or hashlib.sha256(body).hexdigest()
    request = "\n".join([environ["REQUEST_METHOD"], path, "&".join(pairs), headers, names, digest])
    text = "\n".join(
        ["AWS4-HMAC-SHA256", environ.get("HTTP_X_AMZ_DATE", ""), scope, hashlib.sha256(request.encode()).hexdigest()]
    )
    key = f"AWS4{keys.secret_key}".encode()
    for part in [*scope.split("/"), text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return "" if hmac.compare_digest(key.hex(), signature) else f"the request is {request!r}"


def _value(environ: dict[str, Any], name: str) -> str:
    key = _OTHERS.get(name, "HTTP_" + name.upper().replace("-", "_"))
    return " ".join(str(environ.get(key, "")).split())
