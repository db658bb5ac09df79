"""S6: one playbook, two environments. Every test here is true of `prod` and of `dev`, which differ in variables and nothing else."""

import dataclasses
import json
import shutil

import pytest
import yaml
from instance import bootstrap, paths
from instance.command import run
from simulator import s1

from . import laws
from .booted import boot, changed
from .database import ROOT_PASSWORD, Database
from .system import GALLERY, System

pytestmark = pytest.mark.full

REPOSITORY = "fineart/backend.git"
APPLICATION = paths.LAB / "apps" / "fineart-backend"
BRANCHES = {"prod": "main", "dev": "develop"}
UNITS = ("fineart.service", "ssh.service", "nftables.service")
# With what a URL has to quote.
OWNER, APP, NEW_APP = "owner's p@ss/word 2201", "app's p@ss/word 4402", "app's new p@ss/word 5503"
SIGNING_KEY = "signs-the-links-of-pictures-7788"
HEALTH = "health http://localhost:8000/health"


class FineArt(System):
    """The system, with the policy of its environment: the example is the one of `prod`."""

    @property
    def environment(self):
        return self.overrides()["environment"]

    @property
    def policy(self):
        return json.loads((self.playbook / "policy.json").read_text().replace("prod", self.environment))


@pytest.fixture(scope="module")
def database(lab):
    server = Database(lab)
    try:
        yield server
    finally:
        server.machine.destroy()


@pytest.fixture(scope="module")
def repository(lab):
    lab.bitbucket.repository(REPOSITORY, APPLICATION)
    lab.bitbucket.push(REPOSITORY, APPLICATION, "what comes next", BRANCHES["dev"])


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """An administrator's key."""
    path = tmp_path_factory.mktemp("administrator") / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "administrator", "-f", path])
    return path


@pytest.fixture(scope="module", params=sorted(BRANCHES))
def fineart(lab, binary, database, repository, key, request):
    environment = request.param
    name = f"fineart_{environment}"
    database.file((GALLERY / "fineart-backend" / "database.sql").read_text(), {"OWNER_PASSWORD": OWNER, "APP_PASSWORD": APP}, name=name)
    below = f"/fineart/{environment}"
    # The load balancer is the lab's own address, administrators come from the host's.
    addresses = {"load_balancer": lab.network.aws, "administration": "198.19.0.0/16", "database_host": database.address}
    options = [word for name, value in addresses.items() for word in ("--set", f"{name}={value}")]
    system = FineArt(
        "fineart-backend", options=("--vars", f"vars/{environment}.yaml", *options), role="fineart",
        parameters={
            f"{below}/deploy-key": lab.bitbucket.deploy_key, f"{below}/database/owner-password": OWNER,
            f"{below}/database/app-password": APP, f"{below}/env/SIGNING_KEY": SIGNING_KEY,
            f"{below}/administrators": key.with_suffix(".pub").read_text(),
        },
        objects={
            f"{bootstrap.BUCKET}/fineart/database-ca.pem": database.authority.encode(), f"fineart-media-{environment}": b"",
        },
    )
    with boot(lab, binary, system) as booted:
        yield booted


def ask(fineart, path, *options, source=""):
    """What somebody on the network is answered: the status, and the JSON. The load balancer, unless another address is given."""
    command = ["curl", "--silent", "--max-time", "10", "--noproxy", "*", "--write-out", "\n%{http_code}", *options]
    command += ["--interface", source] if source else []
    said = run(fineart.lab.network.inside(*command, f"http://{fineart.machine.address}:8000{path}"), check=False).stdout
    body, _, status = said.rpartition("\n")
    return int(status), json.loads(body) if body.startswith(("{", "[")) else body


def send(content, method="POST"):
    return ["--request", method, "--header", "Content-Type: application/json", "--data", json.dumps(content)]


def in_database(fineart, sql, user="app", password=APP):
    """What the database answers somebody on the instance; with the exit code."""
    name = f"fineart_{fineart.system.environment}"
    host = fineart.system.overrides()["database_host"]
    target = f"host={host} user={name}_{user} dbname={name} sslmode=verify-full sslrootcert=/etc/fineart/database-ca.pem"
    argv = ["env", f"PGPASSWORD={password}", "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", sql, target]
    return fineart.machine.exec(argv, check=False)


