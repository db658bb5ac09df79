"""Files from S3: whatever their size, they are never in memory, never half there, and not fetched again without need."""

import base64
import hashlib
import json
import os

import pytest
from scenario import calls, hits, until
from simulator import s1

BUCKET = "artifacts"
# Far more than any process of ours may use.
SIZE = 200 * 1024 * 1024
MOST_MEMORY = 64 * 1024 * 1024
PLAYBOOK = """
version: 1
name: downloads
steps:
  - file: {{ path: {path}, source: s3://artifacts/large, mode: "0640"{more} }}
"""
MEASURE = (
    "import json,resource,subprocess,sys\n"
    "r=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,stderr=subprocess.STDOUT,text=True)\n"
    "u=resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "print(json.dumps({'code':r.returncode,'said':r.stdout,'largest':u.ru_maxrss*1024,'cpu':u.ru_utime+u.ru_stime}))\n"
)


@pytest.fixture(scope="module")
def large():
    """Bytes that do not compress, and their digest."""
    content = os.urandom(1024 * 1024) * (SIZE // (1024 * 1024))
    return content, hashlib.sha256(content).hexdigest()


@pytest.fixture
def agent(aws, equip, large):
    s1.create(aws, parameters={}, desired=0, hooks=())
    s1.put_objects(aws, {f"{BUCKET}/large": large[0]})
    return equip(group=s1.GROUP, role=s1.ROLE)


def measured(agent, playbook):
    """A run, with the memory of its largest process."""
    command = agent.command(["run", "--trigger", "manual", agent.put(playbook)])
    return json.loads(agent.machine.exec(["python3", "-c", MEASURE, *command], timeout=300).stdout)


def digest_of(agent, path):
    return agent.machine.exec(["sha256sum", path]).stdout.split()[0]


def names(agent, folder):
    return agent.machine.exec(["ls", "-A", folder]).stdout.split()


def test_a_large_object_is_never_in_memory_and_is_fetched_when_it_has_changed(agent, aws, large):
    playbook = PLAYBOOK.format(path="/srv/large", more="")
    first = measured(agent, playbook)
    assert first["code"] == 0, first["said"]
    assert digest_of(agent, "/srv/large") == large[1]
    assert agent.machine.exec(["stat", "-c", "%U %a", "/srv/large"]).stdout == "root 640\n"
    assert first["largest"] < MOST_MEMORY, f"{first['largest'] >> 20} MiB"
    assert len(calls(aws, "GetObject")) == 1

    again = measured(agent, playbook)
    assert again["code"] == 0 and "nothing to do" in again["said"], again["said"]
    assert len(calls(aws, "GetObject")) == 1, "its entity tag says that it is the same"
    assert again["largest"] < MOST_MEMORY

    # Somebody changes a byte in place, and sets the times back.
    script = "t=$(stat -c %y /srv/large); printf x | dd of=/srv/large conv=notrunc status=none; touch -d \"$t\" /srv/large"
    agent.machine.exec(["sh", "-c", script])
    assert digest_of(agent, "/srv/large") != large[1]
    assert measured(agent, playbook)["code"] == 0
    assert digest_of(agent, "/srv/large") == large[1]

    other = b"another object\n"
    s1.put_objects(aws, {f"{BUCKET}/large": other})
    assert measured(agent, playbook)["code"] == 0
    assert digest_of(agent, "/srv/large") == hashlib.sha256(other).hexdigest()


def test_in_a_users_tree_the_user_writes_it_without_holding_it(agent, large):
    playbook = PLAYBOOK.format(path="/home/ubuntu/large", more=f", owner: ubuntu, sha256: {large[1]}")
    run = measured(agent, playbook)
    assert run["code"] == 0, run["said"]
    assert digest_of(agent, "/home/ubuntu/large") == large[1]
    assert agent.machine.exec(["stat", "-c", "%U %a", "/home/ubuntu/large"]).stdout == "ubuntu 640\n"
    assert run["largest"] < MOST_MEMORY, f"{run['largest'] >> 20} MiB"
    assert "nothing to do" in measured(agent, playbook)["said"]
    assert names(agent, "/var/lib/bootstrap-agent/downloads") == []


def test_a_download_cut_in_the_middle_leaves_nothing_and_the_next_run_finishes(agent, aws, large):
    folder = "/srv/app"
    agent.machine.exec(["mkdir", "-p", folder])
    once = PLAYBOOK.format(path=f"{folder}/large", more=f", sha256: {large[1]}")
    broken = once.replace("  - file:", "  - timeout: 8s\n    file:")
    rule = aws.fault("truncate", service="s3", action="GetObject", name="artifacts/large")
    run = agent.run(broken)
    assert run.code == 1 and hits(aws, rule) > 1, run
    assert "s3://artifacts/large" in run.failure(next(iter(run.endings))), run
    assert names(agent, folder) == [], "half a file was left behind"
    aws.clear_faults()

    running = agent.start(once)
    upper = agent.machine.upper / folder.lstrip("/")
    half = until(lambda: [one for one in upper.iterdir() if one.stat().st_size > 1 << 20], 60, "the download begins")[0]
    assert half.name.startswith(".large.bootstrap-agent.") and half.stat().st_mode & 0o777 == 0o600
    running.kill()
    assert not agent.exists(f"{folder}/large")
    run = agent.run(once)
    assert run.code == 0, run
    assert names(agent, folder) == ["large"] and digest_of(agent, f"{folder}/large") == large[1]


def test_other_bytes_than_promised_never_get_the_name(agent):
    wrong = hashlib.sha256(b"other").hexdigest()
    run = agent.run(PLAYBOOK.format(path="/srv/large", more=f", sha256: {wrong}"))
    assert run.code == 1 and wrong in run.failure(next(iter(run.endings))), run
    assert names(agent, "/srv") == []


def test_a_package_file_comes_from_s3(agent, aws):
    machine = agent.machine
    control = "Package: of-ours\nVersion: 1.0\nArchitecture: all\nMaintainer: us <us@example.com>\nDescription: a test\n"
    machine.exec(["mkdir", "-p", "/root/deb/DEBIAN", "/root/deb/opt"])
    machine.exec(["tee", "/root/deb/DEBIAN/control"], input=control)
    machine.exec(["dpkg-deb", "--build", "--root-owner-group", "/root/deb", "/root/of-ours.deb"])
    content = base64.b64decode(machine.exec(["base64", "/root/of-ours.deb"]).stdout)
    s1.put_objects(aws, {f"{BUCKET}/of-ours.deb": content})
    item = "{{ name: of-ours, version: '1.0', deb: 's3://artifacts/of-ours.deb', sha256: {} }}"
    playbook = "version: 1\nname: debs\nsteps:\n  - packages: [{}]\n"
    run = agent.run(playbook.format(item.format(hashlib.sha256(b"other").hexdigest())))
    assert run.code == 1 and "sha256" in run.failure(next(iter(run.endings))), run
    playbook = playbook.format(item.format(hashlib.sha256(content).hexdigest()))
    run = agent.run(playbook)
    assert run.code == 0, run
    assert "ok installed" in machine.exec(["dpkg-query", "--status", "of-ours"]).stdout
    assert list(agent.run(playbook).endings.values()) == ["unchanged"]
    assert len(calls(aws, "GetObject")) == 2
    assert names(agent, "/var/lib/bootstrap-agent/downloads") == []
