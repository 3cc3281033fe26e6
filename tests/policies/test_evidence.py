"""What stands on the floor by the evidence of many views."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import torch

from mirage_env import depth as depths
from mirage_env.geometry import Array
from mirage_env.policies.evidence import FLOOR, MOST, STANDS, THING, bumped, nothing, standing, weighed
from mirage_env.simulators.base import AgentStart, Camera, View
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.tasks.known_floor import sighted, solid_in_view
from mirage_env.tasks.seen_floor import CELL, SeenFloor, floor_in_view

CAMERA = Camera(64)


def views(count: int) -> list[View]:
    """Of the toy room, on a circle."""
    simulator = RoomsSimulator("toy", CAMERA)
    return [simulator.reset("toy", AgentStart((0.0, 0.0, 1.0), k * math.tau / count)) for k in range(count)]


def standing_cells(evidence: SeenFloor) -> set[tuple[int, int]]:
    return {tuple(cell) for cell in (np.argwhere(standing(evidence).cells[0]) + evidence.corner).tolist()}


def test_it_is_the_sum_of_what_views_show() -> None:
    evidence, slow = nothing(0.0), dict[tuple[int, int], int]()
    for view in views(7) * 3:
        evidence = weighed(evidence, sighted(view, CAMERA))
        sight = view.depth, view.pose, CAMERA.intrinsics, CAMERA.height
        change = dict[tuple[int, int], int]()
        for look, weight in ((solid_in_view, THING), (floor_in_view, FLOOR)):
            corner, shown = look(*sight)
            for row, col in np.argwhere(shown) + corner:
                change[row, col] = change.get((row, col), 0) + weight
        for cell, weight in change.items():
            slow[cell] = min(max(slow.get(cell, 0) + weight, -MOST), MOST)
    expected = {cell for cell, weight in slow.items() if weight >= STANDS}
    assert standing_cells(evidence) == expected and len(expected) > 20
    assert max(slow.values()) > STANDS and min(slow.values()) < 0


def test_one_wrong_view_puts_nothing_there_and_three_do() -> None:
    (view,) = views(1)
    evidence = nothing(0.0)
    for count in range(1, 4):
        evidence = weighed(evidence, sighted(view, CAMERA))
        assert bool(standing(evidence).cells.any()) == (count == 3)


def test_what_is_gone_is_free_again_after_as_many_views_as_its_weight() -> None:
    (view,) = views(1)
    _, floor = floor_in_view(view.depth, view.pose, CAMERA.intrinsics, CAMERA.height)
    place = np.array([0.05, 0.0, -0.55])  # ahead of the camera
    evidence = bumped(nothing(0.0), place, np.zeros(3))
    assert floor.any() and len(standing_cells(evidence)) == 1
    for _ in range(MOST - STANDS + 1):
        assert len(standing_cells(evidence) & {(-6, 0)}) == 1
        evidence = weighed(evidence, sighted(view, CAMERA))
    assert not standing_cells(evidence) & {(-6, 0)}


def test_depth_in_cells_of_latents_closes_less_floor_than_believing_every_view() -> None:
    simulator, evidence, believed = RoomsSimulator("toy", CAMERA), nothing(0.0), set[tuple[int, int]]()
    simulator.reset("toy")
    for view in views(24):
        rough = depths.to_pixels(depths.to_grid(torch.as_tensor(view.depth)[None], 4), 4)[0].numpy()
        evidence = weighed(evidence, sighted(SimpleNamespace(depth=rough, pose=view.pose), CAMERA))
        corner, solid = solid_in_view(rough, view.pose, CAMERA.intrinsics, CAMERA.height)
        believed |= {tuple(cell) for cell in (np.argwhere(solid) + corner).tolist()}
    wrong = [cell for cell in believed if simulator.is_navigable(centre(cell))]
    assert len([cell for cell in standing_cells(evidence) if simulator.is_navigable(centre(cell))]) < 0.5 * len(wrong)


def centre(cell: tuple[int, int]) -> Array:
    return np.array([(cell[1] + 0.5) * CELL, 0.0, (cell[0] + 0.5) * CELL])
