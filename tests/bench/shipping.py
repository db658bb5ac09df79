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
from pathlib import Path
from typing import Dict

from shipper.lines import LINE, write
from shipper.process import Process
from shipper.sink import Sink

HERE = Path(__file__).resolve().parent


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


class Shipper(Process):
    """One shipper with its state and the files it reads."""

    def __init__(self, recipe: Path, folder: Path, sink: Sink, options: str, binary: str):
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        (folder / "state").mkdir()
        blanks = {
            "recipe": str(recipe), "binary": binary, "config": str(folder / "configuration"), "state": str(folder / "state"),
            "pattern": f"{self.files}/*.log", "endpoint": sink.endpoint, "certificate": str(sink.certificate), "options": options,
            "bin": str(programs(recipe)),
        }
        (folder / "configuration").write_text((recipe / "configuration").read_text().format(**blanks))
        command = shlex.split((recipe / "command").read_text().format(**blanks))
        super().__init__(command, {"PATH": os.environ["PATH"], "HOME": str(folder), **sink.environment()}, folder / "said")


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
    names = ["catching_up", "idle", "freshness", "outage", "killed", "rotated"]
    parser.add_argument("--only", action="append", choices=names, default=[], help="this measurement")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    measurements = dict(zip(names, [
        lambda s, k: catching_up(s, k, chosen.megabytes),
        lambda s, k: idle(s, k, 20),
        lambda s, k: freshness(s, k, 15),
        lambda s, k: outage(s, k, chosen.outage),
        lambda s, k: killed(s, k, chosen.megabytes // 4),
        rotated,
    ]))
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
                        if subject.runs():
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
