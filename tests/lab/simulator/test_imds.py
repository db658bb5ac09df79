"""The metadata service, as an instance and as an attacker see it."""

from __future__ import annotations

import base64
import json
import socket
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

from . import s1
from .test_hooks import complete

TTL, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


class Instance:
    """A caller that reads its metadata through its path prefix, or by its address."""

    def __init__(self, aws, instance, by_prefix=True):
        self.base = aws.imds_url + (f"/{instance}" if by_prefix else "")
        self._token = None

    def request(self, path, method="GET", timeout=5, **headers):
        request = urllib.request.Request(self.base + path, method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def token(self, ttl="60"):
        status, body = self.request("/latest/api/token", "PUT", **{TTL: ttl})
        assert status == 200
        return body.decode()

    def get(self, path):
        self._token = self._token or self.token()
        return self.request(path, **{TOKEN: self._token})

    def text(self, path):
        status, body = self.get("/latest/meta-data/" + path)
        assert status == 200, path
        return body.decode()

    def boto_keys(self):
        role = self.text("iam/security-credentials/")
        keys = json.loads(self.text(f"iam/security-credentials/{role}"))
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["Token"],
        }


@pytest.fixture
def instance(aws):
    return s1.create(aws, user_data="#!/bin/sh\necho hello\n")


def test_a_token_is_needed(aws, instance):
    caller = Instance(aws, instance)
    assert caller.request("/latest/meta-data/instance-id")[0] == 401
    assert caller.request("/latest/meta-data/instance-id", **{TOKEN: "made-up"})[0] == 401
    assert caller.get("/latest/meta-data/instance-id") == (200, instance.encode())


@pytest.mark.parametrize("ttl", ["0", "21601", "", "soon", "-1"])
def test_a_wrong_lifetime_is_refused(aws, instance, ttl):
    assert Instance(aws, instance).request("/latest/api/token", "PUT", **{TTL: ttl})[0] == 400


def test_a_lifetime_must_be_given_and_no_proxy_may_ask(aws, instance):
    caller = Instance(aws, instance)
    assert caller.request("/latest/api/token", "PUT")[0] == 400
    assert caller.request("/latest/api/token", "PUT", **{TTL: "60", "X-Forwarded-For": "10.0.0.1"})[0] == 403
    assert caller.request("/latest/api/token", "PUT", **{TTL: "21600"})[0] == 200


def test_a_token_ends(aws, instance):
    caller = Instance(aws, instance)
    token = caller.token("60")
    aws.advance(59)
    assert caller.request("/latest/meta-data/instance-id", **{TOKEN: token})[0] == 200
    aws.advance(2)
    assert caller.request("/latest/meta-data/instance-id", **{TOKEN: token})[0] == 401


def test_a_token_is_good_for_its_own_instance_only(aws):
    s1.create(aws, desired=2)
    one, two = (m["instance"] for m in aws.group(s1.GROUP)["instances"])
    token = Instance(aws, one).token()
    assert Instance(aws, two).request("/latest/meta-data/instance-id", **{TOKEN: token})[0] == 401


