"""The recipes (`playbooks/recipes/`): each is carried out on a real instance, has nothing to do afterwards, and does what it is for."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from instance import paths
from instance.web import Web
from scenario import until

from .booted import bare
from .container_image import archive
from .registry import Registry
from .system import GALLERY

pytestmark = pytest.mark.full

RECIPES = GALLERY / "recipes"


@pytest.fixture(scope="module")
def agent(lab, binary):
    """One instance for the recipes that do not get into each other's way."""
    control = lab.aws.control()
    control.clear_faults()
    control.reset()
    with bare(lab, binary) as it:
        yield it


def run(agent, name: str, *options: str, seconds: float = 400):
    return agent.run((RECIPES / f"{name}.yaml").read_text(), *options, path=f"/root/{name}.yaml", seconds=seconds)


def settles(agent, name: str, *options: str):
    """Changes something, and then nothing."""
    first = run(agent, name, *options)
    assert first.code == 0 and "changed" in first.endings.values(), f"{first!r}"
    again = run(agent, name, *options)
    assert again.code == 0 and set(again.endings.values()) <= {"unchanged", "skipped"}, f"{again!r}"
    return first


def sh(agent, script: str) -> str:
    return agent.machine.exec(["sh", "-euc", script]).stdout


def invocation(agent, unit: str) -> str:
    return sh(agent, f"systemctl show --property=InvocationID --value {unit}")


def secret(agent, lab, name: str, value: str, kind: str = "SecureString") -> None:
    lab.aws.control().boto("ssm").put_parameter(Name=name, Value=value, Type=kind, Overwrite=True, Tier="Advanced")


def test_sudoers_gives_the_right_and_refuses_a_broken_file(agent):
    settles(agent, "sudoers")
    assert "NOPASSWD: /usr/bin/systemctl restart app.service" in sh(agent, "sudo --list --other-user=deploy")
    broken = run(agent, "sudoers", "--set", 'unit="a\\nthis is no rule"')
    assert broken.code == 1 and "visudo" in broken.said, broken
    assert "NOPASSWD: /usr/bin/systemctl restart app.service" in sh(agent, "sudo --list --other-user=deploy")


def test_sysctl_is_loaded_when_the_file_has_changed(agent):
    # A container sees its kernel's settings read-only. Those of the network are the instance's own.
    sh(agent, "mount --bind /proc/sys/net /proc/sys/net && mount -o remount,bind,rw /proc/sys/net")
    settles(agent, "sysctl")
    assert sh(agent, "sysctl --values net.core.somaxconn") == "4096\n"
    assert run(agent, "sysctl", "--set", "backlog=1024").code == 0
    assert sh(agent, "sysctl --values net.core.somaxconn") == "1024\n"


def test_swap_is_a_file_of_roots_with_a_unit(agent):
    # The kernel is this machine's: the file is made, and not used.
    settles(agent, "swap", "--set", "size=16M", "--set", "state=unchanged")
    assert sh(agent, "stat -c '%a %U %s' /swapfile") == f"600 root {16 * 2**20}\n"
    assert sh(agent, "blkid --probe --output value --match-tag TYPE /swapfile") == "swap\n"
    assert "What=/swapfile" in sh(agent, "systemctl cat swapfile.swap")
    assert sh(agent, "systemctl is-enabled swapfile.swap") == "enabled\n"


def test_a_timer_knows_when_it_runs_next_and_its_job_runs(agent):
    settles(agent, "timer")
    assert "nightly.timer" in sh(agent, "systemctl list-timers")
    sh(agent, "touch --date='40 days ago' /var/tmp/old; touch /var/tmp/new; systemctl start nightly.service")
    assert not agent.exists("/var/tmp/old") and agent.exists("/var/tmp/new")
    assert "old files are gone" in sh(agent, "journalctl --unit=nightly.service --output=cat")


