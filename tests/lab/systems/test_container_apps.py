"""S7: two containers, each under systemd, behind one door; from user-data to the answers of both, and through a new image and a new secret."""

import dataclasses
import hashlib
import json
import shutil
import time
import urllib.error
import urllib.request

import pytest
from instance import bootstrap, paths
from scenario import until
from simulator import s1

from . import gallery, laws
from .booted import boot, changed
from .container_image import archive
from .poller import Poller
from .system import System

pytestmark = pytest.mark.full

APPS = paths.LAB / "apps" / "container-apps"
UNITS = ("catalog.service", "orders.service", "nginx.service")
GROUP = "/aws/ec2/container-apps/prod"
KEY, NEW_KEY = "key-of-those-who-order-8815", "key-of-those-who-order-9926"
ORDERS_HEALTH = "health http://localhost:8080/orders/health"
TOKEN = "token-of-the-partners-3347"
# What the lab's kernel has no control groups and no overlay for.
LAB = ("--set", "cgroups=disabled", "--set", "storage=vfs")


def image(name, version, application=None):
    """An image in the team's bucket: where it is, its bytes, and what `agent` is told about it."""
    content = archive(name, version, application or APPS / name, APPS / "requirements.txt")
    where = f"{bootstrap.BUCKET}/images/{name}-{version}.tar"
    digest = hashlib.sha256(content).hexdigest()
    return {where: content}, ("--set", f"{name}_image=s3://{where}", "--set", f"{name}_sha256={digest}"), digest


@pytest.fixture(scope="module")
def shop(lab, binary):
    catalog, catalog_options, _ = image("catalog", "1.4.0")
    orders, orders_options, _ = image("orders", "2.0.3")
    system = System(
        "container-apps", options=("--vars", "vars/prod.yaml", *LAB, *catalog_options, *orders_options),
        parameters={
            "/container-apps/prod/catalog/env/PARTNER_TOKEN": TOKEN, "/container-apps/prod/orders/env/API_KEY": KEY,
        },
        objects={**catalog, **orders}, group="container-apps-prod", hook="containers-are-healthy", heartbeat=600,
    )
    with boot(lab, binary, system) as booted:
        yield booted


