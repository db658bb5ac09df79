"""The tree of facts an instance can read about itself.

A directory is a dict, a leaf is text; whatever is absent is not in the tree.
Each fact comes from where DescribeInstances takes it.
"""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any
from urllib.parse import quote

from .calls import ACCOUNT
from .credentials import LIFETIME
from .machines import Machine
from .world import World

Tree = dict[str, Any]


def tree(world: World, instance: Any, machine: Machine | None) -> Tree:
    """Everything below `/latest/` for one instance."""
    top: Tree = {"meta-data": _meta_data(world, instance, machine)}
    user_data = _user_data(instance, machine)
    if user_data is not None:
        top["user-data"] = user_data
    document = json.dumps(_identity(instance), indent=2)
    top["dynamic"] = {"instance-identity": {"document": document}}
    return top


def _meta_data(world: World, instance: Any, machine: Machine | None) -> Tree:
    zone = instance.placement.zone
    nic = instance.nics[0]
    groups = [group.name for group in instance.security_groups] or ["default"]
    leaves: Tree = {
        "ami-id": instance.image_id,
        "ami-launch-index": str(instance.ami_launch_index),
        "hostname": instance.private_dns_name,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": instance.lifecycle or "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": instance.private_dns_name,
        "local-ipv4": instance.private_ip_address,
        "mac": nic.mac_address,
        "placement": {"availability-zone": zone, "region": instance.region_name},
        "security-groups": "\n".join(groups),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
        "network": {"interfaces": {"macs": {nic.mac_address: _interface(instance, nic, groups)}}},
    }
    if instance.public_ip_address:
        leaves["public-ipv4"] = instance.public_ip_address
        leaves["public-hostname"] = instance.public_dns_name
    tags = _tags(instance, machine)
    if tags is not None:
        leaves["tags"] = {"instance": tags}
    target = _target_state(world, instance.id)
    if target:
        leaves["autoscaling"] = {"target-lifecycle-state": target}
    iam = _iam(world, instance, machine)
    if iam:
        leaves["iam"] = iam
    return leaves


def _interface(instance: Any, nic: Any, groups: list[str]) -> Tree:
    return {
        "device-number": "0",
        "interface-id": nic.id,
        "local-hostname": instance.private_dns_name,
        "local-ipv4s": instance.private_ip_address,
        "mac": nic.mac_address,
        "owner-id": ACCOUNT,
        "security-groups": "\n".join(groups),
        "subnet-id": nic.subnet.id,
        "subnet-ipv4-cidr-block": nic.subnet.cidr_block,
        "vpc-id": nic.subnet.vpc_id,
    }


def _target_state(world: World, instance: str) -> str:
    member = world.groups.member(instance)
    if member is None:
        return ""
    # Where it is heading, never where it is; both are the same once it is there.
    held = member.state.startswith(member.phase.name)
    return member.phase.target if held else member.state


def _user_data(instance: Any, machine: Machine | None) -> bytes | None:
    if machine is not None and machine.user_data is not None:
        return machine.user_data
    return base64.b64decode(str(instance.user_data)) if instance.user_data else None


def _tags(instance: Any, machine: Machine | None) -> Tree | None:
    enabled = machine.tags_enabled if machine else None
    if enabled is None:
        enabled = instance.metadata_options.instance_metadata_tags == "enabled"
    if not enabled:
        return None
    # Which of the service's own tags show here was not verified: none do.
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def _iam(world: World, instance: Any, machine: Machine | None) -> Tree | None:
    role = machine.role if machine and machine.role else _profile_role(instance)
    if not role or (machine and not world.machines.credentials_ready(machine)):
        return None
    lifetime = machine.credentials_lifetime if machine else LIFETIME
    held = world.credentials.current(instance.id, role, lifetime)
    keys = {
        "Code": "Success",
        "LastUpdated": stamp(held.issued),
        "Type": "AWS-HMAC",
        "AccessKeyId": held.access_key,
        "SecretAccessKey": held.secret_key,
        "Token": held.token,
        "Expiration": stamp(held.expires),
    }
    profile = f"arn:aws:iam::{ACCOUNT}:instance-profile/{quote(role)}"
    info = {"Code": "Success", "LastUpdated": stamp(held.issued), "InstanceProfileArn": profile}
    return {
        "info": json.dumps(info, indent=2),
        "security-credentials": {role: json.dumps(keys, indent=2)},
    }


def _profile_role(instance: Any) -> str:
    profile = instance.iam_instance_profile
    if isinstance(profile, dict):
        profile = profile.get("Name") or profile.get("Arn")
    return str(profile).rpartition("/")[2] if profile else ""


def _identity(instance: Any) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT,
        "architecture": instance.architecture,
        "availabilityZone": instance.placement.zone,
        "billingProducts": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "pendingTime": instance.launch_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": instance.private_ip_address,
        "region": instance.region_name,
        "version": "2017-09-30",
    }


def stamp(seconds: float) -> str:
    """Seconds since the epoch as the service prints times."""
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
