"""A registry of container images: as much of its protocol as `podman pull` by digest speaks."""

import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Dict, Tuple

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


class Registry:
    """Serves what was pushed, on an address of this machine, until it is left."""

    def __init__(self, address: str):
        # What is at a path: its type and its bytes.
        self._held: Dict[str, Tuple[str, bytes]] = {"/v2/": ("application/json", b"{}")}
        self._server = ThreadingHTTPServer((address, 0), _handler(self._held))
        self.address = f"{address}:{self._server.server_address[1]}"

    def __enter__(self) -> "Registry":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def push(self, name: str, archive: bytes) -> str:
        """Takes an image as `docker save` packs it; the answer names it by its digest."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}
        (described,) = json.loads(files["manifest.json"])
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": _MANIFEST, "config": self._blob(name, _CONFIG, files[described["Config"]]),
            "layers": [self._blob(name, _LAYER, files[layer]) for layer in described["Layers"]],
        }).encode()
        self._held[f"/v2/{name}/manifests/{_digest(manifest)}"] = (_MANIFEST, manifest)
        return f"{self.address}/{name}@{_digest(manifest)}"

    def _blob(self, name: str, kind: str, content: bytes) -> dict:
        self._held[f"/v2/{name}/blobs/{_digest(content)}"] = ("application/octet-stream", content)
        return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _handler(held: Dict[str, Tuple[str, bytes]]):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, content = held.get(self.path, ("application/json", b'{"errors": []}'))
            self.send_response(200 if self.path in held else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
