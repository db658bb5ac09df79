"""The metadata service, version 2 only. The first part of the path says whose it is, as `AWS_EC2_METADATA_SERVICE_ENDPOINT` may."""

from __future__ import annotations

import json
import time

from .account import ACCOUNT_ID, REGION, Account, Instance
from .answers import Answer, text

ROLE = "fleet"
_HOURS = 6 * 3600
_TTL = "x-aws-ec2-metadata-token-ttl-seconds"
_TOKEN = "x-aws-ec2-metadata-token"


class Metadata:
    """All instances'."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Answer | None:
        """One request; `None` when the path is no instance's."""
        _, _, rest = path.partition("/")
        name, _, path = rest.partition("/")
        instance = self._account.instances.get(name)
        if instance is None:
            return None
        instance.answered["imds", "PutToken" if method == "PUT" else "Get"] += 1
        if method == "PUT" and path == "latest/api/token":
            ttl = headers.get(_TTL, "")
            if not ttl.isdigit() or not 1 <= int(ttl) <= _HOURS:
                return text(400, "bad request")
            return text(200, f"token-of-{instance.id}", x_aws_ec2_metadata_token_ttl_seconds=ttl)
        if headers.get(_TOKEN) != f"token-of-{instance.id}":
            return text(401, "unauthorized")
        leaf = self._leaf(instance, path.rstrip("/"))
        return text(404, "not found") if leaf is None else text(200, leaf)

    def _leaf(self, instance: Instance, path: str) -> str | None:
        credentials = "latest/meta-data/iam/security-credentials"
        match path:
            case "latest/dynamic/instance-identity/document":
                return json.dumps({
                    "accountId": ACCOUNT_ID, "architecture": "x86_64", "availabilityZone": f"{REGION}a", "imageId": "ami-0fleet",
                    "instanceId": instance.id, "instanceType": "t3.micro", "pendingTime": _stamp(instance.launched),
                    "privateIp": instance.address, "region": REGION, "version": "2017-09-30",
                })
            case "latest/meta-data/instance-id":
                return instance.id
            case "latest/meta-data/placement/region":
                return REGION
            case "latest/meta-data/placement/availability-zone":
                return f"{REGION}a"
            case "latest/meta-data/autoscaling/target-lifecycle-state":
                return "InService"
            case "latest/meta-data/tags/instance":
                return "Name"
            case "latest/meta-data/tags/instance/Name":
                return f"fleet-{instance.number}"
            case path if path == credentials:
                return ROLE
            case path if path == f"{credentials}/{ROLE}":
                now = self._account.clock.now()
                return json.dumps({
                    "Code": "Success", "LastUpdated": _stamp(now), "Type": "AWS-HMAC", "AccessKeyId": instance.access_key,
                    "SecretAccessKey": "secret", "Token": f"session-of-{instance.id}", "Expiration": _stamp(now + _HOURS),
                })
            case _:
                return None


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
