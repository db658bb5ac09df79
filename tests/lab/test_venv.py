"""Python environments by the real installers: pip, uv and poetry, with the real index, and what each says when it fails."""

import shutil

import pytest
import scenario
from instance.agent import PROGRAM, Agent

TOOLS = """
version: 1
name: tools
steps:
  - packages: [python3-venv]
  - command:
      script: "python3 -m venv /opt/tools && /opt/tools/bin/pip install --quiet uv==0.9.11 poetry==2.2.1"
      creates: /opt/tools/bin/poetry
  - link: { path: /usr/local/bin/uv, target: /opt/tools/bin/uv }
  - link: { path: /usr/local/bin/poetry, target: /opt/tools/bin/poetry }
"""
VENV = """
version: 1
name: environment
env: { REQUESTS_CA_BUNDLE: /etc/ssl/certs/ca-certificates.crt }
steps:
  - id: environment
    venv: { path: PATH, owner: ubuntu, WISH }
"""
H11 = "h11==0.16.0 --hash=sha256:63cf8bbe7522de3bf65932fda1d9c2772064ffb3dae62d55932da54b31cb6c86\n"
PROJECT = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["h11==WANTED"]\n'
# Poetry reads no settings of pip's, and asks its default index for more than a mirror has.
PROJECT_OF_POETRY = PROJECT + """
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "index"
url = "INDEX"
"""
ITS_INDEX = """
import subprocess, sys
from pip._internal.models.index import PyPI
told = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True)
print(told.stdout.strip() or PyPI.simple_url)
"""
BROKEN = """
print("\\n".join(f"checking for thing {number}" for number in range(200)))
raise RuntimeError("the header `thing.h` is missing: install libthing-dev")
"""


@pytest.fixture(scope="module")
def agent(lab, binary):
    """An instance with the three installers."""
    lab.aws.control().reset()
    machine = lab.launch(boot=False, files=scenario.QUICK)
    try:
        target = machine.upper / PROGRAM.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(binary, target)
        machine.boot().wait()
        machine.exec(["useradd", "--create-home", "--shell", "/bin/bash", "ubuntu"])
        it = Agent(machine, lab.environment())
        tools = it.run(TOOLS, seconds=400)
        assert tools.code == 0, tools
        yield it
    finally:
        machine.destroy()


@pytest.fixture
def app(agent, request):
    """A folder of the user's, one for each test."""
    path = f"/home/ubuntu/{request.node.name.translate(str.maketrans('[]', '--'))}"
    agent.machine.exec(["install", "-d", "-o", "ubuntu", "-g", "ubuntu", path])
    return path


def write(agent, path, content):
    agent.machine.exec(["tee", path], user="ubuntu", input=content)


def run(agent, app, wish):
    return agent.run(VENV.replace("PATH", f"{app}/.venv").replace("WISH", wish), seconds=200)


def settled(agent, app, wish):
    """The wish comes true, all of it the owner's; the second run has nothing to do."""
    first = run(agent, app, wish)
    assert first.endings == {"environment": "changed"}, first
    foreign = agent.machine.exec(["find", app, "-not", "-user", "ubuntu"]).stdout
    assert foreign == ""
    again = run(agent, app, wish)
    assert again.endings == {"environment": "unchanged"}, again
    return [event["text"] for event in first.of("change") if event["applying"]]


def version(agent, app):
    """The version that the environment's own Python finds."""
    ask = "import h11; print(h11.__version__)"
    return agent.machine.exec([f"{app}/.venv/bin/python", "-c", ask], user="ubuntu").stdout.strip()


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_requirements_with_hashes(agent, app, installer):
    wish = f"requirements: {app}/requirements.txt, installer: {installer}"
    write(agent, f"{app}/requirements.txt", H11.replace("63cf", "0000"))
    refused = run(agent, app, wish)
    assert refused.code == 1, refused
    assert "63cf8bbe7522de3bf65932fda1d9c2772064ffb3dae62d55932da54b31cb6c86" in refused.failure("environment"), refused
    # A requirement that came without its hash is not let in beside one that has one.
    write(agent, f"{app}/requirements.txt", f"{H11}typing_extensions==4.12.2\n")
    refused = run(agent, app, wish)
    assert refused.code == 1 and "typing" in refused.failure("environment"), refused
    write(agent, f"{app}/requirements.txt", H11)
    assert settled(agent, app, wish) == ["install packages: `h11` is missing"]
    assert version(agent, app) == "0.16.0"


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_what_cannot_be_installed_says_why(agent, app, installer):
    missing = run(agent, app, f'packages: ["h11==0.99"], installer: {installer}')
    said = missing.failure("environment")
    assert missing.code == 1 and "h11==0.99" in said and "is the name right" in said, missing
    write(agent, f"{app}/setup.py", BROKEN)
    write(agent, f"{app}/requirements.txt", f"{app}\n")
    broken = run(agent, app, f"requirements: {app}/requirements.txt, installer: {installer}")
    assert broken.code == 1, broken
    # The end of what a build says is what tells; what it checked before is not.
    assert "`thing.h` is missing: install libthing-dev" in broken.failure("environment"), broken
    assert "checking for thing 3\n" not in broken.failure("environment"), broken


