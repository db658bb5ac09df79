"""SSM and Secrets Manager: what is missing, what is forbidden, what is empty."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from . import s1
from .test_imds import Instance


def test_missing_names_come_back_as_invalid(aws):
    s1.put_parameters(aws, {"/prod/A": "1"})
    answer = aws.boto("ssm").get_parameters(Names=["/prod/A", "/prod/B"], WithDecryption=True)
    assert [p["Value"] for p in answer["Parameters"]] == ["1"]
    assert answer["InvalidParameters"] == ["/prod/B"]


def test_eleven_names_are_too_many(aws):
    with pytest.raises(ClientError, match="less than or equal to 10"):
        aws.boto("ssm").get_parameters(Names=[f"/p/{n}" for n in range(11)])


def test_secrets_manager_through_ssm(aws):
    aws.boto("secretsmanager").create_secret(Name="prod/db", SecretString="hunter2")
    ssm, name = aws.boto("ssm"), "/aws/reference/secretsmanager/prod/db"
    assert ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == "hunter2"
    s1.put_parameters(aws, {"/prod/A": "1"})
    answer = ssm.get_parameters(Names=["/prod/A", name], WithDecryption=True)
    assert [(p["Name"], p["Value"]) for p in answer["Parameters"]] == [("/prod/A", "1"), (name, "hunter2")]
    assert answer["Parameters"][1]["ARN"].startswith("arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db")
    with pytest.raises(ClientError, match="WithDecryption flag must be True"):
        ssm.get_parameters(Names=[name])
    missing = "/aws/reference/secretsmanager/none"
    assert ssm.get_parameters(Names=[missing], WithDecryption=True)["InvalidParameters"] == [missing]


def test_a_version_is_selected_and_named(aws):
    s1.put_parameters(aws, {"/prod/A": "old"})
    s1.put_parameters(aws, {"/prod/A": "new"})
    answer = aws.boto("ssm").get_parameters(Names=["/prod/A:1", "/prod/A:7"], WithDecryption=True)
    (found,) = answer["Parameters"]
    assert (found["Name"], found["Selector"], found["Value"]) == ("/prod/A", ":1", "old")
    assert answer["InvalidParameters"] == ["/prod/A:7"]


def test_one_denied_name_denies_the_call(aws):
    s1.put_parameters(aws, {f"/prod/{n}": "v" for n in range(10)})
    instance = s1.create(aws)
    aws.attach(instance)
    aws.fault("access_denied", service="ssm", name="/prod/7")
    ssm = aws.boto("ssm", **Instance(aws, instance).boto_keys())
    with pytest.raises(ClientError) as denied:
        ssm.get_parameters(Names=[f"/prod/{n}" for n in range(10)])
    error = denied.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"] == (
        f"User: arn:aws:sts::123456789012:assumed-role/{s1.ROLE}/{instance} is not authorized to perform: "
        "ssm:GetParameters on resource: arn:aws:ssm:us-east-1:123456789012:parameter/prod/7 "
        "because no identity-based policy allows the ssm:GetParameters action"
    )
    assert len(ssm.get_parameters(Names=[f"/prod/{n}" for n in range(7)])["Parameters"]) == 7


def test_pages_by_path_may_be_empty_and_go_on(aws):
    s1.put_parameters(aws, {f"/prod/{n:02}": "v" for n in range(13)})
    aws.fault("empty_page", action="GetParametersByPath", skip=1, count=1)
    ssm, token, pages = aws.boto("ssm"), None, []
    while True:
        more = {"NextToken": token} if token else {}
        page = ssm.get_parameters_by_path(Path="/prod", Recursive=True, **more)
        pages.append(len(page["Parameters"]))
        token = page.get("NextToken")
        if not token:
            break
    assert pages == [10, 0, 3]


def test_an_empty_first_page_leads_to_the_first_page(aws):
    s1.put_parameters(aws, {"/prod/A": "1"})
    aws.fault("empty_page", action="GetParametersByPath", count=1)
    ssm = aws.boto("ssm")
    page = ssm.get_parameters_by_path(Path="/prod")
    assert page["Parameters"] == [] and page["NextToken"]
    page = ssm.get_parameters_by_path(Path="/prod", NextToken=page["NextToken"])
    assert [p["Name"] for p in page["Parameters"]] == ["/prod/A"]


def test_the_journal_keeps_values_and_names_the_instance(aws):
    s1.put_parameters(aws, {"/prod/KEY": "s3cr3t"})
    (entry,) = aws.journal(service="ssm", action="PutParameter")
    assert entry["params"]["Value"] == "s3cr3t"
    instance = s1.create(aws)
    aws.attach(instance)
    aws.boto("ssm", **Instance(aws, instance).boto_keys()).get_parameters(Names=["/prod/KEY"])
    (entry,) = aws.journal(instance=instance, service="ssm", name="/prod/*")
    assert (entry["action"], entry["status"], entry["error"]) == ("GetParameters", 200, "")
    lines = [json.loads(line) for line in aws.journal_file.read_text().splitlines()]
    assert entry in lines
    assert aws.journal(since=entry["seq"]) == []
