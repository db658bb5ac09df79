"""Boots S1 alternately by the agent and by Ansible in the same lab, and prints medians and ratios."""

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

from instance import bootstrap, lock, paths  # noqa: E402
from instance.lab import Lab  # noqa: E402
from instance.machine import Machine  # noqa: E402
from meter import Meter  # noqa: E402
from simulator import s1  # noqa: E402

UV = "uv==0.9.11"
SPARE = "uvicorn"  # the application is not what is measured
PLAYBOOK = HERE.parents[1] / "playbooks" / "background-removal.yaml"
UV_STEP = """
  # The bench offers uv to both sides.
  - id: uv
    needs: []
    file: {{ path: /usr/local/bin/uv, source: s3://{bucket}/uv, sha256: {digest}, mode: "0755" }}
"""


def uv() -> bytes:
    """The pinned uv, out of its wheel."""
    kept = paths.cache() / "bench" / UV.replace("==", "-")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        target = kept.with_suffix(".new")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), UV], check=True)
        (target / "bin" / "uv").rename(kept)
    return kept.read_bytes()


def account(lab: Lab) -> None:
    """The account both sides start in."""
    s1.create(lab.aws.control(), parameters=bootstrap.parameters(lab), desired=0)
    playbook = (HERE / "ansible" / "playbook.yaml").read_bytes()
    s1.put_objects(lab.aws.control(), {f"{bootstrap.BUCKET}/uv": uv(), f"{bootstrap.BUCKET}/ansible/playbook.yaml": playbook})


def by_ansible(lab: Lab, installer: str) -> str:
    """User-data of the Ansible way."""
    text = (HERE / "ansible" / "ansible.sh").read_text()
    values = {"BUCKET": bootstrap.BUCKET, "INSTALLER": installer}
    assert set(re.findall(r"@([A-Z0-9_]+)@", text)) == set(values)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def by_agent(lab: Lab, binary: Path, installer: str) -> str:
    """User-data of our way; its first line notes the time, as the other side's does."""
    playbook = PLAYBOOK
    if installer == "uv":
        playbook = lab.directory / "background-removal.yaml"
        text = PLAYBOOK.read_text()
        # Beside the packages, which need nothing from S3: whoever writes a playbook for speed puts it there.
        head, mark, steps = text.partition("\n  - id: code\n")
        assert mark, "the playbook has no step `code`"
        step = UV_STEP.format(bucket=bootstrap.BUCKET, digest=hashlib.sha256(uv()).hexdigest())
        playbook.write_text(head + step + mark + steps)
    bootstrap.publish(lab, binary, playbook)
    script = bootstrap.user_data(binary, f"s3://{bootstrap.BUCKET}/playbooks/{playbook.name}")
    first, _, rest = script.partition("\n")
    return f"{first}\ndate +%s.%N > /run/bench-begin\n{rest}"


