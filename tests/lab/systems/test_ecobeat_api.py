"""S8, the Ecobeat API: a new commit beside the live one, traffic that moves when it is healthy, and a broken one that gets none."""

import json
import shutil

import pytest
from instance import bootstrap, paths
from scenario import until

from . import gallery, laws, node
from .booted import boot, changed
from .poller import Poller
from .system import System

pytestmark = pytest.mark.full

REPOSITORY = "team/ecobeat-api.git"
SOURCE = paths.LAB / "apps" / "ecobeat-api"
APP = "/srv/ecobeat-api"
SESSION, REDIS = "session secret of the lab, long enough", "p@ss of the lab's redis"
SLOTS = ("ecobeat-api@3011.service", "ecobeat-api@3012.service")
API, NGINX = "/ecobeat/staging/api", "/ecobeat/staging/nginx"
# A release that is not healthy is given up sooner than in earnest.
SOON = ("--set", "patience=15s")
BROKEN = "await ask(\"PING\");"


@pytest.fixture(scope="module")
def api(lab, binary):
    """The instance; the tests of this file look at it, in order."""
    system = System(
        "ecobeat-api", options=("--vars", "vars/staging.yaml"), role="ecobeat-api",
        repositories={REPOSITORY: (SOURCE, "develop")},
        objects={f"{bootstrap.BUCKET}/node/node-v{node.VERSION}-linux-x64.tar.gz": node.archive()},
        parameters={
            "/ecobeat/deploy-key": lab.bitbucket.deploy_key,
            "/ecobeat/staging/env/SESSION_SECRET": SESSION,
            "/ecobeat/staging/redis-password": REDIS,
        },
    )
    with boot(lab, binary, system) as booted:
        yield booted


def poll(api):
    """A client of the front door."""
    return Poller(api.lab.network, api.machine.address, 3001, "/health")


def health(api):
    """What the front door says."""
    return json.loads(api.get("http://127.0.0.1:3001/health"))


def push(api, tmp_path, old="", new=""):
    """A commit in which `old` is replaced in the server; nothing is, and the commit is another one all the same."""
    folder = tmp_path / "next"
    shutil.copytree(SOURCE, folder)
    server = (folder / "server.js").read_text()
    assert old in server
    (folder / "server.js").write_text(server.replace(old, new) if old else server)
    return api.lab.bitbucket.push(REPOSITORY, folder, "another commit", "develop")


def active(api):
    """The slots that run."""
    states = api.sh(f"systemctl is-active {' '.join(SLOTS)}", check=False).split()
    return {slot for slot, state in zip(SLOTS, states) if state == "active"}


def current(api):
    """The commit that is live."""
    return api.sh(f"readlink {APP}/current").strip().removeprefix("releases/")


def test_the_dry_run_told_the_truth(api):
    laws.the_dry_run_told_the_truth(api)


def test_it_answers_through_the_front_door_and_nowhere_else(api):
    ask = ["curl", "--silent", "--fail", "--max-time", "10", "--noproxy", "*"]
    said = json.loads(api.outside(*ask, f"http://{api.machine.address}:3001/health"))
    assert (said["status"], said["environment"], said["commit"]) == ("ok", "staging", current(api))
    assert said["node"] == f"v{node.VERSION}"
    assert api.outside(*ask, f"http://{api.machine.address}:3011/health") == ""


def test_the_application_is_ecobeats_and_its_settings_roots(api):
    pid = api.sh(f"systemctl show --property=MainPID --value {SLOTS[0]}").strip()
    assert api.sh(f"ps -o user=,args= -p {pid}").split() == ["ecobeat", f"/opt/node-{node.VERSION}/bin/node", "server.js"]
    assert api.sh("stat -c '%a %U:%G' /etc/ecobeat-api.env") == "600 root:root\n"
    assert api.sh(f"find {APP} -not -user ecobeat") == ""


def test_sessions_are_in_redis(api):
    token = json.loads(api.get("http://127.0.0.1:3001/login?user=ada@example.com"))["token"]
    assert json.loads(api.get("http://127.0.0.1:3001/me", "--header", f"Authorization: Bearer {token}")) == {"user": "ada@example.com"}
    assert "NOAUTH" in api.sh("redis-cli --no-raw keys '*'", check=False)


def test_events_arrive_as_json_and_masked(api):
    laws.the_logs_arrive(api, {API: 30, NGINX: 30}, {API: '"event":"login"', NGINX: "GET /login"})
    text = api.logs(API)
    login = next(line for line in text.splitlines() if '"event":"login"' in line)
    assert json.loads(login)["level"] == "info"
    assert "ada@example.com" not in text and SESSION not in text
    assert "***" in json.loads(login)["authorization"] and "***" in json.loads(login)["session_secret"], login
    stored = api.sh("journalctl --unit='ecobeat-api@*' --output=cat")
    assert "ada@example.com" in stored, "the application did not say what was to be masked"


