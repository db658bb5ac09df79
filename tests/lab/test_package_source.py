"""A third party's apt repository over the network: the pinned key lets its packages in, another one does not."""

import shutil
import subprocess
import tempfile

import pytest
from instance.command import run
from instance.web import Web

pytestmark = pytest.mark.full

PLAYBOOK = """
version: 1
name: source
steps:
  - id: third-party
    package_source:
      name: third-party
      uris: ["{uri}"]
      suites: ["./"]
      key_source: "{uri}key.asc"
      fingerprint: {fingerprint}
  - id: tool
    needs: []
    packages: [tool]
"""


class Repository:
    """Packages, their list, and a signature over it, as anybody would publish them."""

    def __init__(self, web):
        self._web = web
        self._keys = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")
        self.uri = f"https://{web.address}/"

    def key(self, owner: str) -> str:
        """Makes a key and returns its fingerprint."""
        self._gpg("--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign", "0")
        listed = self._gpg("--with-colons", "--list-keys", owner).splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))

    def publish(self, version: str, signer: str, shown: str) -> None:
        """One version of `tool`, signed by one and with the key of another shown."""
        with tempfile.TemporaryDirectory() as folder:
            tree = f"{folder}/tree"
            run(["mkdir", "-p", f"{tree}/DEBIAN", f"{tree}/usr/share/tool"])
            with open(f"{tree}/DEBIAN/control", "w") as control:
                control.write(f"Package: tool\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: tool\n")
            with open(f"{tree}/usr/share/tool/version", "w") as file:
                file.write(version)
            package = f"tool_{version}_all.deb"
            run(["dpkg-deb", "--build", "--root-owner-group", tree, f"{folder}/{package}"])
            run(["rm", "-r", tree])
            packages = run(["dpkg-scanpackages", "--multiversion", "."], cwd=folder).stdout
            digest = subprocess.run(["sha256sum"], input=packages, capture_output=True, text=True, check=True).stdout.split()[0]
            date = run(["date", "--utc", "--rfc-email"]).stdout.strip().replace("+0000", "UTC")
            release = f"Suite: stable\nDate: {date}\nSHA256:\n {digest} {len(packages.encode())} Packages\n"
            signed = self._gpg("--local-user", signer, "--clearsign", "--output", "-", input=release)
            with open(f"{folder}/{package}", "rb") as file:
                self._web.put(package, file.read())
        for name, content in (("Packages", packages), ("InRelease", signed), ("key.asc", self._gpg("--armor", "--export", shown))):
            self._web.put(name, content.encode())

    def close(self) -> None:
        """The agent that gpg leaves behind ends with its folder."""
        run(["gpgconf", "--homedir", self._keys, "--kill", "all"], check=False)
        run(["rm", "-rf", self._keys])

    def _gpg(self, *words: str, input: str = "") -> str:
        return run(["gpg", "--homedir", self._keys, "--batch", "--yes", "--quiet", *words], input=input).stdout


@pytest.fixture
def repository(lab):
    web = Web(lab.directory / "sources", lab.network).up()
    it = Repository(web)
    it.web = web
    yield it
    it.close()
    web.stop()
    shutil.rmtree(web.directory)


def test_the_pinned_key_lets_packages_in_and_no_other_does(repository, agent):
    repository.web.trusted_by(agent.machine)
    ours, theirs = repository.key("ours"), repository.key("theirs")
    right = PLAYBOOK.format(uri=repository.uri, fingerprint=ours)
    repository.publish("1.0", signer="ours", shown="ours")
    planned = agent.run(right, "--dry-run")
    assert planned.code == 10 and not agent.exists("/etc/apt/keyrings/third-party.asc"), planned
    done = agent.run(right)
    assert done.code == 0 and set(done.endings.values()) == {"changed"}, done
    assert agent.machine.read("/usr/share/tool/version") == "1.0"
    asked = len(repository.web.requests())
    again = agent.run(right)
    assert again.code == 0 and set(again.endings.values()) == {"unchanged"}, again
    assert len(repository.web.requests()) == asked, "a second run asks nobody"

    # Somebody else signs from now on: their packages stay out, whatever key is shown.
    repository.publish("2.0", signer="theirs", shown="theirs")
    pinned = right.replace("packages: [tool]", "packages: ['tool=2.*']")
    refused = agent.run(pinned)
    assert refused.code == 1 and list(refused.endings.values()) == ["unchanged", "failed"], refused
    assert agent.machine.read("/usr/share/tool/version") == "1.0"
    # Until the playbook says that it is theirs.
    moved = agent.run(pinned.replace(ours, theirs))
    assert moved.code == 0 and set(moved.endings.values()) == {"changed"}, moved
    assert agent.machine.read("/usr/share/tool/version") == "2.0"


def test_a_key_that_is_not_the_pinned_one_is_never_written(repository, agent):
    repository.web.trusted_by(agent.machine)
    repository.key("ours"), repository.key("theirs")
    repository.publish("1.0", signer="ours", shown="ours")
    other = "385E7C3CADDF0CF838445DEF26383B0C292530FC"
    refused = agent.run(PLAYBOOK.format(uri=repository.uri, fingerprint=other))
    assert refused.code == 1 and list(refused.endings.values()) == ["failed", "not_started"], refused
    assert other in refused.failure("third-party") and "verify" in refused.failure("third-party"), refused
    assert not agent.exists("/etc/apt/keyrings/third-party.asc") and not agent.exists("/etc/apt/sources.list.d/third-party.sources")

    # The right key is shown, and another one signs: apt says no, in words.
    ours = repository.key("mine")
    repository.publish("1.0", signer="theirs", shown="mine")
    refused = agent.run(PLAYBOOK.format(uri=repository.uri, fingerprint=ours))
    assert refused.code == 1, refused
    assert "not signed with the key that is trusted for it" in refused.failure("third-party"), refused
    assert refused.seconds < 60, "it is no trouble of the network, and not tried again"
