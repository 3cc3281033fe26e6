"""Floor plans: rooms apart, joined by doorways of real width, with windows that fit their walls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from shapely.geometry import box

from mirage_env.simulators.rooms.plan import WALL, Plan, draw_plan


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [draw_plan(np.random.default_rng(seed)) for seed in range(80)]


def test_all_sizes_of_homes_occur(plans: list[Plan]) -> None:
    assert {len(p.rooms) for p in plans} == {1, 2, 3, 4, 5}


def test_rooms_are_a_wall_apart_and_wide_enough(plans: list[Plan]) -> None:
    for plan in plans:
        shapes = [box(*r) for r in plan.rooms]
        for i, a in enumerate(shapes):
            assert min(plan.rooms[i][2:] - plan.rooms[i][:2]) >= 2.0
            assert all(a.distance(b) >= WALL - 3e-3 for b in shapes[i + 1 :])
        assert 2.4 <= plan.height <= 2.85


def test_doorways_join_all_rooms(plans: list[Plan]) -> None:
    for plan in plans:
        assert plan.floor.geom_type == "Polygon"
        reached, todo = {0}, [0]
        while todo:
            new = set(plan.neighbours[todo.pop()]) - reached
            reached |= new
            todo += new
        assert reached == set(range(len(plan.rooms)))


def test_doorways_have_human_measures(plans: list[Plan]) -> None:
    doors = [o for plan in plans for o in plan.openings if o.kind == "door"]
    assert doors
    for o in doors:
        assert 0.85 <= o.hi - o.lo <= 1.1
        assert 1.95 <= o.top <= 2.15
        assert o.bottom == 0


def test_openings_lie_on_their_wall_and_do_not_overlap(plans: list[Plan]) -> None:
    for plan in plans:
        for k, side in enumerate(plan.sides):
            openings = sorted(plan.openings_of(k), key=lambda o: o.lo)
            for o in openings:
                assert o.lo >= 0.1
                assert o.hi <= side.length - 0.1
                assert 0 <= o.bottom < o.top < plan.height
                assert (o.kind in ("window", "entrance")) <= side.exterior
            for a, b in pairwise(openings):
                assert a.hi < b.lo


def test_both_sides_of_a_doorway_agree(plans: list[Plan]) -> None:
    for plan in plans:
        for x0, z0, x1, z1 in plan.doorways:
            ends = []
            for o in plan.openings:
                if o.kind in ("door", "passage"):
                    side = plan.sides[o.side]
                    middle = side.point((o.lo + o.hi) / 2, -WALL / 2)
                    if np.allclose(middle, [(x0 + x1) / 2, (z0 + z1) / 2], atol=3e-3):
                        ends.append((side.room, o.hi - o.lo, o.top))
            assert len(ends) == 2
            assert ends[0][0] != ends[1][0]
            assert ends[0][1:] == pytest.approx(ends[1][1:])
