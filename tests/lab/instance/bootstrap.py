"""What a team has in AWS before its instance starts (agent, playbook, user-data), and the launch of S1's instance."""

import hashlib
import io
import re
import shlex
import tarfile
from pathlib import Path
from typing import Dict, Sequence

from simulator import s1

from . import paths
from .command import LabError
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


def publish(lab: Lab, binary: Path, playbook: Path) -> str:
    """Puts the agent and the playbook into the team's bucket; returns the agent's digest.

    A playbook that is a folder goes there as one archive, one that is a file with the environments beside it.
    """
    content = binary.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    objects = {f"{BUCKET}/agent/{digest}": content}
    if playbook.is_dir():
        objects[location(playbook).removeprefix("s3://")] = packed(playbook)
    else:
        for path in [playbook, *sorted(playbook.parent.glob("vars/*.yaml"))]:
            objects[f"{BUCKET}/playbooks/{path.relative_to(playbook.parent)}"] = path.read_bytes()
    s1.put_objects(lab.aws.control(), objects)
    return digest


def location(playbook: Path) -> str:
    """Where `publish` puts a playbook, as `agent install` is told."""
    return f"s3://{BUCKET}/playbooks/{playbook.name}{'.tar.gz' if playbook.is_dir() else ''}"


def packed(folder: Path) -> bytes:
    """A playbook's folder in one file, as `tar --create --gzip FOLDER` makes it."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    return result.getvalue()


def user_data(lab: Lab, digest: str, playbook: str, options: Sequence[str] = OPTIONS) -> str:
    """The script an instance of this team starts with; `playbook` is what `agent install` is given."""
    url = lab.aws.control().boto("s3").generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": f"agent/{digest}"}, ExpiresIn=3600,
    )
    return render(
        paths.LAB / "user-data.sh", BINARY_URL=url, BINARY_SHA256=digest, PLAYBOOK=playbook, OPTIONS=shlex.join(options),
    )


def launch(lab: Lab, binary: Path, playbook: Path, options: Sequence[str] = OPTIONS, **account: object) -> Machine:
    """Creates the account of S1 (`account` goes to `s1.create`) and launches its first instance."""
    s1.create(lab.aws.control(), parameters=parameters(lab), desired=0, **account)
    digest = publish(lab, binary, playbook)
    script = user_data(lab, digest, location(playbook), options)
    return lab.launch(script, group=s1.GROUP, role=s1.ROLE)


def render(template: Path, **values: str) -> str:
    """A user-data script with its `@NAME@` marks filled in; a mark without a value, or the reverse, is an error."""
    text = template.read_text()
    marks = set(re.findall(r"@([A-Z0-9_]+)@", text))
    if marks != set(values):
        raise LabError(f"`{template.name}` has the marks {sorted(marks)}, values were given for {sorted(values)}")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
