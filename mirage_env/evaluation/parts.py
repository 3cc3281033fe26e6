"""The parts of a world evaluation by name: each measures one episode and gives numbers that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mirage_env.evaluation.ablations import ablations
from mirage_env.evaluation.behaviour_measures import collisions, following, ghosts, growth, still
from mirage_env.evaluation.episode import Episode
from mirage_env.evaluation.imagine_modes import imagine_modes
from mirage_env.evaluation.view_measures import calibration, closed_loops, depths, novel_views

Measure = Callable[[Episode], dict[str, Any]]
"""``numbers``: one number per key and episode. ``lists``: values to be pooled over episodes, by key.
``cells``: by column; kept out of the report."""

MEASURES: dict[str, Measure] = {
    "novel": lambda episode: {"numbers": novel_views(episode)},
    "loops": lambda episode: {"numbers": closed_loops(episode)},
    "depth": lambda episode: {"numbers": depths(episode)},
    "following": following,
    "collisions": collisions,
    "calibration": lambda episode: {"cells": calibration(episode)},
    "still": still,
    "growth": growth,
    "imagine": imagine_modes,
    "ablations": ablations,
    "ghosts": ghosts,
}
