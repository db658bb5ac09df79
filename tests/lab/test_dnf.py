"""Packages with dnf: the real one, on a machine that says it is Amazon Linux, with a repository of our own."""

import pytest
from scenario import until

pytestmark = pytest.mark.full

# Debian has dnf, rpm and rpmbuild too; what is installed by them has no dependencies here.
PREPARED = r"""
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends dnf rpm createrepo-c dnf-plugins-core gpg gpg-agent
rm /etc/os-release
printf 'NAME="Amazon Linux"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n' > /etc/os-release
mkdir -p /srv/packages /etc/yum.repos.d
rm -f /etc/yum.repos.d/*
# A plugin that makes a repository of its own, which Amazon Linux does not have switched on.
printf '[main]\nenabled = 0\n' > /etc/dnf/plugins/local.conf
build() {
  cat > /root/p.spec <<END
Name: $1
Version: $2
Release: 1
Summary: $1
License: MIT
BuildArch: noarch
AutoReqProv: no
Provides: virtual-$1
%description
$1
%install
mkdir -p %{buildroot}/usr/share/$1
echo $1 $2 > %{buildroot}/usr/share/$1/version
%files
/usr/share/$1/version
END
  rpmbuild --quiet -bb --define "_topdir /root/build" --define "_rpmdir $3" --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.rpm" /root/p.spec
}
build tool 1.0 /srv/packages
build tool 1.1 /srv/packages
build tool 2.0 /srv/packages
build other 3.4 /srv/packages
build unwanted 1.0 /srv/packages
build local 0.9 /srv
createrepo_c --quiet /srv/packages
rpm --install /srv/packages/unwanted-1.0-1.rpm
"""
REPOSITORY = "[ours]\nname=ours\nbaseurl=file:///srv/packages\nenabled=1\ngpgcheck=0\n"
PLAYBOOK = """
version: 1
name: dnf
steps:
  - packages: [other, virtual-other]
  - packages: { names: ["tool=1.*"], hold: true }
  - packages: { names: [unwanted], state: absent }
  - packages: [/srv/local-0.9-1.rpm]
"""
STEP = "version: 1\nname: dnf\nsteps:\n  - id: only\n    packages: "
# dnf's own lock is a file with its holder's id.
HOLDER = "import os, time; open('/var/lib/dnf/rpmdb_lock.pid', 'w').write(str(os.getpid())); time.sleep(8); os.unlink('/var/lib/dnf/rpmdb_lock.pid')"
SIGNED = r"""
gpg --batch --quiet --passphrase '' --quick-generate-key Ours rsa2048 sign 0
gpg --batch --quiet --passphrase '' --quick-generate-key Theirs rsa2048 sign 0
gpg --armor --export Ours > /root/ours.asc
gpg --armor --export Theirs > /root/theirs.asc
rpmsign --define '_gpg_name Ours' --define '__gpg /usr/bin/gpg' --addsign /srv/packages/other-3.4-1.rpm
createrepo_c --quiet /srv/packages
"""
SOURCE = """
version: 1
name: source
steps:
  - package_source: {{ name: ours, uris: ["file:///srv/packages"], key_source: {key}.asc }}
  - id: other
    needs: []
    packages: [other]
"""


def version(agent, name):
    return agent.machine.exec(["cat", f"/usr/share/{name}/version"], check=False).stdout.strip()


@pytest.fixture
def amazon(agent):
    """An instance on which dnf manages packages."""
    agent.machine.exec(["sh", "-euc", PREPARED], timeout=900)
    return agent


def test_packages_are_made_so_by_dnf(amazon):
    amazon.machine.exec(["tee", "/etc/yum.repos.d/ours.repo"], input=REPOSITORY)
    planned = amazon.run(PLAYBOOK, "--dry-run")
    assert planned.code == 10 and set(planned.endings.values()) == {"would_change"}, planned
    assert version(amazon, "other") == "" and version(amazon, "unwanted") == "unwanted 1.0"
    done = amazon.run(PLAYBOOK)
    assert done.code == 0 and set(done.endings.values()) == {"changed"}, done
    assert [version(amazon, name) for name in ("other", "tool", "unwanted", "local")] == ["other 3.4", "tool 1.1", "", "local 0.9"]
    assert "tool-0:1.1-1" in amazon.machine.read("/etc/dnf/plugins/versionlock.list")
    again = amazon.run(PLAYBOOK)
    assert again.code == 0 and set(again.endings.values()) == {"unchanged"}, again

    # What is held stays where it is, unless the step says so.
    upgrade = amazon.run(f"{STEP}['tool=2.*']")
    assert upgrade.code == 1 and version(amazon, "tool") == "tool 1.1", upgrade
    moved = amazon.run(STEP + "{ names: ['tool=2.*'], hold: true }")
    assert moved.code == 0 and version(amazon, "tool") == "tool 2.0", moved
    back = amazon.run(STEP + "{ names: ['tool=1.0'], hold: false }")
    assert back.code == 0 and version(amazon, "tool") == "tool 1.0", back
    assert "tool-" not in amazon.machine.read("/etc/dnf/plugins/versionlock.list")
    assert amazon.run(STEP + "{ names: ['tool=1.0'], hold: false }").endings == {"only": "unchanged"}

    # What does not exist is named, with what does.
    missing = amazon.run(f"{STEP}[other, tol]")
    assert missing.code == 1 and "`tol`" in missing.failure("only") and "did you mean `tool`?" in missing.failure("only"), missing
    missing = amazon.run(f"{STEP}['tool=9.*']")
    assert missing.code == 1 and all(word in missing.failure("only") for word in ("`9.*`", "`1.0-1`", "`2.0-1`")), missing

    # Somebody else is at work: waited for, and named.
    amazon.machine.exec(["systemd-run", "--unit=holder", "python3", "-c", HOLDER])
    until(lambda: amazon.exists("/var/lib/dnf/rpmdb_lock.pid"), 30, "the holder")
    removed = amazon.run(STEP + "{ names: [other], state: absent }")
    assert removed.code == 0 and version(amazon, "other") == "", removed
    assert "waiting for dnf lock held by python3" in " ".join(event["reason"] for event in removed.of("step_waiting")), removed


def test_packages_of_a_source_are_signed_with_its_key(amazon):
    amazon.machine.exec(["sh", "-euc", SIGNED], timeout=120)
    refused = amazon.run(SOURCE.format(key="theirs"))
    assert refused.code == 1 and refused.endings["other"] == "failed", refused
    assert "not signed with the key that is trusted for it" in refused.failure("other"), refused
    assert version(amazon, "other") == ""
    done = amazon.run(SOURCE.format(key="ours"))
    assert done.code == 0 and version(amazon, "other") == "other 3.4", done
    assert set(amazon.run(SOURCE.format(key="ours")).endings.values()) == {"unchanged"}