def test_an_nginx_site_is_judged_and_reloaded(agent):
    sh(agent, "mkdir -p /srv/site && echo hello >/srv/site/index.html"
              " && systemd-run --unit=upstream --working-directory=/srv/site python3 -m http.server --bind 127.0.0.1 8000")
    settles(agent, "nginx-site")
    answer = "curl --silent --retry 20 --retry-connrefused --retry-all-errors --fail http://localhost/"
    # The old workers go after the reload, not with it.
    until(lambda: sh(agent, answer) == "hello\n", 10, "the site")
    running = invocation(agent, "nginx.service")
    broken = run(agent, "nginx-site", "--set", 'upstream="no host here;"')
    assert broken.code == 1 and "nginx" in broken.said, broken
    assert sh(agent, answer) == "hello\n"
    changed = run(agent, "nginx-site", "--set", "server_name=shop.example.com")
    assert changed.code == 0 and "shop.example.com" in sh(agent, "cat /etc/nginx/conf.d/app.conf"), changed
    assert invocation(agent, "nginx.service") == running


def test_a_renewed_certificate_is_live_and_a_wrong_one_never(agent, lab):
    def served():
        shown = sh(agent, "openssl s_client -connect localhost:443 </dev/null 2>/dev/null | openssl x509 -noout -serial")
        return int(shown.split("=")[1], 16)

    secret(agent, lab, "/shop/tls.pem", pem(1))
    settles(agent, "certificate-renewal")
    assert served() == 1
    running = invocation(agent, "nginx.service")
    secret(agent, lab, "/shop/tls.pem", pem(2))
    renewed = run(agent, "certificate-renewal")
    assert renewed.code == 0 and invocation(agent, "nginx.service") == running, renewed
    until(lambda: served() == 2, 30, "the new certificate")
    for wrong, why in ((pem(3, days=-1), "expire"), (key() + pem(4).split("-----END PRIVATE KEY-----\n")[1], "key"), ("no PEM", "")):
        secret(agent, lab, "/shop/tls.pem", wrong)
        refused = run(agent, "certificate-renewal")
        assert refused.code == 1 and why in refused.failure("certificate"), refused
        assert served() == 2
    assert sh(agent, "stat -c '%a %U' /etc/nginx/tls/shop.pem") == "600 root\n"


MIGRATE = """
mkdir -p /srv/app; useradd --create-home app 2>/dev/null || true
cat >/srv/app/migrate <<'END'
#!/bin/sh -eu
# Long enough that two without a lock would meet.
sleep 3
psql -qX "$DATABASE_URL" -c 'create table if not exists ran (at timestamptz default now()); insert into ran default values'
END
cat >/srv/app/is-migrated <<'END'
#!/bin/sh -eu
[ "$(psql -qXAt "$DATABASE_URL" -c "select to_regclass('ran') is not null")" = t ]
END
chmod 755 /srv/app/*
"""
DATABASE = """
version: 1
name: database
steps:
  - packages: [postgresql]
  - command:
      argv: [psql, -c, "create role app login password 'correct-horse-battery'"]
      unless: psql -At -c "select 1 from pg_roles where rolname = 'app'" | grep -q 1
      run_as: postgres
  - command:
      argv: [createdb, --owner=app, app]
      unless: psql -At -c "select 1 from pg_database where datname = 'app'" | grep -q 1
      run_as: postgres
"""


def test_of_two_migrations_at_once_one_works_and_the_other_finds_it_done(agent, lab):
    assert agent.run(DATABASE, seconds=400).code == 0
    sh(agent, MIGRATE)
    secret(agent, lab, "/app/database-url", "postgresql://app:correct-horse-battery@localhost/app")
    options = ["--set", "migrate=/srv/app/migrate", "--set", "is_migrated=/srv/app/is-migrated"]
    recipe = (RECIPES / "database-migration.yaml").read_text()
    # Two instances, as far as the database can tell: nothing of theirs is shared but it.
    both = [agent.start(recipe, *options, "--state-dir", f"/var/lib/instance-{n}", path=f"/root/migration-{n}.yaml") for n in (1, 2)]
    ended = [one.wait(120) for one in both]
    assert [one.code for one in ended] == [0, 0], ended
    assert [one.endings["migrations"] for one in ended] == ["changed", "changed"], "they did not meet"
    rows = "runuser -u postgres -- psql -At app -c 'select count(*) from ran'"
    assert sh(agent, rows) == "1\n"
    assert run(agent, "database-migration", *options).endings["migrations"] == "unchanged"
    assert sh(agent, "runuser -u postgres -- psql -At -c \"select count(*) from pg_locks where locktype = 'advisory'\"") == "0\n"