def until_in_service(lab: Lab, machine: Machine, seconds: float) -> float:
    """When the lifecycle action was completed, on this machine's clock."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = lab.aws.control().instance(machine.name)
        if state["lifecycle_state"] == "InService":
            return next(entry["time"] for entry in state["history"] if entry["state"] in ("Pending:Proceed", "InService"))
        if state["lifecycle_state"].startswith("Terminat"):
            raise SystemExit(f"the bootstrap failed:\n{machine.why()}")
        time.sleep(0.05)
    raise SystemExit(f"not in service after {seconds} s:\n{machine.why()}")


def second_run(machine: Machine, command: List[str]) -> Dict[str, float]:
    """CPU and wall seconds of a run with nothing to do, children included; the median of three."""
    program = (
        "import json,resource,subprocess,sys,time\nb=time.perf_counter()\n"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,stderr=subprocess.STDOUT,text=True)\n"
        "w=time.perf_counter()-b\nu=resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'code':r.returncode,'said':r.stdout[-2000:],'cpu':u.ru_utime+u.ru_stime,'wall':w,'largest':u.ru_maxrss*1024}))\n"
    )
    found = []
    for _ in range(3):
        # The lab's instances learn where AWS is from systemd; a program entered from outside does not.
        argv = ["systemd-run", "--quiet", "--pipe", "--wait", "--setenv=HOME=/root", "python3", "-c", program, *command]
        result = json.loads(machine.exec(argv, timeout=600).stdout)
        assert result["code"] == 0, result["said"]
        found.append(result)
    assert "nothing to do" in found[0]["said"] or "changed=0" in found[0]["said"], found[0]["said"]
    return {key: statistics.median(one[key] for one in found) for key in ("cpu", "wall", "largest")}


def bootstrap_once(lab: Lab, script: str, again: List[str]) -> Dict[str, float]:
    """One instance from user-data to InService, then a second run; seconds and bytes."""
    machine = lab.launch(script, group=s1.GROUP, role=s1.ROLE, boot=False)
    machine.boot()
    leader = None
    while not leader:
        leader = machine.leader()
    meter = Meter(leader, SPARE)
    done = until_in_service(lab, machine, 900)
    cost = meter.stop()
    begin = float(machine.read("/run/bench-begin"))
    result = {"seconds": done - begin, **cost}
    machine.wait_for_cloud_init()
    if again and again[0].endswith("agent"):
        # Of the boot run, so before any other.
        status = json.loads(machine.exec(["agent", "status", "--json"]).stdout)
        result["own_share"] = status["critical_path"]["own_share"]
    if again:
        result.update({f"again_{key}": value for key, value in second_run(machine, again).items()})
    lab.aws.control().terminate(machine.name, decrement=True, now=True)
    machine.destroy()
    return result


def median(results: List[Dict[str, float]], key: str) -> float:
    values = [one[key] for one in results if key in one]
    return statistics.median(values) if values else float("nan")


ROWS = [
    ("user-data's first line to lifecycle completed", "seconds", "s", 1.0),
    ("second run, CPU", "again_cpu", "s", 1.0),
    ("second run, wall", "again_wall", "s", 1.0),
    ("peak memory, largest process", "largest", "MiB", 2.0**20),
    ("peak memory, whole tree", "tree", "MiB", 2.0**20),
    ("peak memory, agent or Ansible alone (no apt, uv, pip), largest process", "own_largest", "MiB", 2.0**20),
    ("peak memory, agent or Ansible alone, all its processes", "own", "MiB", 2.0**20),
    ("written to disk", "written", "MiB", 2.0**20),
]


def table(title: str, ours: List[Dict[str, float]], theirs: List[Dict[str, float]]) -> None:
    print(f"\n### {title}, median of {len(ours)} interleaved pair{'s' if len(ours) > 1 else ''}\n")
    print("| | agent | Ansible | ratio |\n|---|---:|---:|---:|")
    for name, key, unit, scale in ROWS:
        a, b = median(ours, key) / scale, median(theirs, key) / scale
        if a == a and b == b:
            print(f"| {name} | {a:.3g} {unit} | {b:.3g} {unit} | {b / a:.1f}× |")


def pairs(lab: Lab, binary: Path, installer: str, count: int, again: bool) -> None:
    ours, theirs = [], []
    extra = ["-e", f"bucket={bootstrap.BUCKET}", "-e", f"installer={installer}", "-e", "instance_id=i-00000000000000000"]
    ansible = ["env", "AWS_DEFAULT_REGION=us-east-1", "ansible-playbook", "-i", "localhost,", "-c", "local", "/root/playbook.yaml", *extra]
    name = "background-removal.yaml"
    agent = ["/usr/local/bin/agent", "run", "--trigger", "manual", f"s3://{bootstrap.BUCKET}/playbooks/{name}", *bootstrap.OPTIONS]
    for number in range(count):
        ours.append(bootstrap_once(lab, by_agent(lab, binary, installer), agent if again else []))
        theirs.append(bootstrap_once(lab, by_ansible(lab, installer), ansible if again else []))
        print(f"pair {number + 1} ({installer}): {ours[-1]['seconds']:.1f} s and {theirs[-1]['seconds']:.1f} s", file=sys.stderr)
    table(f"S1 with {installer}", ours, theirs)
    for side, results in (("the agent's", ours), ("Ansible's", theirs)):
        print(f"\nlargest process on {side} side: {', '.join(sorted({str(one['who']) for one in results}))}")
    share = median(ours, "own_share")
    if share == share:
        print(f"\nour own share of the critical path: {share * 100:.1f} %")


def start_up(binary: Path) -> None:
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        subprocess.run([binary, "--version"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begin)
    print(f"\nbinary: {binary.stat().st_size / 1e6:.1f} MB, start-up {min(times) * 1000:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs with uv (one more pair is run with pip alone)")
    parser.add_argument("--binary", type=Path, default=Path(os.environ.get("AGENT_BINARY", "target/dist/agent-x86_64")))
    options = parser.parse_args()
    lab = Lab("bench")
    with lock.held(paths.lock("bench"), "the bench's lab"):
        try:
            lab.up()
            account(lab)
            pairs(lab, options.binary, "uv", options.pairs, again=True)
            pairs(lab, options.binary, "pip", 1, again=False)
            start_up(options.binary)
        finally:
            lab.down()


if __name__ == "__main__":
    main()
