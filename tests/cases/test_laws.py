"""A law that is switched off must be noticed: each is tried on a machine, or an output, that breaks it."""

import subprocess

import case as cases
import laws
import pytest

PLAYBOOK = "name: breaks\nsecrets: { token: ssm:/token }\nsteps:\n  - directory: /srv/made\n"
SECRET = "a-secret-of-the-test"


@pytest.fixture
def case(write_case):
    """A case that has one directory to make, and a secret."""
    return write_case(PLAYBOOK, case_yaml=f"secrets: {{ token: {SECRET} }}\n")


def said(text, status=0):
    """A program that ended."""
    return subprocess.CompletedProcess([], status, text, "")


@pytest.mark.parametrize("how", [
    "mkdir /srv/new", "echo x >> /etc/hosts", "chmod 0700 /home", "chown 1 /etc/hostname", "rm /etc/passwd", "touch /etc",
    "echo x > /etc/new && rm /etc/new", "ln -s / /srv/link",
])
def test_a_dry_run_that_writes_is_seen(case, how):
    machine = case.fresh()
    laws.nothing_written(machine)
    machine.run(["sh", "-c", f"echo > /etc/hostname; {how}"] if "chown" in how else ["sh", "-c", how], 10)
    with pytest.raises(AssertionError):
        laws.nothing_written(machine)


def test_a_run_that_had_something_to_do_does_not_say_otherwise(case):
    first = case.fresh().run(case.agent(), case.timeout)
    assert first.returncode == 0, first.stdout + first.stderr
    with pytest.raises(AssertionError):
        laws.nothing_to_do(first)


@pytest.mark.parametrize("how", [
    "chmod 0700 /srv/made", "chown 1 /srv/made", "rmdir /srv/made", "touch /srv/made/more", "useradd --badname X", "ln -s x /srv/link",
])
def test_another_tree_is_another_tree(case, how):
    machine = case.fresh()
    machine.run(case.agent(), case.timeout)
    after = machine.after([])
    assert "directory 0755 root:root /srv/made" in after
    machine.run(["sh", "-c", how], 10)
    assert machine.after([]) != after


def test_what_differs_from_the_folder_is_seen(case):
    (case.folder / "after.txt").write_text("directory 0755 root:root /srv/made\n")
    same, other = (case.expect("after.txt", f"directory {mode} root:root /srv/made\n") for mode in ("0755", "0700"))
    laws.as_expected({"plan.txt": None, "run.txt": None, "after.txt": same})
    for wrong in ({"plan.txt": None, "run.txt": None, "after.txt": other}, {"plan.txt": None, "run.txt": None}):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            laws.as_expected(wrong)


def test_a_law_that_a_test_left_out_is_missed(case):
    laws.held.clear()
    laws.nothing_written(case.fresh())
    assert laws.held == {"nothing_written"}
    assert not laws.due("test_case", {}) <= laws.held and not laws.due("test_refused", {}) <= laws.held
    every = set().union(*(laws.due(test, {}) for test in ("test_case", "test_refused", "test_no_secret_in_any_argv",
                                                          "test_a_run_cut_short_is_finished_by_the_next")))
    assert every == {name for name, function in vars(laws).items() if hasattr(function, "__wrapped__")}


def test_a_run_after_a_cut_must_end_well_say_so_and_have_the_same_tree(case):
    machine = case.fresh()
    assert case.cut_after(machine, 1), "there was nothing to cut"
    finished = machine.run(case.agent(), case.timeout)
    expected = machine.after([])
    laws.finished_after_a_cut(case, machine, finished, expected, 1)
    for done, tree in [
        (said(finished.stderr, 1), expected),
        (said("nothing was reported"), expected),
        (finished, expected.replace("0755", "0700")),
    ]:
        with pytest.raises(AssertionError):
            laws.finished_after_a_cut(case, machine, done, tree, 1)


def test_a_run_is_cut_as_often_as_it_changes_something(case):
    cuts = 0
    while case.cut_after(case.fresh(), cuts + 1):
        cuts += 1
    assert cuts == 2, "one change, and the end of one step"


def test_a_leak_is_seen_wherever_it_is(case):
    machine = case.fresh()
    laws.no_secret(case, machine, [said("all is well")])
    with pytest.raises(AssertionError):
        laws.no_secret(case, machine, [said(f"the token is {SECRET}")])
    machine.run(["sh", "-c", f"mkdir -p /{cases.STATE}; echo {SECRET} > /{cases.STATE}/record"], 10)
    with pytest.raises(AssertionError):
        laws.no_secret(case, machine, [])


def test_a_secret_in_an_argv_or_environment_is_seen(case):
    laws.no_secret_started(case, '1 execve("/bin/x", ["x", "a"], ["A=b"]) = 0\n')
    for line in (f'1 execve("/bin/x", ["x", "{SECRET}"], [])', f'1 execve("/bin/x", ["x"], ["A={SECRET}"])', "nothing was traced"):
        with pytest.raises(AssertionError):
            laws.no_secret_started(case, line)
