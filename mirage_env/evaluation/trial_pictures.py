"""Where policies walked: maps of trials, and a film of successes beside failures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from mirage_env.envs.navigation import NavigationEnv
from mirage_env.evaluation import pictures
from mirage_env.evaluation.pictures import Caption, Panel, TopView
from mirage_env.evaluation.trial import Trial, failure
from mirage_env.geometry import Array
from mirage_env.simulators.base import AgentStart

FLOOR: pictures.Colour = (66, 73, 88)
SHORTEST: pictures.Colour = pictures.SEEN
GOAL: pictures.Colour = pictures.IMAGINED
MAP_SIZE = 288
SMALL_SIZE = 192
PER_ROW = 5
LEAST_SIDE = 5.0
"""Metres that a map shows, at least."""
FILM_FRAMES = 200
HOLD = 8
"""Frames that the last view of a film stays."""


class Plan2D(NamedTuple):
    """The free floor (H, W) bool of a scene; world x and z of the corner of cell (0, 0); metres per cell."""

    free: Array
    origin: Array
    cell: float


def floor_plan(simulator: Any, height: float, cell: float = 0.05) -> Plan2D | None:
    """The free floor of the present scene of a true simulator at this height; None where it has no map."""
    if hasattr(simulator, "navigable_map"):
        found = simulator.navigable_map(cell)
        return Plan2D(found.navigable, found.origin, found.cell)
    navigation = simulator.navigation
    if not hasattr(navigation, "top_down"):
        return None
    # Habitat's maps are of points, not of cells: the corner lies half a cell before the first one.
    corner = np.asarray(navigation.mesh.low, dtype=np.float64)[[0, 2]] - cell / 2
    return Plan2D(navigation.top_down(height, cell), corner, cell)


class TrialMap:
    """The map of one trial: floor, shortest way, goal; ``at`` draws the walk until a step.

    Args:
        trial: the walk.
        simulator: the true one; its scene is changed to that of the trial.
        size: pixels per side.
        hfov: degrees that the agent sees.
    """

    def __init__(self, trial: Trial, simulator: Any, size: int = MAP_SIZE, hfov: float = 90.0) -> None:
        start = trial.positions[0]
        simulator.reset(trial.scene, AgentStart(tuple(start.tolist()), float(trial.yaws[0])))
        way = np.zeros((0, 3)) if trial.goal is None else np.asarray(simulator.shortest_path(start, trial.goal))
        points = [trial.positions, way, *([] if trial.goal is None else [trial.goal[None]])]
        self.trial, self.hfov = trial, hfov
        self.view = _view(np.concatenate(points), size)
        self.canvas = _ground(self.view, floor_plan(simulator, float(start[1])))
        self.canvas = _draw_way(self.view, self.canvas, way, trial.goal)

    def at(self, step: int | None = None) -> Array:
        """The map (S, S, 3) uint8 with the walk until ``step``; None: all of it."""
        last = self.trial.steps if step is None else min(step, self.trial.steps)
        walked = self.trial.positions[: last + 1]
        return pictures.draw_path(self.view, self.canvas, walked, self.trial.yaws[: last + 1], last, self.hfov)


def verdict(trial: Trial) -> str:
    """How a trial ended, in a few words."""
    if trial.goal is None:
        return f"{trial.steps} steps"
    return f"success, SPL {trial.spl:.2f}" if trial.success else failure(trial) or ""


def map_panel(trial: Trial, picture: Array) -> Panel:
    """A map with words: which episode, how it ended, how far it is and was."""
    left = "" if not math.isfinite(trial.distance_to_goal) else f", {trial.distance_to_goal:.1f} m left"
    shortest = f"shortest {trial.shortest:.1f} m, " if math.isfinite(trial.shortest) else ""
    text = f"{shortest}walked {trial.path_length:.1f} m{left}"
    return Panel(picture, f"{trial.index}: {verdict(trial)}", f"scene {_short(trial.scene)}", Caption(text))


def map_sheet(panels: Sequence[Panel]) -> Array:
    """Panels of one size in rows of ``PER_ROW``."""
    size = panels[0].picture.shape[0]
    rows = [pictures.side_by_side(panels[k : k + PER_ROW], 0.62) for k in range(0, len(panels), PER_ROW)]
    width = max(row.shape[1] for row in rows)
    blank = np.full((1, 1, 3), pictures.BACKGROUND, np.uint8)
    padded = [np.concatenate([row, blank.repeat(len(row), 0).repeat(width - row.shape[1], 1)], 1) for row in rows]
    assert size <= width
    return np.concatenate(padded)


def film_frames(trials: Sequence[Trial], env: NavigationEnv, simulator: Any) -> Iterator[Array]:
    """A grid of walks, two in a row: what the agent sees beside the map. The walks are made again from their actions.

    Args:
        trials: of this environment's task, simulator and camera.
        env: it is reset.
        simulator: the true one, for maps.
    """
    stride = max(math.ceil(max(trial.steps for trial in trials) / FILM_FRAMES), 1)
    seen = [_views(trial, env, stride) for trial in trials]
    maps = [TrialMap(trial, simulator, SMALL_SIZE, env.simulator.camera.hfov) for trial in trials]
    count = max(len(views) for views in seen)
    for k in range(count + HOLD):
        cells = []
        for trial, views, above in zip(trials, seen, maps, strict=True):
            step = min(k, len(views) - 1) * stride
            now = min(step, trial.steps)
            word = verdict(trial) if now == trial.steps else f"step {now}"
            view = Panel(views[min(k, len(views) - 1)], f"{trial.index}: {word}", "", Caption(_progress(trial, now)))
            cells.append(pictures.side_by_side([view, Panel(above.at(now), "", "", Caption())], 0.55))
        if len(cells) % 2:
            cells.append(np.full_like(cells[0], pictures.BACKGROUND))
        yield np.concatenate([np.concatenate(cells[i : i + 2], 1) for i in range(0, len(cells), 2)])


def replay(trial: Trial, env: NavigationEnv) -> Iterator[Any]:
    """The views of a trial again, from the start to the last: same seed, scene and actions."""
    env.reset(seed=trial.seed, options=None if trial.scene is None else {"scene": trial.scene})
    yield env.view
    space = env.action_space
    for action in trial.actions:
        env.step(np.asarray(action, dtype=space.dtype))
        yield env.view


def _views(trial: Trial, env: NavigationEnv, stride: int) -> list[Array]:
    """Every ``stride``-th view, and the last, as pictures of ``SMALL_SIZE``."""
    kept = []
    for step, view in enumerate(replay(trial, env)):
        if step % stride == 0 or step == trial.steps:
            image = Image.fromarray(np.asarray(view.rgb))
            kept.append(np.asarray(image.resize((SMALL_SIZE, SMALL_SIZE), Image.Resampling.BILINEAR)))
    return kept


def _progress(trial: Trial, step: int) -> str:
    if trial.goal is None:
        return f"step {step} of {trial.steps}"
    away = float(np.linalg.norm((trial.positions[step] - trial.goal)[[0, 2]]))
    return f"{away:.1f} m from the goal, in a straight line"


def _view(points: Array, size: int) -> TopView:
    ground = points[:, [0, 2]]
    middle = (ground.min(0) + ground.max(0)) / 2
    side = max(float(np.ptp(ground, axis=0).max()) + 2.0, LEAST_SIDE)
    return TopView(middle - side / 2, size / side, size)


def _ground(view: TopView, plan: Plan2D | None) -> Array:
    canvas = np.empty((view.size, view.size, 3), np.uint8)
    canvas[:] = pictures.UNSEEN
    if plan is None:
        return canvas
    z, x = np.meshgrid(*[(np.arange(view.size) + 0.5) / view.scale] * 2, indexing="ij")
    row = np.floor((view.low[1] + z - plan.origin[1]) / plan.cell).astype(int)
    column = np.floor((view.low[0] + x - plan.origin[0]) / plan.cell).astype(int)
    inside = (row >= 0) & (row < plan.free.shape[0]) & (column >= 0) & (column < plan.free.shape[1])
    rows, columns = plan.free.shape
    canvas[inside & plan.free[row.clip(0, rows - 1), column.clip(0, columns - 1)]] = FLOOR
    return canvas


def _draw_way(view: TopView, canvas: Array, way: Array, goal: Array | None) -> Array:
    factor = 3  # drawn larger and shrunk, for smooth lines
    large = Image.fromarray(canvas).resize((view.size * factor, view.size * factor), Image.Resampling.NEAREST)
    draw, unit = ImageDraw.Draw(large), view.size * factor / 100
    if len(way) > 1:
        draw.line([tuple(p) for p in view.pixels(way) * factor], SHORTEST, round(1.4 * unit), "curve")
    if goal is not None:
        x, y = view.pixels(goal) * factor
        for radius, colour in ((2.6, (0, 0, 0)), (2.2, GOAL), (1.1, (0, 0, 0)), (0.8, GOAL)):
            draw.ellipse((x - radius * unit, y - radius * unit, x + radius * unit, y + radius * unit), colour)
    return np.asarray(large.resize((view.size, view.size), Image.Resampling.BOX))


def _short(scene: Any) -> str:
    return str(scene).rsplit("/", 1)[-1]
