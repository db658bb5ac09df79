"""Measures log shippers: catching up, compressed or not, idle, freshness, an outage, kill -9, and a rotation while stopped.

A shipper is a folder of `shippers/` with a `command` and a `configuration`; their blanks `{config}`, `{state}`, `{pattern}`,
`{endpoint}`, `{certificate}`, `{options}`, `{recipe}` (the folder) and `{bin}` (where its `requirements.txt` is installed) are
filled in, and the SDK's environment variables point at the sink. Every shipper goes through every measurement in the same run,
one after the other.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, List, Optional

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
PORT, CONTROL = 18443, 18444
LINE = 200


class Sink:
    """The log service, on loopback and over TLS."""

    def __init__(self, binary: Path, folder: Path):
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
             "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )
        self._process = subprocess.Popen(
            [binary, "--listen", f"127.0.0.1:{PORT}", "--control", f"127.0.0.1:{CONTROL}", "--certificate", self.certificate, "--key", key],
            stdout=subprocess.PIPE, text=True,
        )
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the sink did not start")

    def say(self, word: str) -> None:
        self._ask("POST", word)

    def figures(self) -> Dict[str, Any]:
        return json.loads(self._ask("GET", "figures"))

    def source(self, name: str) -> Dict[str, int]:
        return self.figures()["tally"]["sources"].get(name, {"came": 0, "next": 0, "holes": 0, "duplicates": 0, "late": 0})

    def wait(self, name: str, count: int, seconds: float) -> Optional[float]:
        """When so many different lines have come, on the clock; None if they do not."""
        end = time.monotonic() + seconds
        while self.source(name)["came"] < count:
            if time.monotonic() > end:
                return None
            time.sleep(0.05)
        return time.monotonic()

    def close(self) -> None:
        self._process.kill()

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{CONTROL}/{path}", method=method, data=b"" if method == "POST" else None)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return answer.read()


def programs(recipe: Path) -> Path:
    """Where the programs of a shipper written in Python are: installed once, from its pinned requirements."""
    wanted = recipe / "requirements.txt"
    if not wanted.exists():
        return Path("/usr/bin")
    text = wanted.read_text()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bootstrap-agent" / "bench"
    place = cache / f"{recipe.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/pip", "install", "--quiet", "-r", wanted], check=True)
        (place / "complete").touch()
    return place / "bin"


class Shipper:
    """One shipper with its state and the files it reads."""

    def __init__(self, recipe: Path, folder: Path, sink: Sink, options: str, binary: str):
        self.folder, self._sink = folder, sink
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        (folder / "state").mkdir()
        blanks = {
            "recipe": str(recipe), "binary": binary, "config": str(folder / "configuration"), "state": str(folder / "state"), "pattern": f"{self.files}/*.log",
            "endpoint": f"https://localhost:{PORT}", "certificate": str(sink.certificate), "options": options,
            "bin": str(programs(recipe)),
        }
        (folder / "configuration").write_text((recipe / "configuration").read_text().format(**blanks))
        self._command = shlex.split((recipe / "command").read_text().format(**blanks))
        self._process: Optional[subprocess.Popen] = None

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example", "AWS_ENDPOINT_URL": f"https://localhost:{PORT}", "SSL_CERT_FILE": str(self._sink.certificate),
            "AWS_CA_BUNDLE": str(self._sink.certificate), "AWS_EC2_METADATA_DISABLED": "true",
        }
        log = (self.folder / "said").open("a")
        self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)

    def end(self, number: int = signal.SIGTERM) -> float:
        """Ends it; how long that took."""
        begin = time.monotonic()
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        return time.monotonic() - begin

    def cpu(self) -> float:
        """Seconds, with its children's."""
        return sum(_cpu(pid) for pid in _family(self._process.pid))

    def memory(self, peak: bool = False) -> float:
        """MiB of its processes: now, or at most."""
        return sum(_memory(pid, "VmHWM" if peak else "VmRSS") for pid in _family(self._process.pid))


def _family(leader: int) -> List[int]:
    pids = [leader]
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            pids.extend(int(child) for child in task.read_text().split())
    return pids


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def lines(source: str, first: int, count: int) -> bytes:
    """Log lines as applications write them, with source, number and time in front."""
    now = time.time_ns() // 1000
    made = []
    for number in range(first, first + count):
        head = f"{source} {number} {now} INFO request GET /api/v1/items/{number * 7919 % 100003} status=200 duration={number % 977}ms "
        made.append(head + f"client=10.0.{number % 251}.{number % 241} agent=Mozilla/5.0 trace={number * 2654435761 % 2**32:08x}")
    return b"".join(line.encode()[: LINE - 1].ljust(LINE - 1, b".") + b"\n" for line in made)


def write(path: Path, source: str, first: int, count: int) -> None:
    with path.open("ab") as file:
        for begin in range(first, first + count, 50_000):
            file.write(lines(source, begin, min(50_000, first + count - begin)))


def catching_up(shipper: Shipper, sink: Sink, megabytes: int) -> Dict[str, float]:
    """Everything is there when it starts."""
    count = megabytes * 1_000_000 // LINE
    write(shipper.files / "a.log", "a", 0, count)
    shipper.start()
    begin = time.monotonic()
    end = sink.wait("a", count, 600)
    if end is None:
        raise RuntimeError(f"it does not catch up: {sink.source('a')} of {count}")
    cpu, peak = shipper.cpu(), shipper.memory(peak=True)
    figures = sink.figures()
    shipper.end()
    gib = count * LINE / 2**30
    return {
        "rate_mb_s": count * LINE / 1e6 / (end - begin),
        "cpu_s_per_gib": cpu / gib,
        "peak_mib": peak,
        "request_bytes_per_byte": figures["request_bytes"] / figures["message_bytes"],
        "lost": count - sink.source("a")["came"],
        "duplicates": sink.source("a")["duplicates"],
        "late": sink.source("a")["late"],
        "violations": len(figures["violations"]),
    }


