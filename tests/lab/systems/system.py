"""A system of the gallery as its team has it in AWS before the first instance starts."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Tuple

import jinja2
import yaml
from instance import bootstrap, paths
from instance.command import run
from instance.lab import Lab
from simulator import s1

GALLERY = paths.REPOSITORY / "playbooks"
_DECLARATION = {"required", "default", "one_of", "description"}


@dataclass(frozen=True)
class System:
    """One playbook of the gallery with what it finds in its account."""

    # Of the folder or the file in `playbooks/`; for a file with its suffix.
    name: str
    # What `agent install` is told besides the playbook.
    options: Tuple[str, ...] = ()
    # Values in place of those in the playbook's example of its parameters, by the name of the parameter.
    parameters: Dict[str, str] = field(default_factory=dict)
    # Objects in S3, as `bucket/key`; a bucket by itself is made empty.
    objects: Dict[str, bytes] = field(default_factory=dict)
    # Repositories of the server that stands in for Bitbucket and GitHub (`team/name.git`), with folder and branch.
    repositories: Dict[str, Tuple[Path, str]] = field(default_factory=dict)
    # The Auto Scaling group and its launch hook; an instance of its own without.
    group: str = ""
    hook: str = ""
    heartbeat: int = 300
    role: str = "instance"
    tags: Dict[str, str] = field(default_factory=dict)
    # How long its boot may take on a machine that is busy with other things.
    patience: float = 900

    @property
    def playbook(self) -> Path:
        """The folder, or the file."""
        return GALLERY / self.name

    @property
    def document(self) -> Dict[str, Any]:
        """The playbook as it is written."""
        return yaml.safe_load((self.playbook / "playbook.yaml" if self.playbook.is_dir() else self.playbook).read_text())

    @property
    def policy(self) -> Dict[str, Any]:
        """The policy of the instance's role that the playbook's folder says is enough."""
        return json.loads(self._companion("policy.json").read_text())

    def printed_policy(self, binary: Path) -> Dict[str, Any]:
        """The policy that `agent iam-policy` prints for it, for the lab's account."""
        # From beside the playbook, where its vars files are.
        folder, name = (self.playbook, ".") if self.playbook.is_dir() else (self.playbook.parent, self.playbook.name)
        place = ["--at", bootstrap.location(self.playbook), "--account", "123456789012", "--region", "us-east-1"]
        return json.loads(run([binary.resolve(), "iam-policy", name, *place, *self.options], cwd=folder).stdout)

    def examples(self) -> List[Dict[str, str]]:
        """The playbook's own example of its parameters, as `aws ssm put-parameter --cli-input-json` takes each."""
        path = self._companion("parameters.json")
        return json.loads(path.read_text()) if path.exists() else []

    def _companion(self, name: str) -> Path:
        """What stands beside the playbook: in its folder, or with the name of its file before its own."""
        return self.playbook / name if self.playbook.is_dir() else self.playbook.with_suffix(f".{name}")

    def create(self, lab: Lab) -> None:
        """Makes the account, from nothing."""
        aws = lab.aws.control()
        aws.clear_faults()
        aws.reset()
        listed = self.examples()
        unknown = set(self.parameters) - {one["Name"] for one in listed}
        assert not unknown, f"the example of the parameters does not have {sorted(unknown)}"
        for one in listed:
            aws.boto("ssm").put_parameter(**{**one, "Value": self.parameters.get(one["Name"], one["Value"]), "Overwrite": True})
        s1.put_objects(aws, {name: content for name, content in self.objects.items() if "/" in name})
        for bucket in (name for name in self.objects if "/" not in name):
            aws.boto("s3").create_bucket(Bucket=bucket)
        for name, (folder, branch) in self.repositories.items():
            lab.bitbucket.repository(name, folder, branch)
        if self.group:
            s1.create(
                aws, group=self.group, hooks=(self.hook,) if self.hook else (), heartbeat=self.heartbeat, desired=0,
                tags=self.tags, role=self.role,
            )

    def secrets(self, environment: Dict[str, str]) -> Dict[str, Any]:
        """What `--secrets-from` is given: each name of `secrets:` with what the account holds for it.

        `environment` are the variables that the options set.
        """
        values = {one["Name"]: self.parameters.get(one["Name"], one["Value"]) for one in self.examples()}
        document = self.document
        known: Dict[str, Any] = {"name": document.get("name", "")}
        for name, declared in (document.get("vars") or {}).items():
            is_declaration = isinstance(declared, dict) and _DECLARATION & set(declared)
            value = environment.get(name, declared.get("default") if is_declaration else declared)
            known[name] = _rendered(value, known)
        found = {}
        for name, declared in (document.get("secrets") or {}).items():
            source = _rendered(declared["from"] if isinstance(declared, dict) else declared, known)
            if source.startswith("s3://"):
                found[name] = self.objects[source.removeprefix("s3://")].decode()
            elif source.endswith("/*"):
                below = source.removeprefix("ssm:").removesuffix("*")
                found[name] = {key.removeprefix(below): value for key, value in values.items() if key.startswith(below)}
            else:
                found[name] = values[source.removeprefix("ssm:")]
        return found

    def overrides(self) -> Dict[str, str]:
        """The variables that the options set: by `--vars` files in the folder, then by `--set`."""
        chosen: Dict[str, str] = {}
        pairs = list(zip(self.options, self.options[1:]))
        for value in (value for option, value in pairs if option == "--vars"):
            chosen.update(yaml.safe_load((self.playbook / value).read_text()) or {})
        for value in (value for option, value in pairs if option == "--set"):
            name, _, text = value.partition("=")
            chosen[name] = text
        return chosen


def _rendered(value: Any, known: Dict[str, Any]) -> Any:
    # What is only known on an instance is no part of a secret's name.
    return jinja2.Template(value, undefined=jinja2.ChainableUndefined).render(known) if isinstance(value, str) else value
