"""Code from a repository: whose host it is, which branch, and a user who works against us meanwhile."""

import pytest
from scenario import until
from simulator import s1

PLAYBOOK = """
version: 1
name: code
secrets:
  key: ssm:/deploy-key
steps:
  - id: code
    git:
      url: git@bitbucket.org:team/project_name-api.git
      revision: REVISION
      path: /home/ubuntu/app
      owner: ubuntu
      ssh_key: "{{ secrets.key }}"
"""


@pytest.fixture
def agent(aws, equip, lab):
    s1.create(aws, parameters={"/deploy-key": lab.bitbucket.deploy_key}, desired=0, hooks=())
    return equip(group=s1.GROUP, role=s1.ROLE)


@pytest.fixture
def impostor(lab):
    """Somebody is in between, and shows host keys nobody has pinned."""
    lab.bitbucket.wrong_host_keys()
    yield
    lab.bitbucket.listen()


def playbook(revision="main"):
    return PLAYBOOK.replace("REVISION", revision)


def test_the_pinned_host_is_believed(agent, lab):
    run = agent.run(playbook())
    assert run.code == 0, run
    head = agent.machine.exec(["cat", "/home/ubuntu/app/.git/HEAD"]).stdout
    assert head and "status" in agent.machine.read("/home/ubuntu/app/main.py")
    foreign = agent.machine.exec(["find", "/home/ubuntu/app", "-not", "-user", "ubuntu"]).stdout
    assert foreign == ""
    assert agent.run(playbook()).endings == {"code": "unchanged"}


def test_a_wrong_host_key_stops_it_before_any_key_is_offered(agent, lab, impostor):
    before = len(lab.bitbucket.log())
    run = agent.run(playbook(), json=False)
    heard = lab.bitbucket.log()[before:]
    assert "Connection from" in heard, "nobody came by"
    assert "publickey" not in heard and "git-upload-pack" not in heard, heard
    assert run.code == 1, run
    assert "error: step 1 `code` (git) is not done\n" in run.err, run
    assert "host key" in run.err and "`bitbucket.org`" in run.err and "\nhint: " in run.err, run
    told = [line.split(maxsplit=1) for line in run.err.splitlines() if line.startswith("  ")]
    assert [place for word, place in told if word == "where:"] == ["/root/playbook.yaml:7:5"], run
    doing = [what for word, what in told if word == "while:"]
    assert doing[-1] == "fetching `main` from `git@bitbucket.org:team/project_name-api.git`", run
    (why,) = [why for word, why in told if word == "because:"]
    assert why.startswith("the server's host key is not one of"), run
    assert not agent.exists("/home/ubuntu/app/.git/refs/heads/main") and not agent.exists("/home/ubuntu/app/main.py")


def test_a_branch_that_does_not_exist(agent):
    run = agent.run(playbook("no-such-branch"))
    assert run.code == 1 and run.endings == {"code": "failed"}, run
    assert "`no-such-branch`" in run.failure("code"), run
    assert run.seconds < 60, "what is missing is not waited for"
    assert not agent.exists("/home/ubuntu/app/main.py")
    # The deployed revision stays when a wrong one is asked for.
    assert agent.run(playbook()).code == 0
    assert agent.run(playbook("no-such-branch")).code == 1
    assert agent.exists("/home/ubuntu/app/main.py")


ATTACK = """
import os, sys
os.chdir('/home/ubuntu')
swaps = 0
def swap(inner, target):
    os.rename(inner, inner + '.real')
    os.symlink(target, inner)
    os.unlink(inner)
    os.rename(inner + '.real', inner)
while True:
    try:
        swap('app', '/srv/outside')
        swap('app/config', '/srv/outside/config')
        for name in ('app/config/settings', 'app/.env', 'app/config/lines'):
            if os.path.lexists(name): os.unlink(name)
            os.symlink('/srv/outside/config/settings', name)
            os.unlink(name)
    except OSError:
        for name in ('app', 'app/config'):
            if os.path.isdir(name + '.real') and not os.path.isdir(name):
                try: os.rename(name + '.real', name)
                except OSError: pass
    swaps += 1
    if swaps % 100 == 0:
        with open('/tmp/swaps', 'w') as file: file.write(str(swaps))
"""
TARGET = """
set -e
mkdir -p /srv/outside/config; cd /srv/outside
echo untouched > config/settings; echo untouched > config/lines; echo untouched > .env
chmod 600 .env
su ubuntu -c 'mkdir -p /home/ubuntu/app/config'
"""
LISTING = "cd /srv && find outside -printf '%p %y %m %U %G %s %T@ %C@ %l\\n' | sort; cat outside/config/* outside/.env"
IN_THE_USERS_TREE = """
version: 1
name: attacked
vars: { round: "0" }
steps:
  - directory: { path: /home/ubuntu/app, owner: ubuntu, mode: "0750" }
  - directory: { path: /home/ubuntu/app/config, owner: ubuntu, mode: "0700" }
  - file: { path: /home/ubuntu/app/config/settings, owner: ubuntu, mode: "0640", content: "round {{ round }}\\n" }
    may_fail: true
  - env_file: { path: /home/ubuntu/app/.env, owner: ubuntu, mode: "0600", values: { ROUND: "{{ round }}" } }
    may_fail: true
  - line: { path: /home/ubuntu/app/config/lines, line: "round {{ round }}" }
    may_fail: true
  - link: { path: /home/ubuntu/app/latest, target: "config/{{ round }}", owner: ubuntu }
    may_fail: true
"""


def test_a_user_who_swaps_links_meanwhile_moves_nothing_outside(equip):
    agent = equip()
    machine = agent.machine
    machine.exec(["sh", "-c", TARGET])
    before = machine.exec(["sh", "-c", LISTING]).stdout
    machine.exec(["systemd-run", "--unit=attacker", "--uid=ubuntu", "python3", "-c", ATTACK])
    until(lambda: agent.exists("/tmp/swaps"), 20, "the attack")
    made = count = 0
    # Both sides get their turns, however fast the machine: 25 rounds of ours, a thousand swaps of theirs.
    while count < 25 or (int(machine.read("/tmp/swaps") or 0) <= 1000 and count < 500):
        count += 1
        run = agent.run(IN_THE_USERS_TREE, "--set", f"round={count}")
        assert run.code in (0, 1), run
        made += list(run.endings.values()).count("changed")
    machine.exec(["systemctl", "stop", "attacker"])
    assert machine.exec(["sh", "-c", LISTING]).stdout == before
    assert int(machine.read("/tmp/swaps")) > 1000 and made > 0, "the two never met"