def idle(shipper: Shipper, sink: Sink, seconds: float) -> Dict[str, float]:
    """Forty files that nobody writes to."""
    for number in range(40):
        write(shipper.files / f"{number}.log", f"f{number}", 0, 10)
    shipper.start()
    for number in range(40):
        sink.wait(f"f{number}", 10, 30)
    time.sleep(8)
    before = shipper.cpu()
    time.sleep(seconds)
    used, memory = shipper.cpu() - before, shipper.memory()
    shipper.end()
    return {"idle_mib": memory, "idle_cpu_percent": used / seconds * 100}


def freshness(shipper: Shipper, sink: Sink, seconds: int) -> Dict[str, float]:
    """A hundred lines a second."""
    shipper.start()
    time.sleep(2)
    for second in range(seconds * 10):
        write(shipper.files / "a.log", "a", second * 10, 10)
        time.sleep(0.1)
    sink.wait("a", seconds * 100, 30)
    delay = sink.figures()["tally"]["delay_ms"]
    shipper.end()
    return {"fresh_p50_ms": delay["p50"], "fresh_p99_ms": delay["p99"]}


def outage(shipper: Shipper, sink: Sink, seconds: int) -> Dict[str, float]:
    """The service is away while a thousand lines a second are written."""
    shipper.start()
    write(shipper.files / "a.log", "a", 0, 1000)
    sink.wait("a", 1000, 30)
    sink.say("down")
    for second in range(seconds):
        write(shipper.files / "a.log", "a", 1000 + second * 1000, 1000)
        time.sleep(1)
    back = time.monotonic()
    sink.say("up")
    count = 1000 + seconds * 1000
    end = sink.wait("a", count, 300)
    peak = shipper.memory(peak=True)
    shipper.end()
    source = sink.source("a")
    return {"recovered_s": (end or float("inf")) - back, "outage_lost": count - source["came"], "outage_peak_mib": peak}


def killed(shipper: Shipper, sink: Sink, megabytes: int) -> Dict[str, float]:
    """kill -9 in the middle of catching up, three times."""
    count = megabytes * 1_000_000 // LINE
    write(shipper.files / "a.log", "a", 0, count)
    for quarter in (1, 2, 3):
        shipper.start()
        sink.wait("a", count * quarter // 4, 120)
        shipper.end(signal.SIGKILL)
    shipper.start()
    sink.wait("a", count, 120)
    time.sleep(1.5)
    shipper.end()
    source = sink.source("a")
    return {"killed_lost": count - source["came"], "killed_duplicates_percent": source["duplicates"] / count * 100}


def rotated(shipper: Shipper, sink: Sink) -> Dict[str, float]:
    """Rotated away, out of the pattern, while it was stopped."""
    shipper.start()
    write(shipper.files / "a.log", "a", 0, 1000)
    sink.wait("a", 1000, 30)
    took = shipper.end()
    write(shipper.files / "a.log", "a", 1000, 1000)
    (shipper.files / "a.log").rename(shipper.files / "a.log.1")
    write(shipper.files / "a.log", "a", 2000, 1000)
    shipper.start()
    sink.wait("a", 3000, 30)
    shipper.end()
    return {"rotated_lost": 3000 - sink.source("a")["came"], "stop_s": took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sink", type=Path, required=True, help="the built `log-sink`")
    parser.add_argument("--binary", default="agent", help="the agent")
    parser.add_argument("--shipper", action="append", default=[], help="a folder of `shippers/`, with options after a colon")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--outage", type=int, default=60, help="seconds")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    measurements = {
        "catching_up": lambda s, k: catching_up(s, k, chosen.megabytes),
        "idle": lambda s, k: idle(s, k, 20),
        "freshness": lambda s, k: freshness(s, k, 15),
        "outage": lambda s, k: outage(s, k, chosen.outage),
        "killed": lambda s, k: killed(s, k, chosen.megabytes // 4),
        "rotated": rotated,
    }
    results: Dict[str, Dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="shipping-", dir="/var/tmp") as folder:
        sink = Sink(chosen.sink, Path(folder))
        try:
            for name, measure in measurements.items():
                if chosen.only and name not in chosen.only:
                    continue
                for shipper in chosen.shipper or ["agent:--compression none", "agent"]:
                    recipe, _, options = shipper.partition(":")
                    place = Path(folder) / f"{name}-{len(results)}"
                    shutil.rmtree(place, ignore_errors=True)
                    place.mkdir()
                    sink.say("up")
                    sink.say("reset")
                    subject = Shipper(HERE / "shippers" / recipe, place, sink, options, chosen.binary)
                    try:
                        results.setdefault(shipper, {}).update(measure(subject, sink))
                    except Exception:
                        print((place / "said").read_text()[-3000:], file=sys.stderr)
                        raise
                    finally:
                        if subject._process and subject._process.poll() is None:
                            subject.end(signal.SIGKILL)
                    shutil.rmtree(place, ignore_errors=True)
        finally:
            sink.close()
    if chosen.json:
        print(json.dumps(results, indent=2))
        return
    width = max(len(name) for name in results)
    for figure in dict.fromkeys(figure for values in results.values() for figure in values):
        print(f"{figure:28}" + "".join(f"{values.get(figure, float('nan')):>{width + 3}.2f}" for values in results.values()))
    print(" " * 28 + "".join(f"{name:>{width + 3}}" for name in results))


if __name__ == "__main__":
    main()