def door(shop, path, body=None, **headers):
    """What the door answers to somebody outside: the status and what the JSON says."""
    request = urllib.request.Request(
        f"http://{shop.machine.address}:8080{path}", data=json.dumps(body).encode() if body else None,
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None


def properties(shop, unit, *names):
    shown = shop.machine.exec(["systemctl", "show", f"--property={','.join(names)}", unit]).stdout
    return dict(line.split("=", 1) for line in shown.splitlines())


def test_the_dry_run_told_the_truth(shop):
    laws.the_dry_run_told_the_truth(shop)


def test_both_answer_through_the_door(shop):
    laws.the_hook_was_answered_once(shop)
    assert door(shop, "/catalog/health") == (200, {"status": "ok", "version": "1.4.0"})
    assert door(shop, "/orders/health") == (200, {"status": "ok", "version": "2.0.3"})
    status, items = door(shop, "/catalog/items")
    assert status == 200 and {"name": "easel", "price": "89.00 EUR"} in items
    assert door(shop, "/elsewhere")[0] == 404


def test_nobody_reaches_them_beside_the_door(shop):
    listening = shop.sh("ss -Hltn").split()
    assert "0.0.0.0:8080" in listening and {"127.0.0.1:8001", "127.0.0.1:8002"} <= set(listening), listening
    assert not {"0.0.0.0:8001", "*:8001", "0.0.0.0:8002", "*:8002"} & set(listening), listening


def test_each_has_the_secrets_that_are_its_own(shop):
    order = {"item": "easel", "quantity": 2}
    assert door(shop, "/orders", order, **{"X-Api-Key": TOKEN})[0] == 403
    assert door(shop, "/orders", order, **{"X-Api-Key": KEY})[0] == 201
    assert door(shop, "/catalog/costs", **{"X-Partner-Token": KEY})[0] == 403
    assert door(shop, "/catalog/costs", **{"X-Partner-Token": TOKEN})[0] == 200
    modes = shop.sh("stat -c '%a %U %n' /etc/container-apps /etc/container-apps/*").splitlines()
    assert modes == [
        "700 root /etc/container-apps", "600 root /etc/container-apps/catalog.env", "600 root /etc/container-apps/orders.env",
    ]
    # Not in a unit, not in a list of processes.
    assert KEY not in shop.sh("cat /etc/systemd/system/*.service; ps -eo args")


def test_each_unit_is_its_container_with_limits_of_its_own(shop):
    for unit, cpu in (("catalog.service", "500ms"), ("orders.service", "1s")):
        shown = properties(shop, unit, "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax", "ActiveState", "UnitFileState", "NRestarts", "MainPID")
        main = shown.pop("MainPID")
        assert shown == {
            "MemoryMax": str(1024**3), "CPUQuotaPerSecUSec": cpu, "TasksMax": "256", "ActiveState": "active", "UnitFileState": "enabled",
            "NRestarts": "0",
        }
        assert "conmon" in shop.sh(f"ps -o args= -p {main}")
    inside = shop.machine.exec(["ps", "-eo", "user:20=,args="]).stdout
    servers = [line.split()[0] for line in inside.splitlines() if "-m uvicorn main:app" in line and "conmon" not in line and "podman" not in line]
    assert servers == ["10001", "10001"], inside


def test_a_container_that_dies_comes_back(shop):
    shop.sh("kill -9 $(podman inspect --format '{{.State.Pid}}' catalog)")
    until(lambda: properties(shop, "catalog.service", "NRestarts")["NRestarts"] == "1", 60, "the restart")
    until(lambda: door(shop, "/catalog/health")[0] == 200, 60, "the catalogue")


def test_the_logs_arrive_and_hold_no_secret(shop):
    laws.the_logs_arrive(
        shop,
        {GROUP: 14, f"{GROUP}/catalog": 14, f"{GROUP}/orders": 14, f"{GROUP}/figures": 14},
        {GROUP: "Cloud-init v.", f"{GROUP}/catalog": "Uvicorn running", f"{GROUP}/orders": "takes orders with API_KEY=",
         f"{GROUP}/figures": "ContainerApps"},
        seconds=180,
    )
    text = "".join(shop.logs(group) for group in shop.aws.log_groups())
    assert KEY not in text and TOKEN not in text


def embedded(shop, group, application=None):
    """The lines of a group that CloudWatch makes metrics of."""
    lines = [json.loads(event["message"]) for event in shop.aws.logs(group) if event["message"].startswith("{")]
    return [line for line in lines if "_aws" in line and application in (None, line.get("Application"))]


def test_the_alarms_have_their_figures(shop):
    door(shop, "/orders", {"item": "brush", "quantity": 7}, **{"X-Api-Key": KEY})
    ordered = until(lambda: [one for one in embedded(shop, f"{GROUP}/orders") if one["ItemsOrdered"] == 7], 90, "the application's figure")
    assert ordered[0]["Environment"] == "prod" and ordered[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop"
    began = time.time() * 1000
    shop.sh("systemctl start container-figures.service")
    for application in ("catalog", "orders"):
        def since(name=application):
            return [line for line in embedded(shop, f"{GROUP}/figures", name) if line["_aws"]["Timestamp"] >= began]

        line = until(since, 90, "the figures")[0]
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["Environment", "Application"]] and line["Environment"] == "prod"
        assert line["Healthy"] == 1 and all(metric["Name"] in line for metric in directive["Metrics"])
    assert properties(shop, "container-figures.timer", "ActiveState", "UnitFileState") == {"ActiveState": "active", "UnitFileState": "enabled"}


def test_the_figures_are_counted_right(shop):
    """With a systemd that tells what the lab's control groups cannot, and a container that is not there."""
    shop.sh("mkdir -p /tmp/told && sed s,/run/container-figures,/tmp/told/before, /usr/local/bin/container-figures > /tmp/told/figures")
    lines = []
    for used in (10**9, 2 * 10**9):
        told = f"NRestarts=3\nMemoryCurrent=134217728\nMemoryMax=536870912\nCPUUsageNSec={used}\nCPUQuotaPerSecUSec=500ms\n"
        shop.machine.exec(["tee", "/tmp/told/systemctl"], input=f"#!/bin/sh\ncat <<EOF\n{told}EOF\n")
        shop.sh("chmod 755 /tmp/told/systemctl; sleep 2")
        lines.append(json.loads(shop.sh("PATH=/tmp/told:$PATH python3 /tmp/told/figures prod gone=http://127.0.0.1:1/health")))
    first, second = lines
    assert (first["Healthy"], first["Restarts"], first["MemoryUtilization"]) == (0, 3, 25.0) and "CPUUtilization" not in first
    # A second of processor time in two seconds or more, of which one second was its own.
    assert second["Restarts"] == 0 and 0 < second["CPUUtilization"] <= 100.0, second
    shop.sh("rm -r /tmp/told")


def test_the_second_run_has_nothing_to_do(shop):
    with shop.restarts(*UNITS) as restarted:
        laws.the_second_run_has_nothing_to_do(shop)
    assert restarted == set()


def foretold(plan):
    """The labels of the steps that a dry-run said would change, or that it could not be sure of."""
    steps = plan.of("step_finished")
    return {step["label"] for step in steps if step["ending"] in ("would_change", "unknown") or step["tentative"] is not None}


def client(shop, path):
    """Somebody who asks at the door all along."""
    return Poller(shop.lab.network, shop.machine.address, 8080, path)


def test_the_policy_is_what_it_needs(shop):
    """Before other images are asked for: what is printed is about those that the variables name."""
    laws.the_policy_is_what_it_needs(shop)


def test_a_new_image_restarts_its_own_container_only(shop, lab, tmp_path):
    shutil.copytree(APPS / "orders", tmp_path / "orders")
    main = tmp_path / "orders" / "main.py"
    main.write_text(main.read_text().replace("le=100", "le=10"))
    content, options, digest = image("orders", "2.1.0", tmp_path / "orders")
    s1.put_objects(shop.aws, content)
    # What a release is: the digest in the variables of the environment.
    release = dataclasses.replace(shop, system=dataclasses.replace(shop.system, options=shop.system.options + options))
    plan = release.dry_run()
    assert plan.code == 10, plan
    with shop.restarts(*UNITS) as restarted, client(shop, "/catalog/health") as other, client(shop, "/orders/health") as own:
        run = release.run()
        assert run.code == 0, run
    assert restarted == {"orders.service"}
    assert changed(run) - {ORDERS_HEALTH} == {"orders-archive", "orders-image", "orders", "old-images"}, run
    assert changed(run) <= foretold(plan) and plan.endings["catalog"] == "unchanged", plan
    assert door(shop, "/orders/health")[1]["version"] == "2.1.0"
    assert door(shop, "/orders", {"item": "easel", "quantity": 50}, **{"X-Api-Key": KEY})[0] == 422
    assert other.failed == [] and other.answers
    gallery.record(shop.system.name, errors=own.first_to_last_failure())
    # The old image is gone, the new one is the one of its archive.
    listed = shop.sh("podman image list --format '{{.Repository}}:{{.Tag}}'").split()
    assert f"localhost/orders:{digest[:16]}" in listed and not [one for one in listed if "2.0.3" in one], listed
    again = release.run()
    assert again.code == 0 and changed(again) == set(), again
    shop.system = release.system


def test_a_rotated_secret_restarts_its_own_container_only(shop):
    name = "/container-apps/prod/orders/env/API_KEY"
    s1.put_parameters(shop.aws, {name: NEW_KEY})
    shop.system = dataclasses.replace(shop.system, parameters={**shop.system.parameters, name: NEW_KEY})
    plan = shop.dry_run()
    assert plan.endings["orders-settings"] == "would_change" and NEW_KEY not in plan.said, plan
    with shop.restarts(*UNITS) as restarted:
        run = shop.run()
    assert run.code == 0 and restarted == {"orders.service"}, run
    assert {"orders-settings", "orders"} <= changed(run) <= {"orders-settings", "orders", ORDERS_HEALTH}, run
    order = {"item": "easel", "quantity": 1}
    assert door(shop, "/orders", order, **{"X-Api-Key": KEY})[0] == 403
    assert door(shop, "/orders", order, **{"X-Api-Key": NEW_KEY})[0] == 201
    until(lambda: shop.logs(f"{GROUP}/orders").count("takes orders with API_KEY=") >= 3, 90, "the journal after the rotation")
    assert NEW_KEY not in shop.logs(f"{GROUP}/orders")


def test_a_template_that_somebody_edited_is_repaired_and_reloaded(shop):
    """Without a restart of anything: the door's first process stays, and so do the containers."""
    process = properties(shop, "nginx.service", "MainPID")
    template = "/etc/nginx/nginx.conf"
    shop.sh(f"sed -i 's/proxy_connect_timeout 2s/proxy_connect_timeout 9s/' {template}")
    with shop.restarts("catalog.service", "orders.service") as restarted:
        run = shop.run()
    assert run.code == 0 and "door" in changed(run) and restarted == set(), run
    assert properties(shop, "nginx.service", "MainPID") == process
    assert "proxy_connect_timeout 2s" in shop.machine.read(template)