def test_the_environments_differ_in_variables_only():
    folder = GALLERY / "fineart-backend"
    prod, dev = (yaml.safe_load((folder / "vars" / f"{name}.yaml").read_text()) for name in ("prod", "dev"))
    assert set(prod) == set(dev)
    text = (folder / "playbook.yaml").read_text()
    assert "when:" not in text and "fineart/prod" not in text and "fineart/dev" not in text


def test_the_dry_run_told_the_truth(fineart):
    laws.the_dry_run_told_the_truth(fineart)


def test_without_a_group_there_was_nobody_to_tell(fineart):
    said = " ".join(event["text"] for event in fineart.events if event["event"] == "lifecycle")
    assert "nobody to tell" in said, said
    assert fineart.agent.status()["outcome"] == {"is": "converged"}


def test_the_load_balancer_is_answered_and_nobody_else(fineart):
    healthy = {"status": "ok", "database": "ok", "environment": fineart.system.environment}
    assert ask(fineart, "/health") == (200, healthy)
    assert ask(fineart, "/health", source=fineart.lab.network.bitbucket)[0] == 0
    assert json.loads(fineart.get("http://localhost:8000/health")) == healthy


def test_works_are_kept_in_the_database_and_their_pictures_in_s3(fineart):
    status, entered = ask(fineart, "/artworks", *send({"title": "Nighthawks", "artist": "Hopper", "year": 1942}))
    assert status == 201
    assert ask(fineart, "/artworks", *send({"title": "", "artist": "Nobody", "year": 1}))[0] == 422
    status, link = ask(fineart, f"/artworks/{entered['id']}/picture", "--request", "PUT", "--header", "Content-Type: image/png", "--data", "PNG")
    assert status == 200
    stored = fineart.aws.boto("s3").get_object(Bucket=f"fineart-media-{fineart.system.environment}", Key=f"artworks/{entered['id']}")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"PNG", "image/png")
    assert ask(fineart, link["link"]) == (200, "PNG")
    assert ask(fineart, link["link"][:-1] + ("0" if link["link"][-1] != "0" else "1"))[0] == 403
    assert entered["id"] in [work["id"] for work in ask(fineart, "/artworks")[1]]


