"""What a team has in AWS before its instance starts (agent, playbook, user-data), and the launch of S1's instance."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Dict, Sequence

from simulator import s1

from .command import run
from .lab import Lab
from .machine import Machine

BUCKET = "project-artifacts"
ENVIRONMENT = "prod"
OPTIONS = ("--set", f"environment={ENVIRONMENT}")
SECRET = "correct-horse-battery-staple-4711"


def parameters(lab: Lab) -> Dict[str, str]:
    """What is in the parameter store: the deploy key and the application's settings."""
    prefix = "/background-removal"
    return {
        f"{prefix}/bitbucket-key": lab.bitbucket.deploy_key,
        f"{prefix}/{ENVIRONMENT}/env/APP_SECRET": SECRET,
    }


def publish(lab: Lab, binary: Path, playbook: Path) -> None:
    """Puts the agent and the playbook into the team's bucket.

    A playbook that is a folder goes there as one archive, one that is a file with the environments beside it.
    """
    objects = {agent(binary).removeprefix("s3://"): binary.read_bytes()}
    if playbook.is_dir():
        objects[location(playbook).removeprefix("s3://")] = packed(playbook)
    else:
        for path in [playbook, *sorted(playbook.parent.glob("vars/*.yaml"))]:
            objects[f"{BUCKET}/playbooks/{path.relative_to(playbook.parent)}"] = path.read_bytes()
    s1.put_objects(lab.aws.control(), objects)


def agent(binary: Path) -> str:
    """Where `publish` puts the agent."""
    return f"s3://{BUCKET}/agent/{hashlib.sha256(binary.read_bytes()).hexdigest()}"


def location(playbook: Path) -> str:
    """Where `publish` puts a playbook, as `agent install` is told."""
    return f"s3://{BUCKET}/playbooks/{playbook.name}{'.tar.gz' if playbook.is_dir() else ''}"


def packed(folder: Path) -> bytes:
    """A playbook's folder in one file, as `tar --create --gzip FOLDER` makes it."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    return result.getvalue()


def user_data(binary: Path, playbook: str, options: Sequence[str] = OPTIONS) -> str:
    """The script an instance of this team starts with, as `agent user-data` prints it; `playbook` is where `publish` put it."""
    # Asked from where no vars file is: those of the playbook's archive are meant.
    command = [binary.resolve(), "user-data", playbook, "--binary", agent(binary), *options]
    return run(command, cwd="/").stdout


def launch(lab: Lab, binary: Path, playbook: Path, options: Sequence[str] = OPTIONS, **account: object) -> Machine:
    """Creates the account of S1 (`account` goes to `s1.create`) and launches its first instance."""
    s1.create(lab.aws.control(), parameters=parameters(lab), desired=0, **account)
    publish(lab, binary, playbook)
    script = user_data(binary, location(playbook), options)
    return lab.launch(script, group=s1.GROUP, role=s1.ROLE)
