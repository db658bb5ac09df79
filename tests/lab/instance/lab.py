"""All of it together: network, simulator, Bitbucket's stand-in, and instances in it."""

import base64
import fcntl
import shutil
from pathlib import Path
from typing import Dict, List, Optional, Union

from simulator.client import REGION

from . import control_groups, paths, root, settings
from .aws import Aws
from .bitbucket import HOSTS, Bitbucket
from .command import LabError
from .machine import Machine
from .network import Network

APPLICATION = "team/project_name-api.git"


class Lab:
    """A lab of one name. What an earlier, interrupted run left under that name is removed before it comes up."""

    def __init__(self, name: str):
        self.name = name
        self.directory = paths.state(name)
        self.network = Network(name)
        self.aws = Aws(self.directory / "aws", self.network)
        self.bitbucket = Bitbucket(self.directory / "bitbucket", self.network)
        self._lower: List[Path] = []

    def up(self) -> "Lab":
        """Brings the lab up, without an instance."""
        self._lower = root.prepared()
        self.down()
        self.directory.mkdir(parents=True)
        self.network.up()
        self.aws.up()
        self.bitbucket.up()
        self.bitbucket.repository(APPLICATION, paths.LAB / "apps" / "background-removal")
        return self

    def down(self) -> None:
        """Ends every process of the lab and removes everything it made but the prepared root."""
        names = [machine.name for machine in self.machines()]
        self.network.down()
        for name in names:
            control_groups.leave_nothing(name)
        if self.directory.exists():
            # A mount that should not be there would make this delete somebody else's files.
            if f" {self.directory}/" in Path("/proc/self/mounts").read_text():
                raise LabError(f"something is still mounted below `{self.directory}`")
            shutil.rmtree(self.directory)

    def machines(self) -> List[Machine]:
        """The instances there are, running or not."""
        directory = self.directory / "instances"
        found = sorted(directory.iterdir()) if directory.is_dir() else []
        return [Machine(entry, self.network) for entry in found if (entry / "machine.json").exists()]

    def launch(
        self, user_data: Union[str, bytes, None] = None, *, group: Optional[str] = None, image: Optional[Machine] = None,
        files: Optional[Dict[str, str]] = None, boot: bool = True, **attachment: object,
    ) -> Machine:
        """Launches one more instance, through an Auto Scaling group if one is named, and switches it on.

        `attachment` goes to the simulator (`role`, `tags_enabled`, `credentials_after`, …).
        """
        instance = self._grow(group) if group else self._run()
        return self.host(instance, user_data, image=image, files=files, boot=boot, **attachment)

    def host(
        self, instance: str, user_data: Union[str, bytes, None] = None, *, image: Optional[Machine] = None,
        files: Optional[Dict[str, str]] = None, boot: bool = True, **attachment: object,
    ) -> Machine:
        """Gives an instance that exists in the simulator (a replacement, a warm one) a machine of its own."""
        machine = self._create(instance, files or {}, image)
        if isinstance(user_data, bytes):
            attachment["user_data_base64"] = base64.b64encode(user_data).decode()
        elif user_data is not None:
            attachment["user_data"] = user_data
        self.aws.control().attach(instance, ip=machine.address, **attachment)
        return machine.boot() if boot else machine

    def state(self, machine: Machine) -> str:
        """The lifecycle state of an instance, as its group sees it."""
        return self.aws.control().instance(machine.name).get("lifecycle_state") or "in no group"

    def environment(self) -> Dict[str, str]:
        """What systemd gives to the services of an instance: where AWS is, and the proxies of this machine."""
        variables = {"AWS_ENDPOINT_URL": self.aws.endpoint, "AWS_REGION": REGION, **settings.proxies()}
        if len(variables) > 2:
            local = [str(self.network.subnet), self.network.metadata, "localhost", "127.0.0.1"]
            variables["NO_PROXY"] = variables["no_proxy"] = ",".join([*filter(None, [variables.get("no_proxy")]), *local])
        return variables

    def _run(self) -> str:
        answer = self.aws.control().boto("ec2").run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="t3.small")
        return answer["Instances"][0]["InstanceId"]

    def _grow(self, name: str) -> str:
        client = self.aws.control().boto("autoscaling")

        def members():
            (group,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
            return group["DesiredCapacity"], {member["InstanceId"] for member in group["Instances"]}

        desired, before = members()
        client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=desired + 1)
        new = members()[1] - before
        if len(new) != 1:
            raise LabError(f"the group `{name}` launched {len(new)} instances instead of one")
        return new.pop()

    def _create(self, instance: str, files: Dict[str, str], image: Optional[Machine]) -> Machine:
        if not self._lower:
            self._lower = root.prepared()
        instances = self.directory / "instances"
        instances.mkdir(parents=True, exist_ok=True)
        # Two processes may launch at once; an address belongs to one of them.
        with open(instances / ".addresses", "a") as addresses:
            fcntl.flock(addresses, fcntl.LOCK_EX)
            taken = {machine.address for machine in self.machines()}
            address = next(str(ip) for ip in list(self.network.subnet.hosts())[9:] if str(ip) not in taken)
            return Machine.create(
                instances / instance, self.network, self._lower, address, {**self._files(address), **files},
                control=self.aws.endpoint, image=image,
            )

    def _files(self, address: str) -> Dict[str, str]:
        """What the image of this team brings: where AWS is, and whose host key is Bitbucket's and GitHub's."""
        name = f"ip-{address.replace('.', '-')}"
        words = " ".join(
            '"' + f"{key}={value}".replace('"', "").replace("%", "%%") + '"' for key, value in self.environment().items()
        )
        return {
            "/etc/systemd/system.conf.d/10-lab.conf": f"[Manager]\nDefaultEnvironment={words}\n",
            "/etc/hosts": (
                f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{address} {name}.ec2.internal {name}\n"
                f"{self.bitbucket.address} {' '.join(HOSTS)}\n"
            ),
            "/etc/ssh/ssh_known_hosts": self.bitbucket.known_hosts,
        }