APPLICATION = """
import os
VERSION, ENVIRONMENT = os.environ["VERSION"], os.environ["ENVIRONMENT"]
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{VERSION} in {ENVIRONMENT}".encode()})
"""


def test_a_container_is_what_its_digest_says(lab, binary, tmp_path):
    application = tmp_path / "application"
    application.mkdir()
    (application / "main.py").write_text(APPLICATION)
    requirements = paths.LAB / "apps" / "container-apps" / "requirements.txt"
    with Registry(lab.network.host) as registry, bare(lab, binary) as agent:
        first, second = (registry.push("team/app", archive("app", version, application, requirements)) for version in ("1", "2"))
        # The lab's registry has no certificate, and its kernel neither control groups for podman nor an overlay of overlays.
        sh(agent, "mkdir -p /etc/containers/registries.conf.d")
        agent.put(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n', "/etc/containers/registries.conf.d/lab.conf")
        agent.put('[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n',
                  "/etc/containers/storage.conf")
        answer = "curl --silent --fail --retry 20 --retry-connrefused --retry-all-errors http://127.0.0.1:8080/"
        settles(agent, "container-by-digest", "--set", "cgroups=disabled", "--set", f"image={first}")
        assert sh(agent, answer) == "1 in prod"
        running = invocation(agent, "app.service")
        # Its tag would be the same; its digest is another.
        changed = run(agent, "container-by-digest", "--set", "cgroups=disabled", "--set", f"image={second}")
        assert changed.code == 0 and invocation(agent, "app.service") != running, f"{changed!r}"
        assert sh(agent, answer) == "2 in prod"
        wrong = f"{first.partition('@')[0]}@sha256:{'a' * 64}"
        refused = run(agent, "container-by-digest", "--set", "cgroups=disabled", "--set", f"image={wrong}")
        assert refused.code == 1 and refused.endings["image"] == "failed", f"{refused!r}"
        assert sh(agent, answer) == "2 in prod"


def test_a_private_authority_is_trusted_and_the_proxy_is_everybodys(lab, binary):
    web = Web(lab.directory / "recipes-web", lab.network).up()
    try:
        with bare(lab, binary) as agent:
            address = web.put("page", b"trusted\n")
            assert agent.machine.exec(["curl", "--silent", address], check=False).returncode == 60, "it is trusted already"
            secret(agent, lab, "/network/authority.pem", (web.directory / "authority.pem").read_text(), "String")
            proxy = "http://proxy.internal:3128"
            settles(agent, "private-ca-and-proxy", "--set", f"proxy={proxy}")
            assert sh(agent, f"curl --silent {address}") == "trusted\n"
            assert f'Acquire::http::Proxy "{proxy}";' in sh(agent, "apt-config dump Acquire::http::Proxy")
            started = sh(agent, "systemd-run --quiet --pipe --wait env")
            assert f"https_proxy={proxy}\n" in started and "AWS_ENDPOINT_URL=" in started, started
    finally:
        web.stop()


def test_every_recipe_is_tested_here():
    text = open(__file__, encoding="utf-8").read()
    recipes = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert len(recipes) >= 9 and [name for name in recipes if f'"{name}"' not in text and f"{name}.yaml" not in text] == []


def key() -> str:
    """A private key nobody has a certificate for."""
    return _text(ec.generate_private_key(ec.SECP256R1()))


def pem(serial: int, days: int = 30) -> str:
    """A private key and its certificate, as one text; with negative days one that has run out."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))
        .sign(private, hashes.SHA256())
    )
    return _text(private) + certificate.public_bytes(serialization.Encoding.PEM).decode()


def _text(private) -> str:
    form = serialization.PrivateFormat.PKCS8
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
