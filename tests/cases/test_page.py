"""The page of `agent explain`, opened in a browser: every step has its bar, nothing is fetched, nothing runs, nothing complains."""

import http.server
import json
import re
import shutil
import struct
import subprocess
import threading
import zlib

import pytest

pytestmark = pytest.mark.full

# A name is text, whatever it looks like.
EVIL = "<script>document.title = 'taken'</script><img src=/leak.png>"
PLAYBOOK = f"""
name: page
steps:
  - id: first
    command: {{ script: "sleep 0.4; echo one", always: true }}
  - id: beside
    needs: []
    command: {{ script: "sleep 0.2", always: true }}
  - id: again
    name: "{EVIL}"
    retries: 1
    command: {{ script: "test -e /srv/tried || {{ touch /srv/tried; exit 1; }}", always: true }}
  - file: {{ path: /srv/made, content: "made\\n" }}
  - id: broken
    command: {{ script: "echo '</pre><b>evidence</b>' >&2; exit 3", always: true }}
  - directory: /srv/never
"""
# What the style sheet draws the critical path with, in the light.
PATH_COLOUR = (0x7F, 0xA3, 0xDF)
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def chromium():
    """The browser, installed where it is missing."""
    if not shutil.which("chromium"):
        subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"]
        subprocess.run(install, check=True, capture_output=True, env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    return shutil.which("chromium")


@pytest.fixture
def browse(chromium, tmp_path):
    """Opens a page over a server that remembers what it was asked for; gives output, complaints and requests."""

    def open_page(page, *options):
        asked = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                body = page.encode() if self.path == "/" else b""
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            profile = tmp_path / f"profile-{len(list(tmp_path.iterdir()))}"
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            command = [chromium, *QUIET, f"--user-data-dir={profile}", *options, address]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            server.shutdown()
        assert done.returncode == 0, done.stderr
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line], asked

    return open_page


@pytest.fixture
def page(write_case):
    """The page of a real run, and what the run's record says."""
    case = write_case(PLAYBOOK)
    machine = case.fresh()
    assert machine.run(case.agent(), 60).returncode == 1
    record = json.loads(machine.run(["agent", "explain", "--json"], 30).stdout)
    return machine.run(["agent", "explain", "--html", "-"], 30).stdout, record


def test_a_browser_shows_every_step_and_asks_for_nothing(page, browse):
    html, record = page
    dom, complaints, asked = browse(html, "--dump-dom")
    assert asked == ["/"], "one file, and nothing beside it"
    assert complaints == []
    bars = re.findall(r'<span class="bar[^>]* data-step="(\d+)"', dom)
    assert bars == [str(lane["step"]) for lane in record["timeline"]] and len(bars) == 6
    assert "<script" not in dom and "<img" not in dom and "<b>evidence" not in dom
    assert "&lt;script&gt;" in dom and "evidence" in dom and "<title>page: failed" in dom
    assert dom.index('class="failures"') < dom.index('class="figures"') < dom.index('class="chart')
    assert 'class="dot again"' in dom.split('id="step-3"')[1].split("</details>")[0]


def test_the_browser_would_have_told(page, browse):
    html, _ = page
    policed = html.replace("<main>", '<main><img src="/leak.png"><script>document.title = "taken"</script>')
    dom, complaints, asked = browse(policed, "--dump-dom")
    assert len(complaints) >= 2 and asked == ["/"] and "<title>page: failed" in dom, "the page's own policy stops both"
    loose = re.sub(r"<meta http-equiv[^>]*>", "", policed)
    dom, _, asked = browse(loose, "--dump-dom")
    assert "/leak.png" in asked and "<title>taken" in dom, "without it both would have happened"


def test_the_critical_path_is_seen_and_the_page_prints(page, browse, tmp_path):
    html, _ = page
    picture = tmp_path / "page.png"
    browse(html, "--window-size=1280,1200", f"--screenshot={picture}")
    width, pixels = decoded(picture.read_bytes())
    assert width == 1280 and pixels.count(PATH_COLOUR) > 500, "no bar on the critical path is drawn"
    printed = tmp_path / "page.pdf"
    browse(html, f"--print-to-pdf={printed}")
    assert printed.read_bytes().startswith(b"%PDF") and printed.stat().st_size > 10_000


def decoded(png):
    """The width and the pixels of a picture as a browser writes it: eight bits, with or without transparency, not interlaced."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, width, channels = 8, b"", 0, 0
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        data = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, _, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data)
            assert depth == 8 and interlaced == 0
            channels = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            packed += data
        at += length + 12
    raw, stride, before, pixels = zlib.decompress(packed), width * channels, bytearray(width * channels), []
    for start in range(0, len(raw), stride + 1):
        how, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for index in range(stride):
            left = line[index - channels] if index >= channels else 0
            up, corner = before[index], before[index - channels] if index >= channels else 0
            guess = [0, left, up, (left + up) // 2, nearest(left, up, corner)][how]
            line[index] = (line[index] + guess) & 0xFF
        pixels += [tuple(line[index:index + 3]) for index in range(0, stride, channels)]
        before = line
    return width, pixels


def nearest(left, up, corner):
    """The predictor that PNG calls Paeth's."""
    base = left + up - corner
    return min((left, up, corner), key=lambda value: abs(base - value))
