"""The simulator as a process: start, reset, clock, objects, consoles, many callers."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from . import s1
from .client import ControlError, Simulator


def test_it_says_ready(tmp_path):
    with Simulator.start(journal=tmp_path / "j") as simulator:
        assert simulator._call("GET", "health") == {"ready": True}


def test_it_refuses_another_moto():
    code = (
        "import moto; moto.__version__ = '0'\n"
        "from pathlib import Path\nfrom simulator.world import World\nWorld()"
    )
    lab = Path(__file__).resolve().parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=lab, capture_output=True, text=True)
    assert run.returncode != 0 and "needs moto 5.2.5, found 0" in run.stderr


def test_reset_empties_the_account(aws):
    instance = s1.create(aws, parameters={"/a": "1"}, objects={"artifacts/key": b"x"})
    aws.write_console(instance, b"text")
    aws.advance(1000)
    aws.fault("throttle", service="s3")
    aws.reset()
    assert aws.instances() == [] and aws.faults() == [] and aws.journal() == []
    assert abs(aws.now() - time.time()) < 5
    assert aws.boto("ssm").get_parameters(Names=["/a"])["InvalidParameters"] == ["/a"]
    assert aws.boto("s3").list_buckets()["Buckets"] == []
    assert aws.console(instance) == ""
    with pytest.raises(ControlError, match="no instance"):
        aws.instance(instance)
    s1.create(aws)


def test_the_clock_moves_both_ways(aws):
    before = aws.now()
    aws.advance(3600)
    assert 3600 <= aws.now() - before < 3610
    aws.advance(-3600)
    assert abs(aws.now() - before) < 10


def test_objects_keep_their_bytes(aws):
    content = bytes(range(256)) * 4096
    s1.put_objects(aws, {"artifacts/agent": content})
    s3 = aws.boto("s3")
    assert s3.get_object(Bucket="artifacts", Key="agent")["Body"].read() == content
    assert s3.head_object(Bucket="artifacts", Key="agent")["ContentLength"] == len(content)
    part = s3.get_object(Bucket="artifacts", Key="agent", Range="bytes=10-19")["Body"].read()
    assert part == content[10:20]
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="artifacts", Key="none")
    assert [e["names"] for e in aws.journal(service="s3", action="GetObject", status="206")] == [["artifacts/agent"]]


def test_an_object_that_looks_like_a_request_is_an_object(aws):
    s1.put_objects(aws, {"artifacts/log": b"Action=TerminateInstances&InstanceId=i-1"})
    assert [e["names"] for e in aws.journal(action="PutObject")] == [["artifacts/log"]]
    assert aws.journal(action="TerminateInstances") == []


def test_a_console_outlives_its_instance(aws):
    instance = s1.create(aws)
    aws.write_console(instance, b"first line\n")
    aws.write_console(instance, b"the reason\n", append=True)
    aws.terminate(instance, now=True)
    assert aws.instance(instance)["ec2_state"] == "terminated"
    assert aws.console(instance) == "first line\nthe reason\n"
    assert aws.boto("ec2").get_console_output(InstanceId=instance)["Output"] == "first line\nthe reason\n"


def test_a_launch_without_a_group_can_be_attached_and_ended(aws):
    run = aws.boto("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, InstanceType="t3.small")
    instance = run["Instances"][0]["InstanceId"]
    assert aws.attach(instance, ip="10.9.9.9")["ip"] == "10.9.9.9"
    view = aws.instance(instance)
    assert view["group"] is None and view["attached"]["ip"] == "10.9.9.9"
    assert aws.terminate(instance)["ec2_state"] == "terminated"
    with pytest.raises(ControlError, match="no instance"):
        aws.attach("i-0000", ip="10.9.9.9")
    with pytest.raises(ControlError, match="unknown fields"):
        aws.attach(instance, adress="10.9.9.9")


def test_the_lab_ends_an_instance_in_the_orderly_way(aws):
    instance = s1.create(aws, hooks=())
    aws.terminate(instance, decrement=True)
    assert aws.instance(instance)["lifecycle_state"] == "Terminated"
    assert aws.group(s1.GROUP)["instances"] == [] and aws.group(s1.GROUP)["desired"] == 0


def test_unknown_paths_and_filters_are_refused(aws):
    with pytest.raises(ControlError, match="no `GET /_lab/nothing`"):
        aws._call("GET", "nothing")
    with pytest.raises(ControlError, match="unknown filters"):
        aws.journal(sevrice="ssm")
    with pytest.raises(ControlError, match="no group"):
        aws.group("none")


def test_motos_own_metadata_service_is_out_of_reach(aws):
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(aws.aws_url + "/latest/meta-data/instance-id", timeout=5)


def test_many_callers_at_once(aws):
    s1.put_parameters(aws, {"/a": "1"})
    logs = aws.boto("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    ssm = aws.boto("ssm")

    def work(number):
        ssm.get_parameters(Names=["/a"])
        event = {"timestamp": int(time.time() * 1000), "message": str(number)}
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert sorted(int(e["message"]) for e in aws.logs("g", "s")) == list(range(200))
