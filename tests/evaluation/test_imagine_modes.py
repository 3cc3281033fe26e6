"""What is spared by imagining only what is new: counted as it happens."""

from __future__ import annotations

import pytest

from mirage_env.evaluation.episode import Episode
from mirage_env.evaluation.imagine_modes import Counting, imagine_modes
from mirage_env.evaluation.settings import Settings
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from tests.small_world import small_world


def test_views_of_the_denoiser_are_counted_and_the_world_is_left_as_it_was() -> None:
    world = small_world()
    denoiser = world.denoiser
    settings = Settings(resolution=32, ablation_loop=4)
    found = imagine_modes(Episode(settings, RoomsSimulator("toy"), world, 0, "toy"))["numbers"]
    assert world.denoiser is denoiser and not isinstance(denoiser, Counting)
    assert found["spared steps/always"] == 0 <= found["spared steps/new"] <= 1
    # Four steps of "always" draw each view, and one more for each look ahead.
    assert 1 <= found["views per step/always"] <= 2
    assert found["views per step/new"] * 4 == pytest.approx(round(found["views per step/new"] * 4))
    assert (found["spared steps/new"] == 1) == (found["views per step/new"] == 0)
    assert 0 < found["known cells/new"] <= 1
    assert found["time saved"] == pytest.approx(1 - found["milliseconds/new"] / found["milliseconds/always"])
    assert found["loop below always"] == pytest.approx(found["loop/always"] - found["loop/new"])
