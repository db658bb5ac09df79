"""S5, ANB's video worker: Celery and a real FFmpeg, in no group, with the web server's Redis between them."""

import json
from dataclasses import replace

import pytest
from instance import paths
from scenario import calls, until

from . import laws
from .booted import bare, boot, changed
from .system import System

pytestmark = pytest.mark.full

REPOSITORY = "team/MISO4204-Desarrollo_Nube.git"
APPLICATION = paths.LAB / "apps" / "anb-video"
HOME = "/home/appuser/MISO4204-Desarrollo_Nube"
PASSWORD, ROTATED = "first p@ss of the queue", "second p@ss of the queue"
UNITS = ("anb-worker.service",)
CELERY, FFMPEG = "/aws/ec2/anb-video/worker/celery", "/aws/ec2/anb-video/worker/ffmpeg"
BROKER = """
version: 1
name: broker
secrets: { password: "ssm:/broker/password" }
steps:
  - packages: [redis-server]
  - id: settings
    file: { path: /etc/redis/lab.conf, content: 'bind *{{ "\\n" }}requirepass {{ secrets.password | tojson }}', owner: redis, mode: "0600" }
  - id: include
    line: { path: /etc/redis/redis.conf, line: include /etc/redis/lab.conf }
  - service: { name: redis-server.service, restart_on: [settings, include] }
  - health: { tcp: "localhost:6379" }
"""


@pytest.fixture(scope="module")
def broker(lab, binary):
    """The web server, as far as the worker sees it: a Redis with a password."""
    account(lab).create(lab)
    with bare(lab, binary) as agent:
        put(lab, "/broker/password", PASSWORD)
        run = agent.run(BROKER, seconds=300)
        assert run.code == 0, run
        yield agent


@pytest.fixture(scope="module")
def worker(lab, binary, broker):
    with boot(lab, binary, replace(account(lab), options=("--set", f"broker={broker.machine.address}")), created=True) as booted:
        yield booted


def account(lab) -> System:
    """What both of them find in AWS."""
    return System(
        "anb-worker", role="anb-worker", repositories={REPOSITORY: (APPLICATION, "main")}, objects={"anb-video": b""},
        parameters={"/anb-video/deploy-key": lab.bitbucket.deploy_key, "/anb-video/prod/redis-password": PASSWORD},
    )


def test_the_dry_run_told_the_truth(worker):
    laws.the_dry_run_told_the_truth(worker)


def test_it_finished_cleanly_with_nobody_to_tell(worker):
    status = worker.agent.status()
    assert status["outcome"] == {"is": "converged"} and status["trigger"] == "boot", status
    assert any("no Auto Scaling group" in text for text in status["lifecycle"]), status["lifecycle"]
    assert calls(worker.aws, "CompleteLifecycleAction") == []
    assert worker.sh("systemctl is-failed bootstrap-agent.service", check=False).strip() != "failed"


def test_a_clip_is_processed_by_a_real_ffmpeg(worker):
    worker.sh("ffmpeg -v error -f lavfi -i testsrc=duration=2:size=320x240:rate=10 -y /var/tmp/clip.mp4")
    clip = (worker.machine.upper / "var/tmp/clip.mp4").read_bytes()
    s3 = worker.aws.boto("s3")
    s3.put_object(Bucket="anb-video", Key="uploads/first", Body=clip)
    ask(worker, "first")
    shown = until(lambda: result(s3, "first"), 120, "the processed clip")
    (worker.machine.upper / "var/tmp/shown.mp4").write_bytes(shown)
    probe = worker.sh("ffprobe -v error -show_entries stream=codec_name,width,height -show_entries format=duration -of json /var/tmp/shown.mp4")
    (stream,) = json.loads(probe)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 640, 360)
    assert 1.5 < float(json.loads(probe)["format"]["duration"]) < 2.5
    assert s3.head_object(Bucket="anb-video", Key="processed/first.mp4")["ContentType"] == "video/mp4"


def test_the_logs_are_where_the_operators_look(worker):
    laws.the_logs_arrive(worker, {CELERY: 7, FFMPEG: 7}, {CELERY: "anb.process", FFMPEG: "ffmpeg of video first"})
    assert "converged" in worker.logs(CELERY)
    assert PASSWORD not in worker.logs(CELERY)


def test_the_second_run_has_nothing_to_do(worker):
    with worker.restarts(*UNITS) as restarted:
        laws.the_second_run_has_nothing_to_do(worker)
    assert restarted == set()


def test_a_rotated_password_restarts_the_worker_and_nothing_else(worker, broker):
    put(worker.lab, "/broker/password", ROTATED)
    put(worker.lab, "/anb-video/prod/redis-password", ROTATED)
    assert broker.run(BROKER).code == 0
    with worker.restarts(*UNITS) as restarted:
        run = worker.run()
    assert run.code == 0 and restarted == set(UNITS), (run, restarted)
    assert changed(run) - {"health"} >= {"settings", "worker"} and "code" not in changed(run), run
    s3 = worker.aws.boto("s3")
    s3.copy_object(Bucket="anb-video", Key="uploads/second", CopySource="anb-video/uploads/first")
    ask(worker, "second")
    assert until(lambda: result(s3, "second"), 120, "a clip after the rotation")


def test_the_policy_is_what_it_needs(worker):
    laws.the_policy_is_what_it_needs(worker)


def ask(worker, video: str) -> None:
    """Leaves a task in the queue, as the web server does."""
    worker.sh(f"set -a; . {HOME}/.env; cd {HOME}; runuser -u appuser -- .venv/bin/celery --app worker call anb.process --args '[\"{video}\"]'")


def put(lab, name: str, value: str) -> None:
    """Another value for a parameter."""
    lab.aws.control().boto("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def result(s3, video: str) -> bytes:
    """The processed clip, nothing as long as there is none."""
    listed = s3.list_objects_v2(Bucket="anb-video", Prefix=f"processed/{video}.mp4").get("Contents", [])
    return s3.get_object(Bucket="anb-video", Key=listed[0]["Key"])["Body"].read() if listed else b""
