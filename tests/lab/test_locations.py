"""Where a playbook is read from, and what every later boot and timer run finds there."""

import base64
import hashlib
import io
import tarfile
import time

import pytest
from instance.agent import STATE
from instance.web import Web
from scenario import answers, calls, until
from simulator import s1

PLAYBOOK = """\
version: 1
name: located
steps:
  - file: { path: /srv/located, content: "first\\n" }
"""
SECOND = PLAYBOOK.replace("first", "second")
WITH_FILES = """\
version: 1
vars: { environment: { required: true } }
steps:
  - file: { path: /srv/located, template: files/located.j2 }
  - file: { path: /srv/picture, source: files/picture }
"""
PICTURE = bytes(range(256))
BOOT = "bootstrap-agent.service"


def archive(word: str) -> bytes:
    """A playbook's folder in one file."""
    files = {
        "shop/playbook.yaml": WITH_FILES.encode(), "shop/files/located.j2": f"{word} {{{{ environment }}}}\n".encode(),
        "shop/files/picture": PICTURE, "shop/vars/prod.yaml": b"environment: prod\n",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def digest(content) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


@pytest.fixture(scope="module")
def web(lab):
    server = Web(lab.directory / "web", lab.network).up()
    yield server
    server.stop()


@pytest.fixture
def member(aws, equip):
    s1.create(aws, desired=0)
    return equip(group=s1.GROUP, role=s1.ROLE)


def shows(agent, location, content, *options):
    """Check, run, run again: at this location is this content."""
    checked = agent.check(location, *options)
    assert checked.returncode == 0, checked.stderr
    assert not agent.exists("/srv/located")
    run = agent.run_at(location, *options)
    assert run.code == 0 and set(run.endings.values()) == {"changed"}, run
    assert agent.status()["playbook_digest"] == digest(content)
    assert len(agent.status()["binary_digest"]) == 64
    again = agent.run_at(location, *options)
    assert again.code == 0 and set(again.endings.values()) == {"unchanged"}, again


def put(agent, path, content) -> None:
    """Writes bytes into the instance."""
    agent.machine.exec(["sh", "-c", f"base64 -d > {path}"], input=base64.b64encode(content).decode())


def runs(agent) -> int:
    """How many runs have a record."""
    return len(agent.machine.exec(["ls", f"{STATE}/runs"], check=False).stdout.split())


def reboot(agent) -> None:
    agent.machine.reboot()
    agent.machine.wait()


def boot_run_is_over(agent):
    return agent.machine.exec(["systemctl", "is-active", BOOT], check=False).stdout.strip() in ("inactive", "failed")


def journal(agent) -> str:
    return agent.machine.exec(["journalctl", "--boot", f"--unit={BOOT}", "--output=cat"]).stdout


def test_a_parameter(aws, member):
    s1.put_parameters(aws, {"/playbooks/located": PLAYBOOK})
    shows(member, "ssm:/playbooks/located", PLAYBOOK)
    pinned = f"ssm:/playbooks/located#sha256={digest(SECOND)}"
    for refused in (member.check(pinned), member.machine.exec(member.command(["run", pinned]), check=False)):
        assert refused.returncode == 2 and digest(PLAYBOOK) in refused.stderr, refused.stderr
        assert "nothing of it was read" in refused.stderr


def test_a_parameter_that_is_not_there_or_denied(aws, member):
    absent = member.run_at("ssm:/playbooks/none")
    assert absent.code == 2 and "/playbooks/none" in absent.said, absent
    aws.fault("access_denied", service="ssm", action="GetParameter*")
    denied = member.run_at("ssm:/playbooks/located")
    assert denied.code == 2 and "/playbooks/located" in denied.said and "ssm:GetParameter" in denied.said, denied
    assert runs(member) == 0


def test_user_data(aws, equip):
    agent = equip(PLAYBOOK)
    shows(agent, "user-data", PLAYBOOK)


def test_an_instance_without_user_data_says_so(agent):
    run = agent.run_at("user-data")
    assert run.code == 2 and "this instance has no user-data" in run.said, run


def test_https_with_its_digest_and_a_certificate_that_is_trusted(web, agent):
    address = web.put("located.yaml", PLAYBOOK.encode())
    pinned = f"{address}#sha256={digest(PLAYBOOK)}"
    unpinned = agent.check(address)
    assert unpinned.returncode == 2 and "needs `#sha256=…`" in unpinned.stderr, unpinned.stderr
    began = time.monotonic()
    distrusted = agent.check(pinned)
    assert distrusted.returncode == 2 and "certificate" in distrusted.stderr, distrusted.stderr
    assert time.monotonic() - began < 10, "it was tried again and again"
    assert web.requests() == [], "something was asked of a server that nobody trusts"
    web.trusted_by(agent.machine)
    shows(agent, pinned, PLAYBOOK)
    web.put("located.yaml", SECOND.encode())
    replaced = agent.run_at(pinned)
    assert replaced.code == 2 and digest(SECOND) in replaced.said, replaced
    assert agent.machine.read("/srv/located") == "first\n"


def test_a_key_in_an_address_is_not_shown(web, agent):
    web.trusted_by(agent.machine)
    address = web.put("nothing-here", b"").replace("nothing-here", "none.yaml?X-Amz-Signature=deadbeefdeadbeef")
    run = agent.run_at(f"{address}#sha256={digest('')}")
    assert run.code == 2 and "/none.yaml" in run.said and "404" in run.said, run
    assert "deadbeef" not in run.said, run


@pytest.mark.parametrize("where", ["s3", "https", "file", "user-data"])
def test_an_archive_brings_its_files(where, aws, web, equip):
    s1.create(aws, desired=0)
    packed = archive("packed for")
    agent = equip(packed if where == "user-data" else None, group=s1.GROUP, role=s1.ROLE)
    if where == "s3":
        s1.put_objects(aws, {"project-artifacts/shop.tar.gz": packed})
        location = "s3://project-artifacts/shop.tar.gz"
    elif where == "https":
        web.trusted_by(agent.machine)
        location = f"{web.put('shop.tar.gz', packed)}#sha256={digest(packed)}"
    elif where == "file":
        location = "/root/shop.tar.gz"
        put(agent, location, packed)
    else:
        location = where
    shows(agent, location, packed, "--vars", "vars/prod.yaml")
    assert agent.machine.read("/srv/located") == "packed for prod\n"
    assert agent.machine.exec(["sha256sum", "/srv/picture"]).stdout.startswith(digest(PICTURE))


def test_a_playbook_that_comes_alone_names_what_it_lacks(aws, member):
    s1.put_objects(aws, {"project-artifacts/shop/playbook.yaml": WITH_FILES.encode(), "project-artifacts/shop/files/located.j2": b"x"})
    run = member.run_at("s3://project-artifacts/shop/playbook.yaml", "--set", "environment=prod")
    assert run.code == 2 and "files/located.j2" in run.said and "files/picture" in run.said, run
    assert "`.tar.gz`" in run.said, run
    assert runs(member) == 0


def test_an_installed_parameter_is_read_by_every_boot_and_timer_run(aws, member):
    s1.put_parameters(aws, {"/playbooks/located": PLAYBOOK})
    installed = member.install_at("ssm:/playbooks/located").wait()
    assert installed.code == 0 and member.machine.read("/srv/located") == "first\n", installed
    assert answers(aws, member.machine.name) == ["CONTINUE by call"]

    s1.put_parameters(aws, {"/playbooks/located": SECOND})
    member.machine.exec(["systemctl", "start", "bootstrap-agent-converge.service"])
    assert member.machine.read("/srv/located") == "second\n" and member.status()["trigger"] == "timer"

    # At the next boot the service is away for its first calls.
    s1.put_parameters(aws, {"/playbooks/located": PLAYBOOK})
    aws.clear_journal()
    aws.fault("error503", service="ssm", count=4)
    reboot(member)
    until(lambda: boot_run_is_over(member), 60, "the boot run")
    assert member.machine.read("/srv/located") == "first\n" and member.status()["trigger"] == "boot"
    assert len(calls(aws, "GetParameter*")) >= 5

    # When it is gone, nothing changes, the journal says why, and no verdict is made of it.
    aws.boto("ssm").delete_parameter(Name="/playbooks/located")
    before = runs(member)
    reboot(member)
    until(lambda: boot_run_is_over(member), 60, "the boot run without a playbook")
    assert "/playbooks/located" in journal(member) and runs(member) == before + 1, "the record says why there was no run"
    status = member.machine.exec(["systemctl", "show", "--property=ExecMainStatus", "--value", BOOT]).stdout.strip()
    assert status == "2" and member.machine.read("/srv/located") == "first\n"
    assert answers(aws, member.machine.name) == ["CONTINUE by call"]


def test_an_installed_archive_brings_its_new_files_with_the_next_boot(aws, member):
    s1.put_objects(aws, {"project-artifacts/shop.tar.gz": archive("first for")})
    installed = member.install_at("s3://project-artifacts/shop.tar.gz", "--vars", "vars/prod.yaml").wait()
    assert installed.code == 0 and member.machine.read("/srv/located") == "first for prod\n", installed
    s1.put_objects(aws, {"project-artifacts/shop.tar.gz": archive("second for")})
    reboot(member)
    until(lambda: member.machine.read("/srv/located") == "second for prod\n", 60, "the new template")
    assert answers(aws, member.machine.name) == ["CONTINUE by call"]


def test_an_installed_address_is_waited_for_at_a_later_boot(aws, web, member):
    web.trusted_by(member.machine)
    location = f"{web.put('installed.yaml', PLAYBOOK.encode())}#sha256={digest(PLAYBOOK)}"
    installed = member.install_at(location).wait()
    assert installed.code == 0, installed
    member.machine.exec(["rm", "/srv/located"])
    web.stop()
    reboot(member)
    time.sleep(8)
    assert not boot_run_is_over(member), journal(member)
    web.listen()
    until(lambda: member.exists("/srv/located"), 60, "the run after the server is back")


def test_an_installed_file_is_a_copy_that_nobody_else_may_read(aws, member):
    put(member, "/root/shop.tar.gz", archive("copied for"))
    installed = member.install_at("/root/shop.tar.gz", "--vars", "vars/prod.yaml").wait()
    assert installed.code == 0, installed
    member.machine.exec(["rm", "/root/shop.tar.gz", "/srv/located"])
    assert member.machine.exec(["stat", "-c", "%a %U", "/etc/bootstrap-agent/shop.tar.gz"]).stdout == "600 root\n"
    run = member.machine.exec(member.command(["run"]), check=False)
    assert run.returncode == 0 and member.machine.read("/srv/located") == "copied for prod\n", run.stderr


def test_an_installed_user_data_is_read_by_every_boot(aws, equip):
    s1.create(aws, desired=0)
    agent = equip(PLAYBOOK, group=s1.GROUP, role=s1.ROLE)
    installed = agent.install_at("user-data").wait()
    assert installed.code == 0 and agent.machine.read("/srv/located") == "first\n", installed
    agent.machine.exec(["rm", "/srv/located"])
    reboot(agent)
    until(lambda: agent.exists("/srv/located"), 60, "the boot run")


def test_a_first_boot_without_its_playbook_is_abandoned(aws, member):
    run = member.run_at("ssm:/playbooks/none", "--trigger", "boot")
    assert run.code == 2 and "/playbooks/none" in run.said, run
    assert answers(aws, member.machine.name) == ["ABANDON by call"]
