"""report.md of a ranking."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mirage_env.evaluation.report_text import number, table
from mirage_env.evaluation.summary import Entry
from mirage_env.evaluation.trial_summary import LABELS

DOUBTFUL = 0.05
"""Share of resamples without a correlation above which a report says so."""


def describe_ranking(data: Mapping[str, Any]) -> str:
    """The whole report; ``data`` as report.json has it."""
    count, names = len(data["policies"]), data["measures"]
    sections = [
        f"# {count} policies in truth and imagination",
        f"{data['task']}, truth `{data['simulator']}`, scenes `{data['scenes']}`: {data['episodes']} episodes in "
        f"{data['scenes_used']} scenes, the same for every policy in every world, seeds from {data['seed']} on, at "
        f"most {data['max_episode_steps']} steps; worlds imagined by model {data['model']}. Correlations are over the "
        f"means of {count} policies; intervals are 95 % bootstraps over episodes, paired across policies and worlds. "
        "They say how sure a number is for these policies, not what other policies would give.",
        "## Which imagination predicts the truth",
        settings_table(data),
    ]
    notes = [*_best(data), *_undefined(data)]
    if notes:
        sections.append("\n".join(f"- {note}" for note in notes))
    if "settings" in data["pictures"]:
        sections.append(f"![Settings]({data['pictures']['settings']})")
    if "success" in names:
        sections += ["## Agreement, episode by episode", _agreement_text(), agreement_table(data)]
    sections += ["## Policies", policies_table(data)]
    for setting in data["settings"]:
        sections += [f"## `{setting}`", f"![{setting}]({data['pictures'][setting]})"]
    device, versions = data["device"], data["versions"]
    sections += [
        "## Where it was measured",
        f"{device['processor']}, {device['cores']} cores; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". This run walked {data['steps_of_this_run']:,} steps in {data['seconds_of_this_run']:.0f} s.",
    ]
    return "\n\n".join(sections) + "\n"


def settings_table(data: Mapping[str, Any]) -> str:
    """Correlations and mean gaps by setting."""
    head = ["setting"]
    for name in data["measures"]:
        head += [f"{_label(name)}: Pearson", "Spearman", "imagined − true"]
    rows = []
    for setting, found in data["settings"].items():
        row = [f"`{setting}`"]
        for name in data["measures"]:
            values = found["measures"][name]
            row += [_estimate(values["pearson"]), _estimate(values["spearman"]), _estimate(values["gap"])]
        rows.append(row)
    return table(head, rows)


def agreement_table(data: Mapping[str, Any]) -> str:
    """Equal outcomes by setting, and for each policy."""
    policies = [one["name"] for one in data["policies"]]
    rows = []
    for setting, found in data["settings"].items():
        by_policy = [found["agreement_by_policy"][name] for name in policies]
        rows.append([f"`{setting}`", *(_agreed(*pair) for pair in [(found["agreement"], found["kappa"]), *by_policy])])
    return table(["setting", "all", *(f"`{name}`" for name in policies)], rows)


def policies_table(data: Mapping[str, Any]) -> str:
    """Means of every policy in every world."""
    names = data["measures"]
    rows = []
    for policy in data["policies"]:
        for world, by_policy in data["worlds"].items():
            summary = by_policy[policy["name"]]["summary"]
            rows.append([f"`{policy['name']}`", world, *(number(_entry(summary[name]), 2) for name in names)])
    return table(["policy", "world", *(_label(name) for name in names)], rows)


def _agreement_text() -> str:
    return (
        "Share of episodes that end alike (success or not) in both worlds, and Cohen's kappa: 0 is what chance gives "
        "with as many successes, 1 is always. “–”: undefined, all outcomes are alike."
    )


def _undefined(data: Mapping[str, Any]) -> list[str]:
    """Sentences on correlations that do not exist, or that many resamples do not have."""
    notes = []
    for setting, found in data["settings"].items():
        for name, values in found["measures"].items():
            known = values["pearson"]
            if known["why"]:
                notes.append(f"`{setting}`, {_label(name)}: no correlation is defined, {known['why']}.")
            elif known["undefined"] > DOUBTFUL:
                notes.append(
                    f"`{setting}`, {_label(name)}: {100 * known['undefined']:.0f} % of the resamples have no "
                    "correlation, for all policies are alike in them; the interval is of the others."
                )
    return notes


def _best(data: Mapping[str, Any]) -> list[str]:
    """Of several settings, sentences on which predicts each measure best, and which are behind it for sure."""
    notes = []
    for name in data["measures"] if len(data["settings"]) > 1 else ():
        found = {setting: found["measures"][name] for setting, found in data["settings"].items()}
        known = {setting: values for setting, values in found.items() if not values["pearson"]["why"]}
        if not known:
            continue
        behind = {setting: values["behind"] for setting, values in known.items()}
        best = min(behind, key=lambda setting: behind[setting]["value"])
        del behind[best]
        sure = [setting for setting, values in behind.items() if values["low"] is not None and values["low"] > 0]
        alike = [f"`{setting}`" for setting in behind if setting not in sure]
        told = f"`{best}` predicts {_label(name)} in truth best (Pearson {known[best]['pearson']['value']:.2f})."
        if sure:
            told += f" Behind it: {', '.join(f'`{setting}` by {_estimate(behind[setting])}' for setting in sure)}."
        if alike:
            told += f" These episodes do not tell it from {', '.join(alike)}."
        notes.append(told)
    return notes


def _estimate(values: Mapping[str, Any]) -> str:
    if values["why"]:
        return "undefined"
    # Adding 0 to what was rounded leaves no "-0.00".
    shown = {k: None if values[k] is None else round(values[k], 2) + 0.0 for k in ("value", "low", "high")}
    return number(_entry({"mean": shown.pop("value"), **shown}), 2)


def _entry(values: Mapping[str, Any]) -> Entry:
    mean, low, high = (math.nan if values[key] is None else float(values[key]) for key in ("mean", "low", "high"))
    return Entry(mean, low, high, int(values.get("n", 0)))


def _agreed(same: float, kappa: float | None) -> str:
    return f"{100 * same:.0f} %, κ {'–' if kappa is None else f'{kappa:.2f}'}"


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " "))
