"""The gallery's table is about the playbooks there are, and a policy that does not fit is seen."""

import json

import pytest
import yaml
from simulator import policies as policy

from . import gallery
from .system import GALLERY, System

EXAMPLES = sorted([*GALLERY.glob("*/parameters.json"), *GALLERY.glob("*.parameters.json")])


def playbooks():
    """Every system's playbook, by name: folders with a `playbook.yaml`, and files."""
    found = {path.parent.name: path for path in GALLERY.glob("*/playbook.yaml")}
    return {**found, **{path.stem: path for path in GALLERY.glob("*.yaml")}}


def test_the_table_has_a_row_for_each_system_with_its_steps():
    rows = gallery.rows(gallery.README.read_text())
    systems = playbooks()
    assert set(rows) == set(systems), (set(rows), set(systems))
    for name, row in rows.items():
        steps = len(yaml.safe_load(systems[name].read_text())["steps"])
        assert f"| {steps} |" in row, f"{row}: the playbook has {steps} steps; tests/lab/python -m systems.gallery"


def test_every_system_is_in_the_gallery():
    text = gallery.README.read_text()
    missing = [name for name, path in playbooks().items() if f"({path.relative_to(GALLERY)})" not in text and f"({name}/)" not in text]
    assert missing == []


def test_every_system_says_what_its_role_must_allow():
    for name, path in playbooks().items():
        system = System(name if path.name == "playbook.yaml" else path.name)
        assert policy.never_used(system.policy, []), name


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(GALLERY)))
def test_an_example_of_parameters_is_what_the_command_line_takes(path):
    for one in json.loads(path.read_text()):
        assert set(one) <= {"Name", "Type", "Value", "Description"} and one["Type"] in ("String", "SecureString"), one
        assert one["Name"].startswith("/") and one["Value"], one


def test_a_row_is_replaced_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "_folder", lambda: tmp_path)
    monkeypatch.setattr(gallery, "_steps", lambda name: 3)
    text = "# A\n<!-- measured: by x -->\n\n| [b](b/playbook.yaml) | 1 | 2 s | 3.0 s |\n\n<!-- end of what was measured -->\nB\n"
    monkeypatch.setattr(gallery.os, "getloadavg", lambda: (0.0, 4.4, 0.0))
    gallery.record("a", healthy=12.4)
    assert list(gallery.rows(gallery.rewritten(text))) == ["b"]
    gallery.record("a", again=0.26)
    new = gallery.rewritten(text)
    assert gallery.rows(new)["a"] == "| [a](a/playbook.yaml) | 3 | 4 | 12 s | 0.3 s | – |"
    assert gallery.rows(new)["b"] == gallery.rows(text)["b"] and new.startswith("# A\n") and new.endswith("\nB\n")
    assert gallery.rewritten(new) == new


def test_a_policy_allows_what_it_names_and_nothing_else():
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/keys/*"},
        {"Effect": "Allow", "Action": ["ssm:GetParameters"], "Resource": "arn:aws:ssm:*:*:parameter/a/*"},
    ]}
    calls = [
        {"service": "s3", "action": "HeadObject", "params": {"Bucket": "b", "Key": "keys/one"}},
        {"service": "ssm", "action": "GetParameters", "params": {"Names": ["/a/x", "/other"]}},
    ]
    needed = policy.needs(calls)
    refused = {need.resource for need in needed if not policy.allows(document, need)}
    assert refused == {"arn:aws:ssm:us-east-1:123456789012:parameter/other"}
    assert policy.never_used(document, needed) == set()
    assert policy.never_used(document, policy.needs(calls[:1])) == {"ssm:GetParameters"}


def test_a_list_of_objects_is_allowed_below_the_prefix_that_a_condition_names():
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": {"StringLike": {"s3:prefix": "static/*"}},
    }]}
    calls = [
        {"service": "s3", "action": "ListObjectsV2", "params": {"Bucket": "b", "prefix": prefix}} for prefix in ("static/", "keys/", "")
    ]
    refused = {need.prefix for need in policy.needs(calls) if not policy.allows(document, need)}
    assert refused == {"keys/", ""}
