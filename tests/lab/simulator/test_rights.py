"""Signatures and policies: the keys of an instance do what they should, and nothing that its role may not."""

from __future__ import annotations

import gzip
import json
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError

from . import policies, s1

ARN = "arn:aws:ssm:us-east-1:123456789012:parameter"


@pytest.fixture
def keys(aws):
    """Credentials of an instance, as its metadata service gives them."""
    instance = s1.create(aws, parameters={"/app/one": "1", "/app/env/A": "2"}, objects={"bucket/a b/key": b"content"})
    aws.attach(instance, ip="127.0.0.9")
    base = f"{aws.imds_url}/{instance}/latest"
    ask = urllib.request.Request(f"{base}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    token = opener.open(ask).read().decode()
    path = f"{base}/meta-data/iam/security-credentials/{s1.ROLE}"
    given = json.load(opener.open(urllib.request.Request(path, headers={"X-aws-ec2-metadata-token": token})))
    return {
        "aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["Token"],
    }


def code(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_right_signature_is_taken_by_every_service(aws, keys):
    assert aws.boto("ssm", **keys).get_parameters(Names=["/app/one"], WithDecryption=True)["Parameters"]
    assert aws.boto("s3", **keys).get_object(Bucket="bucket", Key="a b/key")["Body"].read() == b"content"
    assert aws.boto("s3", **keys).list_objects_v2(Bucket="bucket", Prefix="a b/")["KeyCount"] == 1
    aws.boto("s3", **keys).put_object(Bucket="bucket", Key="new", Body=b"x")
    aws.boto("logs", **keys).create_log_group(logGroupName="/g")
    assert aws.boto("autoscaling", **keys).describe_auto_scaling_instances()["AutoScalingInstances"]


def test_what_was_sent_compressed_is_verified_as_it_was_sent(aws, keys):
    client = aws.boto("logs", **keys)
    client.create_log_group(logGroupName="/g")
    client.create_log_stream(logGroupName="/g", logStreamName="s")

    def compress(request, **_):
        request.data = gzip.compress(request.body)
        request.headers["Content-Encoding"] = "gzip"

    client.meta.events.register_first("before-sign.logs.PutLogEvents", compress)
    client.put_log_events(logGroupName="/g", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "m"}])
    assert [event["message"] for event in aws.logs("/g")] == ["m"]


def test_a_wrong_signature_is_not(aws, keys):
    wrong = {**keys, "aws_secret_access_key": "somebody else's"}
    assert code(aws.boto("ssm", **wrong).get_parameters, Names=["/app/one"])[0] == "InvalidSignatureException"
    assert code(aws.boto("s3", **wrong).get_object, Bucket="bucket", Key="a b/key")[0] == "SignatureDoesNotMatch"
    stolen = {**keys, "aws_session_token": "another"}
    assert "session token" in code(aws.boto("s3", **stolen).get_object, Bucket="bucket", Key="a b/key")[1]


def test_a_role_may_do_what_its_policy_says_and_the_refusal_names_the_rest(aws, keys):
    ssm = aws.boto("ssm", **keys)
    statement = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": f"{ARN}/app/one"}
    aws.policy(s1.ROLE, {"Version": "2012-10-17", "Statement": [statement]})
    assert ssm.get_parameters(Names=["/app/one:1"])["Parameters"]
    said = code(ssm.get_parameters_by_path, Path="/app/env")
    assert said[0] == "AccessDeniedException" and f"ssm:GetParametersByPath on resource: {ARN}/app/env " in said[1]
    said = code(aws.boto("s3", **keys).get_object, Bucket="bucket", Key="a b/key")
    assert said[0] == "AccessDenied" and "s3:GetObject on resource: arn:aws:s3:::bucket/a b/key" in said[1]
    aws.reset()


def test_a_key_of_ones_own_and_a_managed_secret_need_more(aws, keys):
    key = aws.boto("kms").create_key()["KeyMetadata"]
    aws.boto("ssm").put_parameter(Name="/app/own", Value="v", Type="SecureString", KeyId=key["KeyId"])
    secret = aws.boto("secretsmanager").create_secret(Name="db", SecretString="s")["ARN"]
    ssm = aws.boto("ssm", **keys)
    reference = "/aws/reference/secretsmanager/db"
    statement = {"Effect": "Allow", "Action": ["ssm:GetParameters", "ssm:GetParametersByPath"], "Resource": f"{ARN}/*"}
    aws.policy(s1.ROLE, {"Version": "2012-10-17", "Statement": [statement]})
    for names in (["/app/own"], ["/app/own", "/app/one"]):
        assert f"kms:Decrypt on resource: {key['Arn']}" in code(ssm.get_parameters, Names=names, WithDecryption=True)[1]
    assert f"kms:Decrypt on resource: {key['Arn']}" in code(ssm.get_parameters_by_path, Path="/app", WithDecryption=True)[1]
    assert f"GetSecretValue on resource: {secret}" in code(ssm.get_parameters, Names=[reference], WithDecryption=True)[1]
    assert ssm.get_parameters(Names=["/app/own"])["Parameters"], "its metadata take no key"
    more = [
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key["Arn"],
         "Condition": {"StringEquals": {"kms:ViaService": "ssm.us-east-1.amazonaws.com"}}},
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret[:-6] + "??????"},
    ]
    aws.policy(s1.ROLE, {"Version": "2012-10-17", "Statement": [statement, *more]})
    found = ssm.get_parameters(Names=["/app/own", reference], WithDecryption=True)["Parameters"]
    assert sorted(parameter["Value"] for parameter in found) == ["s", "v"]


def test_what_is_not_understood_is_refused():
    for statement in (
        {"Effect": "Deny", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "NotAction": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ):
        with pytest.raises((ValueError, KeyError)):
            policies.Policies().attach("role", {"Version": "2012-10-17", "Statement": [statement]})