def test_its_database_user_reads_and_writes_rows_and_no_more(fineart):
    assert in_database(fineart, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").stdout == "t\n"
    assert in_database(fineart, "select count(*) > 0 from artworks").stdout == "t\n"
    for sql in ("create table more (id int)", "drop table artworks", "truncate artworks", "create role friend", "create database other"):
        denied = in_database(fineart, sql)
        assert denied.returncode != 0 and ("denied" in denied.stderr or "must be owner" in denied.stderr), (sql, denied)
    assert "authentication failed" in in_database(fineart, "select 1", user="owner").stderr


def test_neither_the_owner_nor_the_root_user_is_known_to_the_instance(fineart):
    needles = [text.encode() for text in (OWNER, "owner%27s%20p%40ss%2Fword%202201", ROOT_PASSWORD)]
    found = [
        str(path) for path in fineart.machine.upper.rglob("*") if path.is_file() and not path.is_symlink()
        for needle in needles if needle in path.read_bytes()
    ]
    assert found == []
    assert fineart.sh("stat -c '%a %U' /etc/fineart/environment") == "600 root\n"
    assert SIGNING_KEY in fineart.sh("cat /etc/fineart/environment")


def login(fineart, key, user):
    options = [
        "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes",
        "-o", "ConnectTimeout=10", "-F", "none",
    ]
    return run(["ssh", *options, f"{user}@{fineart.machine.address}", "id", "--user", "--name"], check=False)


def test_ssh_is_for_administrators(fineart, key):
    assert login(fineart, key, "ubuntu").stdout == "ubuntu\n"
    for other in ("root", "fineart"):
        denied = login(fineart, key, other)
        assert denied.returncode == 255 and "Permission denied" in denied.stderr, denied
    # From where the load balancer is, the port does not answer at all.
    probe = ["bash", "-c", f"timeout 3 bash -c '</dev/tcp/{fineart.machine.address}/22'"]
    assert run(fineart.lab.network.inside(*probe), check=False).returncode == 124
    settings = fineart.sh("/usr/sbin/sshd -T").splitlines()
    assert {"passwordauthentication no", "permitrootlogin no", "allowusers ubuntu", "allowtcpforwarding no"} <= set(settings)


def test_the_logs_arrive_and_hold_no_secret(fineart):
    group = f"/aws/ec2/fineart-backend/{fineart.system.environment}"
    laws.the_logs_arrive(
        fineart, {group: 30, f"{group}/administration": 90}, {group: "Uvicorn running", f"{group}/administration": "Accepted publickey for ubuntu"},
    )
    text = fineart.logs(group)
    assert "GET /health" in text and "Cloud-init v." in text and SIGNING_KEY not in text


def test_the_second_run_has_nothing_to_do(fineart):
    with fineart.restarts(*UNITS) as restarted:
        laws.the_second_run_has_nothing_to_do(fineart)
    assert restarted == set()


def test_a_new_commit_with_a_migration_restarts_the_application_only(fineart, tmp_path):
    tree = tmp_path / "backend"
    shutil.copytree(APPLICATION, tree, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "migrations" / "0002_medium.sql").write_text("alter table artworks add column medium text not null default 'oil';\n")
    main = tree / "backend" / "main.py"
    main.write_text(main.read_text().replace('"environment": ENVIRONMENT}', '"environment": ENVIRONMENT, "knows": "media"}'))
    fineart.lab.bitbucket.push(REPOSITORY, tree, "the medium of a work", BRANCHES[fineart.system.environment])
    before = ask(fineart, "/artworks")[1]
    plan = fineart.dry_run()
    assert plan.endings.get("code") == "would_change", plan
    with fineart.restarts(*UNITS) as restarted:
        run = fineart.run()
    assert run.code == 0 and restarted == {"fineart.service"}, run
    assert changed(run) - {HEALTH} == {"code", "migrations", "application"}, run
    assert ask(fineart, "/health")[1]["knows"] == "media"
    assert ask(fineart, "/artworks")[1] == [{**work, "medium": "oil"} for work in before] and before
    assert in_database(fineart, "select string_agg(name, ' ' order by name) from migrations").stdout == "0001_artworks.sql 0002_medium.sql\n"
    again = fineart.run()
    assert again.code == 0 and changed(again) == set(), again


def test_a_rotated_password_restarts_the_application_only(fineart, database):
    name = f"/fineart/{fineart.system.environment}/database/app-password"
    quoted = NEW_APP.replace("'", "''")
    database.ask("postgres", f"alter role fineart_{fineart.system.environment}_app password '{quoted}'")
    s1.put_parameters(fineart.aws, {name: NEW_APP})
    fineart.system = dataclasses.replace(fineart.system, parameters={**fineart.system.parameters, name: NEW_APP})
    assert fineart.dry_run().endings["settings"] == "would_change"
    with fineart.restarts(*UNITS) as restarted:
        run = fineart.run()
    assert run.code == 0 and restarted == {"fineart.service"}, run
    assert changed(run) - {HEALTH} == {"settings", "application"}, run
    assert ask(fineart, "/health")[0] == 200


def test_a_database_user_who_may_do_more_is_refused(fineart, database):
    name = f"fineart_{fineart.system.environment}"
    database.ask("postgres", f"grant {name}_owner to {name}_app")
    try:
        with fineart.restarts(*UNITS) as restarted:
            run = fineart.run()
        assert run.code == 1 and run.endings["rights"] == "failed" and restarted == set(), run
        assert f"is a member of {name}_owner" in run.failure("rights"), run
    finally:
        database.ask("postgres", f"revoke {name}_owner from {name}_app")
    again = fineart.run()
    assert again.code == 0 and changed(again) == set(), again


def test_the_policy_is_what_it_needs(fineart):
    laws.the_policy_is_what_it_needs(fineart)
