"""S3 as far as a sync needs it: one bucket, whose objects are made of a table, and which refuses bytes that arrive with another digest."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

OBJECTS = {
    "static/old.css": (b"old", {}),
    "static/kept.txt": (b"excluded, and so not removed", {}),
    # Its bytes are those of the file: it is not sent again.
    "static/img/dot.svg": (b"<svg/>\n", {"Content-Type": "image/svg+xml"}),
    "elsewhere/untouched": (b"not below the prefix", {}),
    "keys/": (b"", {}),
    "keys/tls/site.key": (b"the key\n", {}),
    "keys/app.conf": (b"port = 8000\n", {}),
}
CALLS = []


def tag(content):
    """The entity tag of an object that was put in one piece."""
    return f'"{hashlib.md5(content).hexdigest()}"'


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        key = unquote(url.path).partition("/")[2].partition("/")[2]
        if url.path == "/what-happened":
            told = {key: [content.decode(), headers] for key, (content, headers) in sorted(OBJECTS.items())}
            self.answer(json.dumps({"calls": CALLS, "objects": told}, indent=1).encode())
        elif query.get("list-type") == ["2"]:
            CALLS.append("ListObjectsV2")
            self.answer(self.page(query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]))
        elif key in OBJECTS:
            CALLS.append(f"{'GetObject' if self.command == 'GET' else 'HeadObject'} {key}")
            content, headers = OBJECTS[key]
            self.answer(content, {**headers, "ETag": tag(content)})
        else:
            self.answer(b"<Error><Code>NoSuchKey</Code></Error>", status=404)

    do_HEAD = do_GET

    def page(self, prefix, after):
        """Two objects at a time, so that pages are turned."""
        left = [key for key in sorted(OBJECTS) if key.startswith(prefix) and key > after]
        shown = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(OBJECTS[key][0])}</Size><ETag>{escape(tag(OBJECTS[key][0]))}</ETag></Contents>"
            for key in left[:2]
        )
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{left[1]}</NextContinuationToken>" if left[2:] else ""
        return f"<ListBucketResult>{shown}{more}</ListBucketResult>".encode()

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        key = unquote(urlsplit(self.path).path).partition("/")[2].partition("/")[2]
        if self.headers.get("x-amz-checksum-sha256") != base64.b64encode(hashlib.sha256(content).digest()).decode():
            self.answer(b"<Error><Code>BadDigest</Code></Error>", status=400)
            return
        CALLS.append(f"PutObject {key}")
        OBJECTS[key] = (content, {name: self.headers[name] for name in ("Content-Type", "Cache-Control") if name in self.headers})
        self.answer(b"", {"ETag": tag(content)})

    def do_POST(self):
        body = ElementTree.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
        keys = sorted(element.text for element in body.iter() if element.tag.endswith("Key"))
        CALLS.append(f"DeleteObjects {' '.join(keys)}")
        for key in keys:
            OBJECTS.pop(key, None)
        self.answer(b"<DeleteResult></DeleteResult>")

    def answer(self, content, headers=(), status=200):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 9000), Handler)
print("up", flush=True)
server.serve_forever()
