"""What is true of every system of the gallery, whatever it does."""

from typing import Dict, Iterable, List

from instance import bootstrap
from scenario import answers, until
from simulator import policies as policy

from . import gallery
from .booted import Booted

# A run asks for these only when it takes long, or when it fails.
_RARELY = {"autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks"}


def the_dry_run_told_the_truth(booted: Booted) -> None:
    """What the dry-run said before the boot is what the boot did; where it could not tell, it said so."""
    plan = booted.plan
    assert plan.code == 10, plan
    done = {event["step"]: event for event in booted.events if event["event"] == "step_finished"}
    told = plan.of("step_finished")
    assert len(told) == len(done) == len(booted.system.document["steps"]), plan
    becomes = {"would_change": "changed", "unchanged": "unchanged", "skipped": "skipped"}
    sure = [step for step in told if step["ending"] in becomes and step["tentative"] is None]
    assert any(step["ending"] == "would_change" for step in sure), plan
    for step in sure:
        said, did = (_changes(events, step["step"]) for events in (plan.events, booted.events))
        assert done[step["step"]]["ending"] == becomes[step["ending"]], (step, done[step["step"]])
        assert said == did, f"step {step['step']} `{step['label']}` said {said} and did {did}"
    for step in told:
        if step["ending"] == "unknown":
            assert step["reason"] and any("cannot tell" in text or "before step" in text for text in step["reason"]["because"]), step
        assert step["ending"] in {*becomes, "unknown"}, step


def _changes(events: List[dict], step: int) -> List[str]:
    return [event["text"] for event in events if event["event"] == "change" and event["step"] == step]


def the_second_run_has_nothing_to_do(booted: Booted, always: Iterable[str] = ()) -> None:
    """Neither by plan nor by run; `always` are the labels of steps that say themselves that they always run."""
    always = set(always)
    plan = booted.dry_run()
    pending = {label: ending for label, ending in plan.endings.items() if ending not in ("unchanged", "skipped")}
    assert set(pending) == always and plan.code == (10 if always else 0), plan
    run = booted.run()
    changed = {label for label, ending in run.endings.items() if ending not in ("unchanged", "skipped")}
    assert run.code == 0 and changed == always, run
    gallery.record(booted.system.name, again=run.of("run_finished")[0]["milliseconds"] / 1000)


def the_hook_was_answered_once(booted: Booted) -> None:
    """With CONTINUE, and the instance is in service."""
    assert answers(booted.aws, booted.machine.name) == ["CONTINUE by call"]
    assert booted.lab.state(booted.machine) == "InService"


def the_policy_is_what_it_needs(booted: Booted, rarely: Iterable[str] = ()) -> None:
    """Every call that the instance made is allowed by the playbook's `policy.json`, and nothing is allowed that nobody needed."""
    document = booted.system.policy
    # With the role's credentials; how the agent itself is fetched is the launch template's choice (`agent iam-policy --binary`).
    calls = [call for call in booted.aws.journal(instance=booted.machine.name) if call["access_key"].startswith("ASIA")]
    calls = [call for call in calls if call["names"] != [bootstrap.agent(booted.binary).removeprefix("s3://")]]
    assert calls, "the instance has asked AWS for nothing"
    refused = sorted({f"{need.action} on {need.resource}" for need in policy.needs(calls) if not policy.allows(document, need)})
    assert refused == [], refused
    idle = policy.never_used(document, policy.needs(calls)) - _RARELY - set(rarely)
    assert idle == set(), f"nobody needed {sorted(idle)}"
    # The agent's own calls are those that `agent iam-policy` knows; what the application may do, only its playbook can say.
    needed = policy.needs(call for call in calls if "aws-sdk-rust" in call["user_agent"])
    printed = booted.system.printed_policy(booted.binary)
    refused = sorted({f"{need.action} on {need.resource}" for need in needed if not policy.allows(printed, need)})
    assert needed and refused == [], f"`agent iam-policy` does not allow {refused}"
    assert policy.never_used(printed, needed) <= _RARELY, "`agent iam-policy` allows what nobody needed"


def the_logs_arrive(booted: Booted, groups: Dict[str, int], holding: Dict[str, str], seconds: float = 90) -> None:
    """Exactly these groups, with these days of retention and one stream, the instance's; in each, the text that is named for it."""
    for group, text in holding.items():
        until(lambda: text in booted.logs(group), seconds, f"`{text}` in `{group}`")
    expected = {group: {"retention": days, "streams": [booted.machine.name]} for group, days in groups.items()}
    assert booted.aws.log_groups() == expected