def test_a_lock_of_uv(agent, app):
    def lock(wanted):
        write(agent, f"{app}/pyproject.toml", PROJECT.replace("WANTED", wanted))
        agent.machine.exec(["uv", "--directory", app, "lock", "--python", "python3"], user="ubuntu")

    lock("0.15.0")
    wish = f"project: {app}"
    assert settled(agent, app, wish) == ["create the environment with `python3`", f"install packages: the lock of `{app}`"]
    assert version(agent, app) == "0.15.0"
    lock("0.16.0")
    assert settled(agent, app, wish) == [f"install packages: the lock of `{app}` changed since they were last installed"]
    assert version(agent, app) == "0.16.0"
    # A lock that is not of this project is not made to fit.
    write(agent, f"{app}/pyproject.toml", PROJECT.replace("WANTED", "0.15.0"))
    agent.machine.exec(["sh", "-c", f"echo >> {app}/uv.lock"])
    stale = run(agent, app, wish)
    assert stale.code == 1 and "lock" in stale.failure("environment"), stale


def test_a_lock_of_poetry(agent, app):
    index = agent.machine.exec(["/opt/tools/bin/python", "-c", ITS_INDEX]).stdout.strip()

    def project(wanted):
        write(agent, f"{app}/pyproject.toml", PROJECT_OF_POETRY.replace("INDEX", index).replace("WANTED", wanted))

    def lock(wanted):
        project(wanted)
        bundle = "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt"
        agent.machine.exec(["env", bundle, "poetry", f"--directory={app}", "lock", "--no-interaction"], user="ubuntu")

    lock("0.15.0")
    wish = f"project: {app}"
    assert settled(agent, app, wish) == ["create the environment with `python3`", f"install packages: the lock of `{app}`"]
    assert version(agent, app) == "0.15.0"
    lock("0.16.0")
    assert settled(agent, app, wish) == [f"install packages: the lock of `{app}` changed since they were last installed"]
    assert version(agent, app) == "0.16.0"
    project("0.15.0")
    agent.machine.exec(["sh", "-c", f"echo >> {app}/poetry.lock"])
    stale = run(agent, app, wish)
    assert stale.code == 1 and "lock" in stale.failure("environment"), stale


def test_a_wheelhouse_stands_in_for_the_index(agent, app):
    agent.machine.exec(["/opt/tools/bin/pip", "download", "--quiet", "--dest", f"{app}/wheels", "h11==0.16.0"])
    agent.machine.exec(["chown", "-R", "ubuntu:ubuntu", app])
    wish = f"packages: [h11], wheelhouse: {app}/wheels, installer: pip"
    settled(agent, app, wish)
    assert version(agent, app) == "0.16.0"
    # What is not in it is not fetched from elsewhere.
    for installer in ("pip", "uv"):
        missing = run(agent, app, f"packages: [h11, typing_extensions], wheelhouse: {app}/wheels, installer: {installer}")
        assert missing.code == 1 and "typing" in missing.failure("environment"), missing


def test_an_environment_that_is_half_there_is_made_anew(agent, app):
    write(agent, f"{app}/requirements.txt", H11)
    wish = f"requirements: {app}/requirements.txt"
    settled(agent, app, wish)
    agent.machine.exec(["sh", "-c", f"rm {app}/.venv/lib/python3*/site-packages/h11-*/RECORD"])
    assert settled(agent, app, wish)[0] == "make the environment anew: `h11` is installed by half"
    agent.machine.exec(["rm", f"{app}/.venv/pyvenv.cfg"])
    assert settled(agent, app, wish)[0] == "make the environment anew: it has no `pyvenv.cfg`"
    assert version(agent, app) == "0.16.0"