def test_the_second_run_has_nothing_to_do(api):
    with api.restarts(*SLOTS, "nginx.service", "redis-server.service") as restarted:
        laws.the_second_run_has_nothing_to_do(api)
    assert restarted == set()


def test_a_new_commit_takes_over_without_an_error(api, tmp_path):
    old, new = current(api), push(api, tmp_path)
    assert api.dry_run().endings["code"] == "would_change"
    with poll(api) as client, api.restarts("nginx.service", "redis-server.service") as restarted:
        run = api.run()
        until(lambda: health(api)["commit"] == new, 30, "traffic on the new release")
    assert run.code == 0, run
    assert client.failed == [], client.failed[:3]
    gallery.record("ecobeat-api", errors=client.first_to_last_failure())
    seen = [json.loads(answer["said"])["commit"] for answer in client.answers]
    assert len(seen) > 20 and seen[0] == old and seen[-1] == new and set(seen) == {old, new}
    # The old one answered until the new one had been healthy for a while.
    ended = {event["label"]: event["at"] / 1000 for event in run.of("step_finished")}
    assert min(answer["at"] for answer, commit in zip(client.answers, seen) if commit == new) > ended["candidate"]
    assert restarted == set() and active(api) == {SLOTS[1]} and current(api) == new
    assert {"code", "release", "candidate", "traffic", "nginx", "at-boot", "spare"} <= changed(run)
    assert not {"packages", "node", "settings", "redis", "unit"} & changed(run), run


def test_a_broken_commit_gets_no_traffic_and_is_held_back(api, tmp_path):
    live, broken = current(api), push(api, tmp_path, BROKEN, 'throw new Error("broken");')
    with poll(api) as client:
        run = api.run(*SOON)
        assert run.code == 1, run
        why = run.failure("candidate")
        assert "HTTP 503" in why or "503" in why, why
        assert f"`{broken[:10]}` in `{APP}` was stopped, and `{live[:10]}` stays live" in why, why
        assert current(api) == live and active(api) == {SLOTS[1]}
        (held,) = api.agent.status()["held_back"]
        assert (held["path"], held["commit"], held["stays_on"]) == (APP, broken, live) and "503" in held["because"], held
        assert "drift: `/srv/ecobeat-api` stays on" in api.machine.exec(api.agent.command(["status"]), check=False).stdout
        # The timer leaves it alone, and repairs everything else.
        api.sh("rm /etc/nginx/nginx.conf")
        again = api.run("--trigger", "timer", *SOON)
        # What Nginx has read is what is there again, so it has nothing to read.
        assert again.code == 0 and changed(again) == {"traffic"}, again
        assert any(broken[:10] in notice["text"] and "--retry-revision" in notice["text"] for notice in again.of("notice")), again
        # Whoever asks for another try gets one.
        retried = api.run("--retry-revision", *SOON)
        assert retried.code == 1 and retried.endings["candidate"] == "failed", retried
    assert client.failed == [], client.failed[:3]
    assert {json.loads(answer["said"])["commit"] for answer in client.answers} == {live}


def test_one_that_dies_at_its_start_gets_none_either(api, tmp_path):
    live = current(api)
    push(api, tmp_path, '"use strict";', 'throw new Error("it dies");')
    with poll(api) as client:
        run = api.run(*SOON)
    assert run.code == 1 and run.endings["candidate"] == "failed" and "stays live" in run.failure("candidate"), run
    assert client.failed == [] and current(api) == live and active(api) == {SLOTS[1]}
    assert len(api.agent.status()["held_back"]) == 2


def test_when_the_branch_moves_the_timer_deploys_and_the_drift_is_over(api, tmp_path):
    fixed = push(api, tmp_path)
    with poll(api) as client:
        run = api.run("--trigger", "timer")
    assert run.code == 0 and client.failed == [], (run, client.failed[:3])
    assert current(api) == health(api)["commit"] == fixed and active(api) == {SLOTS[0]}
    assert api.agent.status()["held_back"] == []
    assert len(api.sh(f"ls {APP}/releases").split()) <= 4


def test_a_rotated_secret_restarts_in_place(api):
    api.aws.boto("ssm").put_parameter(
        Name="/ecobeat/staging/env/SESSION_SECRET", Type="SecureString", Value=f"{SESSION} rotated", Overwrite=True,
    )
    with poll(api) as client, api.restarts(*SLOTS, "nginx.service", "redis-server.service") as restarted:
        run = api.run()
    assert run.code == 0 and changed(run) - {"candidate", "moved"} == {"settings", "release"}, run
    assert restarted == {SLOTS[0]} and client.answers[-1]["status"] == 200
    print(f"a restart in place: {len(client.failed)} errors within {client.first_to_last_failure():.2f} s")


def test_the_policy_is_what_it_needs(api):
    laws.the_policy_is_what_it_needs(api)
