"""The systems of the gallery (`playbooks/README.md`), each booted from user-data to its health answer and looked at.

    system.py    a system as its team has it in AWS: parameters, objects, group, hook, repositories
    booted.py    its instance: a dry-run on a twin, the boot, and later runs
    laws.py      what is true of every one: the dry-run told the truth, the second run has nothing to do, the policy is enough
    poller.py    a client that asks all along while something changes
    gallery.py   what was measured, and the table made from it: `tests/lab/python -m systems.gallery`

A test file makes a `System`, boots it in a fixture of module scope, and adds what only this system has:

    SYSTEM = System("anb-web", group="anb-video-web", hook="web-launching", parameters={"/anb-video/deploy-key": KEY})

    @pytest.fixture(scope="module")
    def web(lab, binary):
        with boot(lab, binary, SYSTEM) as booted:
            yield booted
"""
