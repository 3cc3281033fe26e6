"""report.md of a policy's evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mirage_env.evaluation.report_text import number, table
from mirage_env.evaluation.summary import Entry
from mirage_env.evaluation.trial import NEAR, STUCK_RADIUS, STUCK_STEPS
from mirage_env.evaluation.trial_summary import LABELS

MEANINGS = {
    "stopped early": "stop was called away from the goal",
    "never stopped": f"it came within {NEAR} m of the goal and did not call stop",
    "stuck": f"neither; its last {STUCK_STEPS} steps lie within {STUCK_RADIUS} m",
    "lost": "the rest: it walked until time ran out",
}


def describe_policy(data: Mapping[str, Any]) -> str:
    """The whole report."""
    place = data["place"]
    where = f"`{place['simulator']}`"
    if place["imagined"]:
        where = f"worlds imagined from views of {where} (setting `{place['setting']}`, model {place['model']})"
    fingerprint = f" ({data['fingerprint']})" if data["fingerprint"] else ""
    sections = [
        f"# `{data['policy']}` in {data['task']}",
        f"Policy `{data['policy']}`{fingerprint} in {where}, scenes `{place['scenes']}`: {data['episodes']} episodes "
        f"in {data['scenes']} scenes, {data['episodes_per_scene']} in turn in each, seeds from {data['seed']} on, at "
        f"most {place['max_episode_steps']} steps. Means with 95 % bootstrap intervals over episodes.",
        summary_table(data["summary"]),
    ]
    failed = sum(data["failures"].values())
    if failed:
        rows = [
            [name, str(count), f"{100 * count / data['episodes']:.1f} %", MEANINGS[name]]
            for name, count in data["failures"].items()
        ]
        sections += ["## Failures", table(["type", "episodes", "share", ""], rows)]
    pictures = data["pictures"]
    if "maps" in pictures:
        sections += [
            "## Maps",
            "Blue: the shortest way; white: the way walked, from the blue dot on; orange: the goal. The floor is where "
            "the agent's centre can be in truth.",
            f"![Maps of episodes]({pictures['maps']})",
        ]
    if "film" in pictures:
        sections += [
            "## Film",
            f"[{pictures['film']}]({pictures['film']}): successes and failures in turn.",
        ]
    device, versions = data["device"], data["versions"]
    sections += [
        "## Where it was measured",
        f"{device['processor']}, {device['cores']} cores, {device['torch_threads']} threads; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". This run walked {data['steps_of_this_run']:,} steps in {data['seconds_of_this_run']:.0f} s.",
    ]
    return "\n\n".join(sections) + "\n"


def summary_table(summary: Mapping[str, Mapping[str, Any]]) -> str:
    """Measures with their intervals."""
    rows = []
    for name, values in summary.items():
        mean, low, high = (math.nan if values[k] is None else values[k] for k in ("mean", "low", "high"))
        entry = Entry(mean, low, high, values["n"])
        rows.append(
            [LABELS.get(name, name.replace("_", " ")), number(entry, 1 if name == "steps" else 3), str(entry.n)]
        )
    return table(["measure", "mean [95 %]", "episodes"], rows)
