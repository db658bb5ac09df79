"""System S2: the main quiz application, from user-data to HTTPS answers, its tasks, its static files and its backups."""

import base64
import http.client
import json
import shutil
import ssl
from contextlib import contextmanager

import pytest
from box import box
from instance import bootstrap, paths
from instance.agent import Running
from scenario import until

from . import laws
from .booted import boot, changed
from .system import System
from .tls import Authority

pytestmark = pytest.mark.full

NAME = "main-application"
DOMAIN = "quiz.example.com"
BUCKET = bootstrap.BUCKET
REPOSITORY = "team/main_application.git"
SOURCE = paths.LAB / "apps" / NAME
PYTHON, APP = "/srv/quiz/venv/bin/python", "/srv/quiz/app"
SECRET = "signing-key-of-the-lab-0123456789-abcdefghij-klmnop"
LOGIN = "operator:password-of-the-lab"
APPLICATION = {"quiz-web.service", "quiz-worker.service", "quiz-flower.service"}
HOUSE = {"nginx.service", "postgresql@15-main.service", "redis-server.service", "quiz-backup.timer"}
# Whether there was something to wait for is a matter of luck.
WAITS = {"flower-answers", "healthy"}
TYPES = {"questions/quiz.css": "text/css", "questions/quiz.js": "text/javascript", "questions/logo.svg": "image/svg+xml"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def quiz(lab, binary, authority):
    """The instance; the tests of this file look at it, in order."""
    certificate, key = authority.certificate(DOMAIN)
    system = System(
        NAME,
        parameters={
            "/main-application/bitbucket-key": lab.bitbucket.deploy_key,
            "/main-application/env/DJANGO_SECRET_KEY": SECRET,
            "/main-application/flower-login": LOGIN,
        },
        objects={f"{BUCKET}/keys/tls.crt": certificate, f"{BUCKET}/keys/tls.key": key},
        repositories={REPOSITORY: (SOURCE, "main")},
        role=NAME,
        patience=2000,
    )
    with boot(lab, binary, system) as booted:
        yield booted


def ask(quiz, authority, path, body=None):
    """What the front door answers, asked from outside by its name."""
    connection = authority.connection(quiz.machine.address, DOMAIN)
    connection.request("GET" if body is None else "POST", path, body and json.dumps(body))
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def sql(quiz, query, database="quiz"):
    """What PostgreSQL answers."""
    return quiz.machine.exec(["psql", "-d", database, "-tAc", query], user="postgres").stdout.strip()


def keys(quiz, prefix):
    """The objects below a prefix of the bucket."""
    found = quiz.aws.boto("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {one["Key"].removeprefix(prefix): one for one in found}


def run(quiz, *options):
    """One more run, which must go well, and what it changed."""
    done = quiz.run(*options)
    assert done.code == 0, done
    return done, changed(done) - WAITS


def locks(quiz, which):
    """How many advisory locks there are that are granted, or not."""
    return int(sql(quiz, f"select count(*) from pg_locks where locktype = 'advisory' and {which}"))


@contextmanager
def somebody_migrates(quiz):
    """Somebody else holds the lock of the migrations, until it is taken from them."""
    hold = "select pg_advisory_lock(hashtext('migrations')), pg_sleep(3600)"
    quiz.machine.exec(["systemd-run", "--unit=somebody", "--uid=postgres", "psql", "-d", "quiz", "-c", hold])
    until(lambda: locks(quiz, "granted"), 60, "somebody else's lock")
    try:
        yield
    finally:
        quiz.sh("systemctl stop somebody; systemctl reset-failed somebody", check=False)


def test_a_plan_is_honest_on_a_box_without_aws_and_systemd(binary):
    with box(binary) as somewhere:
        plan = somewhere.plan(NAME, "--json")
        assert plan.returncode == 10, plan
        ended = {
            event["label"]: event for event in map(json.loads, plan.stdout.splitlines()) if event["event"] == "step_finished"
        }
        endings = {label: event["ending"] for label, event in ended.items()}
        assert set(endings.values()) == {"would_change", "unknown"}, endings
        for label, ending in endings.items():
            if ending == "unknown":
                assert any("cannot" in text for text in ended[label]["reason"]["because"]), ended[label]
        # Everything else is about the account, the programs or the files that these bring, about secrets, or about the region.
        sure = {label for label, ending in endings.items() if ending == "would_change"}
        assert sure == {"account", "packages", "tools"} and len(endings) == 28, endings
        assert somewhere.files() == somewhere.before


def test_the_dry_run_told_the_truth(quiz):
    laws.the_dry_run_told_the_truth(quiz)


def test_https_answers_with_the_certificate_of_the_secret(quiz, authority):
    assert ask(quiz, authority, "/health") == (200, '{"status": "ok"}')
    status, page = ask(quiz, authority, "/")
    assert status == 200 and "How many bits has a byte?" in page
    assert f'href="https://{BUCKET}.s3.amazonaws.com/static/questions/quiz.css"' in page
    shown = authority.connection(quiz.machine.address, DOMAIN).shown()
    assert shown == ssl.PEM_cert_to_DER_cert(quiz.system.objects[f"{BUCKET}/keys/tls.crt"].decode())
    assert quiz.sh("stat -c '%a %U' /etc/nginx/tls.pem /srv/quiz/app/.env /etc/quiz-flower.env").split("\n")[:3] == [
        "600 root", "600 quiz", "600 root",
    ]


def test_port_80_leads_to_https(quiz):
    connection = http.client.HTTPConnection(quiz.machine.address, 80, timeout=30)
    connection.request("GET", "/questions?a=b", headers={"Host": "somewhere.else"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{DOMAIN}/questions?a=b")


def test_only_the_front_door_is_open(quiz):
    listening = {line.split()[3].rpartition(":")[::2] for line in quiz.sh("ss -Hltn").splitlines()}
    open_ports = {port for address, port in listening if address not in ("127.0.0.1", "[::1]")}
    assert open_ports == {"80", "443"}, listening
    assert {("127.0.0.1", port) for port in ("8000", "5555", "5432", "6379")} <= listening, listening


def test_migrations_ran_once(quiz):
    assert sql(quiz, "select string_agg(name, ' ' order by id) from django_migrations") == "0001_initial 0002_first_questions"
    # The second migration would fail if it were run again, and would leave four questions if it could.
    assert sql(quiz, "select count(*) from questions_question") == "2"
    assert sql(quiz, "select rolsuper or rolcreatedb or rolcreaterole from pg_roles where rolname = 'quiz'") == "f"
    assert sql(quiz, "select pg_get_userbyid(datdba) from pg_database where datname = 'quiz'") == "quiz"


def test_static_files_are_in_s3_with_their_types(quiz):
    assert set(keys(quiz, "static/")) == set(TYPES)
    for name, kind in TYPES.items():
        held = quiz.aws.boto("s3").get_object(Bucket=BUCKET, Key=f"static/{name}")
        assert held["ContentType"].split(";")[0] == kind, name
        assert held["Body"].read() == (SOURCE / "questions/static" / name).read_bytes()


def test_celery_does_a_task(quiz, authority):
    number = sql(quiz, "select id from questions_question where solution = 'Bogotá'")
    for text, correct in ((" bogotá ", True), ("Lima", False)):
        status, said = ask(quiz, authority, f"/questions/{number}/answers", {"text": text})
        assert status == 202, said
        place = f"/answers/{json.loads(said)['answer']}"
        graded = until(lambda: (it := json.loads(ask(quiz, authority, place)[1]))["graded_by"] and it, 60, "a graded answer")
        assert graded["correct"] is correct and graded["graded_by"].startswith("celery@"), graded


def test_flower_asks_who_it_is(quiz):
    assert quiz.sh("curl -so /dev/null -w '%{http_code}' http://127.0.0.1:5555/") == "401"
    seen = until(lambda: "celery@" in (it := quiz.get("http://127.0.0.1:5555/workers?json=1", "--user", LOGIN)) and it, 60, "the worker")
    assert seen
    assert LOGIN.partition(":")[2] not in quiz.sh("ps -eo args"), "a password on a command line is everybody's"


def test_the_timers_dump_restores_into_an_empty_database(quiz):
    s3 = quiz.aws.boto("s3")
    assert keys(quiz, "backups/") == {}
    shown = quiz.sh("systemctl show --property=TimersCalendar,ActiveState,UnitFileState,Persistent quiz-backup.timer")
    assert "OnCalendar=*-*-* 03:15:00" in shown and "ActiveState=active" in shown and "UnitFileState=enabled" in shown, shown
    # Its hour comes at once: a line more in the timer's own file, for this boot only.
    folder = "/run/systemd/system/quiz-backup.timer.d"
    soon = "[Timer]\\nOnActiveSec=1s\\nRandomizedDelaySec=0\\nAccuracySec=100ms\\n"
    quiz.sh(f"mkdir -p {folder} && printf '{soon}' >{folder}/now.conf && systemctl daemon-reload && systemctl restart quiz-backup.timer")
    try:
        why = "journalctl --unit=quiz-backup.service --output=cat"
        until(lambda: keys(quiz, "backups/") or "Failed" in quiz.sh(why), 120, "a dump")
        assert keys(quiz, "backups/"), quiz.sh(why)
    finally:
        quiz.sh(f"rm -r {folder} && systemctl daemon-reload && systemctl restart quiz-backup.timer")
    until(lambda: quiz.sh("systemctl is-active quiz-backup.service", check=False).strip() == "inactive", 60, "its end")
    (name,) = keys(quiz, "backups/")
    dump = s3.get_object(Bucket=BUCKET, Key=f"backups/{name}")["Body"].read()
    quiz.machine.exec(["createdb", "restored"], user="postgres")
    restore = "base64 -d | pg_restore --dbname restored --exit-on-error"
    quiz.machine.exec(["sh", "-c", restore], user="postgres", input=base64.b64encode(dump).decode())
    for query in ("select string_agg(text || solution, ' ' order by id) from questions_question", "select count(*) from questions_answer"):
        held = sql(quiz, query, "restored")
        assert held and held == sql(quiz, query), query
    quiz.machine.exec(["dropdb", "restored"], user="postgres")


def test_old_dumps_go_and_a_broken_one_never_comes(quiz):
    program = "/opt/main-application/venv/bin/python /opt/main-application/backup.py"
    region = f"AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL={quiz.lab.aws.endpoint}"
    before = set(keys(quiz, "backups/"))

    def dump(database, days):
        return quiz.machine.exec(["runuser", "-u", "postgres", "--", "sh", "-c",
                                  f"{region} {program} {database} s3://{BUCKET}/backups/ {days}"], check=False)

    broken = dump("nobody", 14)
    assert broken.returncode != 0 and "pg_dump ended with" in broken.stderr, broken
    assert set(keys(quiz, "backups/")) == before
    # Everything is older than no days but what this run brings.
    assert dump("quiz", 14).returncode == 0
    assert before < set(keys(quiz, "backups/"))
    done = dump("quiz", 0)
    assert done.returncode == 0 and done.stdout.count("removed s3://") == 2, done
    assert len(keys(quiz, "backups/")) == 1


def test_the_logs_arrive(quiz, authority):
    ask(quiz, authority, "/health?seen-in-the-access-log")
    group = f"/aws/ec2/{NAME}"
    for text in ("Cloud-init v.", "seen-in-the-access-log", "celery@", "bytes are at s3://", "Listening at"):
        laws.the_logs_arrive(quiz, {group: 7}, {group: text})
    assert SECRET not in quiz.logs(group) and LOGIN.partition(":")[2] not in quiz.logs(group)


def test_the_second_run_has_nothing_to_do(quiz):
    with quiz.restarts(*APPLICATION, *HOUSE) as restarted:
        laws.the_second_run_has_nothing_to_do(quiz)
    assert restarted == set()


def test_a_new_commit_is_migrated_published_and_started(quiz, authority, lab, tmp_path):
    shutil.copytree(SOURCE, tmp_path / "app")
    (tmp_path / "app/questions/migrations/0003_one_more.py").write_text(
        (SOURCE / "questions/migrations/0002_first_questions.py").read_text()
        .replace("0001_initial", "0002_first_questions")
        .replace('{"What is the capital of Colombia?": "Bogotá", "How many bits has a byte?": "8"}', '{"What is 6 times 7?": "42"}')
    )
    (tmp_path / "app/questions/static/questions/quiz.css").write_text("body { font-family: serif; }\n")
    commit = lab.bitbucket.push(REPOSITORY, tmp_path / "app", "one more question")
    before = quiz.aws.journal()[-1]["seq"]
    with quiz.restarts(*APPLICATION, *HOUSE) as restarted, somebody_migrates(quiz):
        running = Running(quiz.machine.inside(quiz.agent.command(["run", "--json", quiz.location])))
        until(lambda: locks(quiz, "not granted") or not running.alive(), 300, "the migration at the lock")
        assert running.alive() and sql(quiz, "select count(*) from questions_question") == "2", running.wait(1)
        sql(quiz, "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted")
        done = running.wait(300)
    steps = changed(done) - WAITS
    assert done.code == 0, done
    assert steps == {"code", "migrations", "collected", "static", "web", "worker", "flower"}, done
    assert restarted == APPLICATION
    assert quiz.sh(f"git -c safe.directory=* -C {APP} rev-parse HEAD 2>/dev/null || cat {APP}/.git/refs/heads/main").strip() == commit
    assert "What is 6 times 7?" in ask(quiz, authority, "/")[1] and sql(quiz, "select count(*) from questions_question") == "3"
    # One file changed, so one is sent.
    sent = [name for call in quiz.aws.journal(since=before, service="s3", action="PutObject") for name in call["names"]]
    assert sent == [f"{BUCKET}/static/questions/quiz.css"]


def test_a_new_certificate_is_shown_without_a_restart(quiz, authority):
    certificate, key = authority.certificate(DOMAIN)
    s3 = quiz.aws.boto("s3")
    # Half of a pair: it is refused before it goes live, and the old one is shown on.
    old = quiz.system.objects[f"{BUCKET}/keys/tls.crt"].decode()
    s3.put_object(Bucket=BUCKET, Key="keys/tls.key", Body=key)
    refused = quiz.run()
    assert refused.code == 1 and refused.endings["certificate"] == "failed", refused
    assert authority.connection(quiz.machine.address, DOMAIN).shown() == ssl.PEM_cert_to_DER_cert(old)
    s3.put_object(Bucket=BUCKET, Key="keys/tls.crt", Body=certificate)
    with quiz.restarts(*APPLICATION, *HOUSE) as restarted:
        done, steps = run(quiz)
    assert steps == {"certificate", "front-door"} and restarted == set(), done
    assert [event["text"].split(" (")[0] for event in done.of("change") if "nginx.service" in event["text"]] == ["reload `nginx.service`"]
    new = ssl.PEM_cert_to_DER_cert(certificate.decode())
    # Connections that the old workers had accepted are theirs to the end.
    until(lambda: authority.connection(quiz.machine.address, DOMAIN).shown() == new, 30, "the new certificate")


def test_a_rotated_setting_restarts_what_reads_it(quiz, authority):
    rotated = SECRET[::-1]
    quiz.aws.boto("ssm").put_parameter(
        Name="/main-application/env/DJANGO_SECRET_KEY", Value=rotated, Type="SecureString", Overwrite=True,
    )
    with quiz.restarts(*APPLICATION, *HOUSE) as restarted:
        done, steps = run(quiz)
    assert steps == {"settings", "web", "worker", "flower"}, done
    assert restarted == APPLICATION and rotated in quiz.machine.read(f"{APP}/.env")
    assert rotated not in done.said and ask(quiz, authority, "/health")[0] == 200


def test_a_changed_template_reloads_nginx_and_a_wrong_one_never_goes_live(quiz, authority):
    with quiz.restarts(*APPLICATION, *HOUSE) as restarted:
        wrong = quiz.run("--set", "upload_limit=five")
        assert wrong.code == 1 and "client_max_body_size" in wrong.failure("site"), wrong
        assert ask(quiz, authority, "/health")[0] == 200 and "five" not in quiz.machine.read("/etc/nginx/nginx.conf")
        done, steps = run(quiz, "--set", "upload_limit=1k")
    assert steps == {"site", "front-door"} and restarted == set(), done
    until(lambda: ask(quiz, authority, "/questions/1/answers", {"text": "x" * 2000})[0] == 413, 30, "the new limit")


def test_the_policy_is_what_it_needs(quiz):
    # Only a dump that is cut short after its first megabytes needs the right to give up.
    laws.the_policy_is_what_it_needs(quiz, rarely={"s3:AbortMultipartUpload"})