def test_facts_equal_describe_instances(aws, instance):
    (reservation,) = aws.boto("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
    facts, caller = reservation["Instances"][0], Instance(aws, instance)
    assert caller.text("instance-id") == facts["InstanceId"]
    assert caller.text("instance-type") == facts["InstanceType"] == "t3.small"
    assert caller.text("ami-id") == facts["ImageId"]
    assert caller.text("local-ipv4") == facts["PrivateIpAddress"]
    assert caller.text("local-hostname") == facts["PrivateDnsName"]
    assert caller.text("placement/availability-zone") == facts["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert caller.text("placement/region") == "us-east-1"
    mac = caller.text("mac")
    assert mac == facts["NetworkInterfaces"][0]["MacAddress"]
    assert caller.text(f"network/interfaces/macs/{mac}/subnet-id") == facts["SubnetId"]
    document = json.loads(caller.get("/latest/dynamic/instance-identity/document")[1])
    assert document["instanceId"] == instance and document["region"] == "us-east-1"
    assert document["accountId"] == "123456789012" and document["privateIp"] == facts["PrivateIpAddress"]


def test_the_region_is_the_instances_own(aws):
    caller = Instance(aws, s1.create(aws, region="eu-west-1"))
    assert caller.text("placement/region") == "eu-west-1"
    assert caller.text("placement/availability-zone") == "eu-west-1a"


def test_listings_leaves_and_what_is_absent(aws, instance):
    caller = Instance(aws, instance)
    listing = caller.text("").split("\n")
    assert "instance-id" in listing and "placement/" in listing and "tags/" not in listing
    assert not caller.text("instance-id").endswith("\n")
    for absent in ("nothing", "tags/instance/Name", "spot/instance-action", "public-ipv4/x"):
        assert caller.get("/latest/meta-data/" + absent)[0] == 404
    assert caller.get("/1066-10-14/meta-data/instance-id")[0] == 404
    assert caller.request("/latest/meta-data/", "POST")[0] == 405


def test_a_crawler_can_fetch_whatever_is_listed(aws):
    # cloud-init walks the tree like this and fails on the first dead end.
    caller = Instance(aws, s1.create(aws, tags={"Name": "api"}, tags_in_metadata=True))

    def crawl(path):
        status, body = caller.get(path)
        assert status == 200, path
        if not path.endswith("/"):
            return [path]
        names = body.decode().split("\n")
        assert names and all(names), path
        return [leaf for name in names for leaf in crawl(path + name)]

    leaves = crawl("/2021-03-23/meta-data/")
    for expected in ("instance-id", "tags/instance/Name", f"iam/security-credentials/{s1.ROLE}", "placement/region"):
        assert f"/2021-03-23/meta-data/{expected}" in leaves


def test_the_address_of_the_stand_in_is_the_instances_own(aws, instance):
    aws.attach(instance, ip="10.77.0.9")
    (reservation,) = aws.boto("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
    facts, caller = reservation["Instances"][0], Instance(aws, instance)
    assert facts["PrivateIpAddress"] == caller.text("local-ipv4") == "10.77.0.9"
    assert facts["PrivateDnsName"] == caller.text("local-hostname") == "ip-10-77-0-9.ec2.internal"
    mac = caller.text("mac")
    assert caller.text(f"network/interfaces/macs/{mac}/local-ipv4s") == "10.77.0.9"
    assert aws.instance(instance)["private_ip"] == "10.77.0.9"


@pytest.mark.parametrize("version", ["2009-04-04", "2021-03-23"])
def test_cloud_inits_dated_paths(aws, instance, version):
    caller = Instance(aws, instance)
    assert caller.get(f"/{version}/meta-data/instance-id") == (200, instance.encode())
    assert caller.get(f"/{version}/user-data") == (200, b"#!/bin/sh\necho hello\n")
    assert caller.request(f"/{version}/user-data")[0] == 401


def test_user_data_can_be_overridden_and_may_be_binary(aws, instance):
    aws.attach(instance, user_data_base64=base64.b64encode(b"\x1f\x8b\x00").decode())
    assert Instance(aws, instance).get("/latest/user-data") == (200, b"\x1f\x8b\x00")


def test_no_user_data_is_404(aws):
    assert Instance(aws, s1.create(aws)).get("/latest/user-data")[0] == 404


def test_the_callers_address_names_the_instance(aws, instance):
    caller = Instance(aws, instance, by_prefix=False)
    assert caller.request("/latest/api/token", "PUT", **{TTL: "60"})[0] == 404
    aws.attach(instance, ip="127.0.0.1")
    assert caller.text("instance-id") == instance
    aws.boto("autoscaling").set_desired_capacity(AutoScalingGroupName=s1.GROUP, DesiredCapacity=2)
    other = aws.group(s1.GROUP)["instances"][1]["instance"]
    aws.attach(other, ip="127.0.0.1")
    assert Instance(aws, other, by_prefix=False).text("instance-id") == other
    aws.attach(instance, ip="127.0.0.1")
    assert caller.text("instance-id") == instance, "the last to move in has the address"
    aws.detach(other)
    aws.detach(instance)
    assert caller.get("/latest/meta-data/instance-id")[0] == 404


def test_the_target_state_is_where_it_is_heading(aws, instance):
    caller = Instance(aws, instance)
    assert aws.instance(instance)["lifecycle_state"] == "Pending:Wait"
    assert caller.text("autoscaling/target-lifecycle-state") == "InService"
    complete(aws, instance)
    assert caller.text("autoscaling/target-lifecycle-state") == "InService"


def test_the_target_state_in_a_warm_pool(aws):
    s1.create(aws, desired=0)
    aws.boto("autoscaling").put_warm_pool(
        AutoScalingGroupName=s1.GROUP, MinSize=1, MaxGroupPreparedCapacity=1, PoolState="Hibernated"
    )
    member = aws.group(s1.GROUP)["instances"][0]["instance"]
    caller = Instance(aws, member)
    assert caller.text("autoscaling/target-lifecycle-state") == "Warmed:Hibernated"
    complete(aws, member)
    aws.to_service(member)
    assert caller.text("autoscaling/target-lifecycle-state") == "InService"


def test_outside_a_group_there_is_no_target_state(aws):
    run = aws.boto("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, InstanceType="t3.small")
    caller = Instance(aws, run["Instances"][0]["InstanceId"])
    assert caller.get("/latest/meta-data/autoscaling/target-lifecycle-state")[0] == 404
    assert caller.get("/latest/meta-data/iam/security-credentials/")[0] == 404


def test_tags_show_when_they_are_enabled(aws):
    caller = Instance(aws, s1.create(aws, tags={"Name": "api", "Stage": "prod"}, tags_in_metadata=True))
    assert caller.text("tags/instance/Name") == "api"
    assert caller.text("tags/instance/").split("\n") == ["Name", "Stage"]


def test_credentials_are_the_roles_and_rotate(aws, instance):
    caller = Instance(aws, instance)
    first = caller.boto_keys()
    assert caller.text("iam/security-credentials/") == s1.ROLE
    assert caller.boto_keys() == first
    aws.advance(6 * 3600 - 200)
    second = Instance(aws, instance).boto_keys()
    assert second != first
    ssm = aws.boto("ssm", **first)
    ssm.get_parameters(Names=["/x"])
    aws.advance(300)
    with pytest.raises(ClientError, match="security token included in the request is expired"):
        ssm.get_parameters(Names=["/x"])
    aws.boto("ssm", **second).get_parameters(Names=["/x"])


def test_credentials_can_be_late(aws, instance):
    aws.attach(instance, credentials_after=10)
    caller = Instance(aws, instance)
    assert caller.get("/latest/meta-data/iam/security-credentials/")[0] == 404
    aws.advance(11)
    assert caller.text("iam/security-credentials/") == s1.ROLE


def test_it_can_be_slow_absent_and_counts(aws, instance):
    caller = Instance(aws, instance)
    aws.fault("latency", service="imds", instance=instance, seconds=0.4, name="*/instance-type")
    started = time.monotonic()
    caller.text("instance-type")
    assert time.monotonic() - started >= 0.4
    aws.clear_faults()
    aws.fault("drop", service="imds")
    with pytest.raises((OSError, urllib.error.URLError)):
        caller.request("/latest/meta-data/instance-id")
    aws.clear_faults()
    aws.fault("hang", service="imds")
    with pytest.raises((socket.timeout, TimeoutError)):
        caller.request("/latest/meta-data/instance-id", timeout=0.3)
    aws.clear_faults()
    assert len(aws.journal(service="imds", action="PutToken", instance=instance)) == 1
    (asked,) = aws.journal(service="imds", name="*/instance-type")
    assert asked["instance"] == instance and asked["faults"] == ["latency"]
