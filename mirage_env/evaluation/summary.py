"""From numbers per episode to numbers with confidence intervals, and to which goals were reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from mirage_env.evaluation.calibration import Cells, calibrate, joined
from mirage_env.evaluation.metrics import detection_scores
from mirage_env.geometry import Array

RESAMPLES = 2000
"""Of every bootstrap in a report."""

Results = Sequence[Mapping[str, Any]]
"""What was measured in each episode: by part, the ``numbers`` and ``lists`` of ``mirage_env.evaluation.parts``."""


class Entry(NamedTuple):
    """A number over episodes.

    Attributes:
        mean: the number; whatever statistic its key says.
        low, high: of its 95 % bootstrap interval over episodes; NaN for fewer than two.
        n: episodes that have the number.
        std: over episodes; NaN where the number is none of single episodes.
    """

    mean: float
    low: float
    high: float
    n: int
    std: float = math.nan


NOTHING = Entry(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Summary:
    """Entries by part and key."""

    entries: Mapping[str, Mapping[str, Entry]]

    def get(self, part: str, key: str) -> Entry:
        """The entry, or ``NOTHING``."""
        return self.entries.get(part, {}).get(key, NOTHING)

    def has(self, part: str) -> bool:
        """Whether the part was measured in any episode."""
        return bool(self.entries.get(part))

    def keys(self, part: str, prefix: str) -> list[str]:
        """What follows ``prefix/`` in the keys of a part, in their order."""
        return [key[len(prefix) + 1 :] for key in self.entries.get(part, {}) if key.startswith(f"{prefix}/")]


def summarise(results: Results, seed: int) -> Summary:
    """All numbers over episodes, with what is pooled over episodes: medians of lists, precision, recall and F1."""
    parts: dict[str, dict[str, Entry]] = {}
    for part in dict.fromkeys(part for result in results for part in result):
        measured = [result[part] for result in results if part in result]
        parts[part] = {key: mean_over_episodes(column, seed) for key, column in _columns(measured).items()}
        parts[part] |= _medians(measured, seed)
    if "collisions" in parts:
        parts["collisions"] |= blocked_scores([r["collisions"]["numbers"] for r in results if "collisions" in r], seed)
    if "ghosts" in parts:
        counts = [r["ghosts"]["numbers"] for r in results if r.get("ghosts", {}).get("numbers")]
        for name, left_out in (("fewer", ""), ("fewer_known", "hidden")):
            parts["ghosts"][name] = over_episodes(counts, partial(_fewer, left_out), seed) if counts else NOTHING
    if "calibration" in parts:
        rows = [r["calibration"]["cells"] for r in results if "calibration" in r]
        parts["calibration"] = calibration_curve(rows, seed)
    return Summary(parts)


def mean_over_episodes(values: Iterable[Any], seed: int) -> Entry:
    """The mean of the values that are numbers, with its percentile bootstrap interval."""
    known = _known(values)
    if not len(known):
        return NOTHING
    if len(known) < 2:
        return Entry(float(known[0]), math.nan, math.nan, 1)
    low, high = np.quantile(_resampling(len(known), seed) @ known, [0.025, 0.975])
    return Entry(float(known.mean()), float(low), float(high), len(known), float(known.std(ddof=1)))


@lru_cache(maxsize=64)
def _resampling(count: int, seed: int) -> Array:
    """Weights (RESAMPLES, count) that turn values into means of bootstrap resamples."""
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return times / count


def over_episodes(rows: Sequence[Any], statistic: Callable[[list[Any]], float], seed: int) -> Entry:
    """A statistic of all rows, one row per episode, with a percentile bootstrap over episodes."""
    value = statistic(list(rows))
    if len(rows) < 2 or not math.isfinite(value):
        return Entry(value, math.nan, math.nan, len(rows))
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(rows), size=(RESAMPLES, len(rows)))
    values = np.array([statistic([rows[i] for i in draw]) for draw in draws])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Entry(value, float(low), float(high), len(rows))


def blocked_scores(rows: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Entry]:
    """Precision, recall and F1 of "blocked" over all steps tried in all episodes, in seen and in unseen space."""
    found = {}
    for where in ("seen", "unseen"):
        counts = np.array([[row[f"{where}/{key}"] for key in ("hits", "said", "blocked")] for row in rows], dtype=float)
        for name in ("precision", "recall", "f1"):
            found[f"{where}/{name}"] = over_episodes(list(counts), partial(_blocked_score, name), seed)
    return found


def calibration_curve(rows: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Entry]:
    """PSNR in dB of all cells by bin of ``imagined``, with intervals over episodes, and the figures of ``calibrate``.

    Args:
        rows: per episode, the columns that ``view_measures.calibration`` gives.
    """
    cells = joined([_cells(row) for row in rows])
    found = calibrate(cells, seed=seed)
    entries = {key: Entry(value, math.nan, math.nan, len(rows)) for key, value in found.summary().items()}
    for part in found.bins:
        name = bin_name(part.low, part.high)
        low, high = (float(-10 * np.log10(max(error, 1e-6))) for error in (part.error_high, part.error_low))
        entries[f"psnr/{name}"] = Entry(part.psnr, low, high, len(rows))
        entries[f"cells/{name}"] = Entry(float(part.count), math.nan, math.nan, len(rows))
    return entries


def bin_name(low: float, high: float) -> str:
    """How reports call a bin of ``imagined``."""
    return "0" if high == 0 else f"{low:g}–{high:g}"


def _cells(row: Mapping[str, Any]) -> Cells:
    unsure, error = (np.array(row[name], dtype=np.float64) for name in ("unsure", "error"))
    # All cells of an episode err together, so that resampling draws whole episodes.
    return Cells(unsure, error, np.zeros(len(unsure), dtype=np.int64))


def _fewer(left_out: str, counts: list[Mapping[str, Any]]) -> float:
    """Share of all ghosts that contradiction removes, but for those that the counts ``left_out`` name."""
    on, off = (
        sum(row[f"ghosts_{name}"] - (row[f"{left_out}_{name}"] if left_out else 0) for row in counts)
        for name in ("on", "off")
    )
    return float(1 - on / off) if off else math.nan


def _blocked_score(name: str, counts: list[Array]) -> float:
    hits, said, blocked = np.sum(counts, axis=0)
    return detection_scores(hits, said, blocked)[name]


def _columns(measured: Results) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for result in measured for key in result.get("numbers", {}))
    return {key: [result.get("numbers", {}).get(key) for result in measured] for key in keys}


def _medians(measured: Results, seed: int) -> dict[str, Entry]:
    """Medians and 90th percentiles of the values of all episodes together, by key of ``lists``."""
    keys = dict.fromkeys(key for result in measured for key in result.get("lists", {}))
    found = {}
    for key in keys:
        rows = [_known(result.get("lists", {}).get(key, ())) for result in measured]
        for name, share in (("median", 0.5), ("p90", 0.9)):
            found[f"{key}/{name}"] = over_episodes(rows, lambda drawn, q=share: _quantile(drawn, q), seed)
    return found


def _quantile(rows: list[Array], share: float) -> float:
    values = np.concatenate(rows) if rows else np.zeros(0)
    return float(np.quantile(values, share)) if len(values) else math.nan


def _known(values: Iterable[Any]) -> Array:
    numbers = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    return numbers[np.isfinite(numbers)]
