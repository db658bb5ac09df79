"""S4, ANB's video web server: Gunicorn behind Nginx beside Redis, in an Auto Scaling group."""

import json
import shutil

import pytest
from instance import paths

from . import gallery, laws
from .booted import boot, changed
from .poller import Poller
from .system import System

pytestmark = pytest.mark.full

REPOSITORY = "team/MISO4204-Desarrollo_Nube.git"
APPLICATION = paths.LAB / "apps" / "anb-video"
HOME = "/home/appuser/MISO4204-Desarrollo_Nube"
DATABASE = "sqlite:////home/appuser/anb.db?nolock=0&word=correct-horse-battery-staple"
REDIS = "p@ss word/of the lab's queue"
HEALTH = "health http://localhost:8080/health"
UNITS = ("anb-web.service", "nginx.service", "redis-server.service")
CLIP = b"not really a clip, but a web server does not look" * 100


@pytest.fixture(scope="module")
def web(lab, binary):
    system = System(
        "anb-web", group="anb-video-web", hook="web-launching", role="anb-web",
        repositories={REPOSITORY: (APPLICATION, "main")}, objects={"anb-video": b""},
        parameters={
            "/anb-video/deploy-key": lab.bitbucket.deploy_key,
            "/anb-video/prod/database-url": DATABASE,
            "/anb-video/prod/redis-password": REDIS,
        },
    )
    with boot(lab, binary, system) as booted:
        yield booted


@pytest.fixture(scope="module")
def second_revision(web, tmp_path_factory):
    """Somebody pushes."""
    new = tmp_path_factory.mktemp("second") / "application"
    shutil.copytree(APPLICATION, new)
    (new / "REVISION").write_text("2\n")
    web.lab.bitbucket.push(REPOSITORY, new, "second revision")


def test_the_dry_run_told_the_truth(web):
    laws.the_dry_run_told_the_truth(web)


def test_the_hook_was_answered(web):
    laws.the_hook_was_answered_once(web)


def test_it_answers_through_the_front_door(web):
    # From outside the instance, as the load balancer does.
    ask = ["curl", "--silent", "--fail", "--max-time", "10", "--noproxy", "*"]
    assert json.loads(web.outside(*ask, f"http://{web.machine.address}:8080/health")) == {"status": "ok", "revision": "1"}
    # The application itself is not to be had from there.
    assert web.outside(*ask, f"http://{web.machine.address}:8000/health") == ""


def test_the_application_is_appusers_who_is_nobody_special(web):
    pid = web.sh("systemctl show --property=MainPID --value anb-web.service").strip()
    user, command = web.sh(f"ps -o user=,args= -p {pid}").split(maxsplit=1)
    assert user == "appuser" and "gunicorn" in command
    assert web.sh("id --name --groups appuser").split() == ["appuser"]
    assert web.sh(f"stat -c '%a %U:%G' {HOME}/.env") == "600 appuser:appuser\n"
    assert web.sh(f"find {HOME} -not -user appuser") == ""
    show = web.sh("systemctl show --property=Restart,UnitFileState anb-web.service").split()
    assert set(show) == {"Restart=always", "UnitFileState=enabled"}


def test_a_clip_goes_to_s3_and_its_task_to_the_queue(web):
    video = json.loads(web.sh(
        "head -c 3000000 /dev/urandom | curl --silent --fail --data-binary @- 'http://localhost:8080/videos?title=first'"
    ))["id"]
    stored = web.aws.boto("s3").head_object(Bucket="anb-video", Key=f"uploads/{video}")
    assert stored["ContentLength"] == 3_000_000
    assert json.loads(web.get(f"http://localhost:8080/videos/{video}"))["state"] == "uploaded"
    assert redis(web, "llen celery") == "1"


def test_redis_lets_nobody_in_without_the_password(web):
    denied = web.sh(f"redis-cli -h {web.machine.address} llen celery", check=False)
    assert "NOAUTH" in denied, denied


def test_the_logs_are_where_the_operators_look(web):
    prefix = "/aws/ec2/anb-video"
    laws.the_logs_arrive(
        web,
        {f"{prefix}/web-server/fastapi": 7, f"{prefix}/web-server/nginx": 7, f"{prefix}/system/cloud-init": 3},
        {f"{prefix}/web-server/fastapi": "Application startup complete", f"{prefix}/web-server/nginx": "GET /health",
         f"{prefix}/system/cloud-init": "Cloud-init v."},
    )
    text = web.logs(f"{prefix}/web-server/fastapi")
    assert "starting with DATABASE_URL=" in text and "correct-horse-battery-staple" not in text


def test_the_second_run_has_nothing_to_do(web):
    with web.restarts(*UNITS) as restarted:
        laws.the_second_run_has_nothing_to_do(web)
    assert restarted == set()


def test_the_timer_repairs_what_drifted_and_leaves_the_revision(web, second_revision):
    web.sh("echo '# by hand' >>/etc/nginx/nginx.conf; systemctl stop redis-server.service")
    with web.restarts(*UNITS) as restarted:
        run = web.run("--trigger", "timer")
    assert run.code == 0 and restarted == {"redis-server.service"}, (run, restarted)
    assert {"redis", "nginx-settings"} <= changed(run) <= {"redis", "nginx-settings", "nginx", HEALTH}, run
    assert "by hand" not in web.machine.read("/etc/nginx/nginx.conf")
    assert json.loads(web.get("http://localhost:8080/health"))["revision"] == "1"


def test_a_new_commit_takes_over_and_nobody_is_refused(web, second_revision):
    assert web.dry_run().endings["code"] == "would_change"
    with web.restarts(*UNITS) as restarted, Poller(web.lab.network, web.machine.address, 8080, "/health") as client:
        run = web.run()
    assert run.code == 0 and restarted == set(), (run, restarted)
    assert changed(run) - {HEALTH} == {"code", "app"}, run
    assert client.answers and client.failed == [], client.failed[:3]
    gallery.record("anb-web", errors=client.first_to_last_failure())
    assert json.loads(web.get("http://localhost:8080/health"))["revision"] == "2"


def test_a_rotated_secret_restarts_the_application_and_nothing_else(web):
    name = "/anb-video/prod/database-url"
    web.aws.boto("ssm").put_parameter(Name=name, Value=DATABASE.replace("anb.db", "new.db"), Type="SecureString", Overwrite=True)
    with web.restarts(*UNITS) as restarted:
        run = web.run()
    assert run.code == 0 and changed(run) - {HEALTH} == {"settings", "app"} and restarted == {"anb-web.service"}, (run, restarted)
    assert web.sh("ls /home/appuser/new.db")


def test_a_changed_limit_is_reloaded_and_interrupts_nobody(web):
    with web.restarts(*UNITS) as restarted:
        run = web.run("--set", "upload_limit=1k")
    assert run.code == 0 and changed(run) == {"nginx-settings", "nginx"} and restarted == set(), (run, restarted)
    size = "head -c 3000 /dev/zero | curl --silent --output /dev/null --write-out '%{http_code}' --data-binary @- "
    assert web.sh(size + "'http://localhost:8080/videos?title=large'") == "413"


def test_the_policy_is_what_it_needs(web):
    laws.the_policy_is_what_it_needs(web)


def redis(web, command: str) -> str:
    """What Redis says to somebody who knows the password."""
    # By standard input, where neither the shell nor a list of processes sees it.
    said = web.machine.exec(["redis-cli", "--no-auth-warning"], input=f'AUTH "{REDIS}"\n{command}\n').stdout
    return said.split()[-1]
