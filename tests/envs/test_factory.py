"""Arguments of ``gymnasium.make``: the names that exist, and one sentence for those that do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import mirage_env  # noqa: F401  (registers the ids)
from mirage_env.envs.factory import make_free_camera, make_point_nav
from mirage_env.simulators.base import FloorMotion
from tests.small_world import small_world


@pytest.mark.parametrize("env_id", ["Mirage/PointNav-v0", "Mirage/FreeCamera-v0"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"simulator": "unreal"},
            "unknown simulator 'unreal'; valid are mirage, rooms, mesh, habitat or a Simulator object",
        ),
        ({"simulator": "mesh"}, "scenes must name scene files with 'mesh', such as scenes='home.glb', got 'val'"),
        ({"simulator": "mesh", "scenes": "a.glb", "movers": 1}, "nobody moves in scene files: movers must be 0"),
        ({"start_from": "moon"}, "unknown start_from 'moon'; imagined worlds start from rooms or mesh"),
        ({"num_start_views": 9}, "num_start_views must be a whole number from 1 to 8, got 9"),
        ({"up": (0, 1, 0)}, "up is the axis of scene files"),
        ({"scenes": "house"}, "unknown scenes 'house'; valid are train, val, test, toy"),
        ({"observations": "video"}, "unknown observations 'video'; valid are rgb, depth, latent, memory, visible"),
        ({"actions": "jump"}, "unknown actions 'jump'; valid are discrete, velocity, camera"),
        ({"imagine": "maybe"}, "unknown imagine 'maybe'; valid are always, new, never"),
        ({"start_depth": "guess"}, "unknown start_depth 'guess'; valid are estimated, true"),
        ({"render_mode": "human"}, "unknown render_mode 'human'; valid are None, rgb_array"),
        ({"resolution": 128.0}, "resolution must be an integer from 16 to 4096 pixels, got 128.0"),
        ({"resolution": 38}, "needs a resolution that is a multiple of 4, at least 16, got 38"),
        ({"hfov": 180}, "hfov must lie inside"),
        ({"camera_height": 0}, "camera_height must lie between 0.05 and 10 metres, got 0"),
        ({"forward_step": -1}, "forward_step must lie in"),
        ({"turn_angle_deg": 0}, "turn_angle_deg must lie in"),
    ],
)
def test_what_does_not_exist_is_refused(env_id: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        gymnasium.make(env_id, **{"model": small_world(), **arguments})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"simulator": 3}, "simulator must be mirage, rooms, mesh, habitat or a Simulator object, got int"),
        ({"observations": 3}, "observations must be a name or a sequence of names, got int"),
        ({"model": 3}, "model must be a name, a folder or a WorldModel, got int"),
    ],
)
def test_what_is_of_the_wrong_type_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make_point_nav(**arguments)


@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_an_episode_needs_steps(steps: Any) -> None:
    with pytest.raises(ValueError, match="max_episode_steps must be a positive integer or None"):
        make_free_camera(simulator="rooms", scenes="toy", max_episode_steps=steps)


def test_a_model_may_be_a_folder(tmp_path: Path) -> None:
    small_world().save_pretrained(tmp_path / "small")
    env = make_free_camera(scenes="toy", resolution=32, model=tmp_path / "small", observations="latent")
    env.reset(seed=0)
    env.step(1)


def test_arguments_reach_the_simulator_and_the_actions() -> None:
    env = make_free_camera(
        simulator="rooms",
        scenes=[5, 6],
        resolution=40,
        hfov=70,
        camera_height=0.9,
        forward_step=0.1,
        turn_angle_deg=30,
        allow_sliding=False,
    )
    camera = env.simulator.camera
    assert (camera.resolution, camera.hfov, camera.height) == (40, 70.0, 0.9)
    assert env.simulator.allow_sliding is False and env.simulator.agent_radius == 0.18
    assert list(env.simulator.scenes) == [5, 6]  # type: ignore[attr-defined]
    assert env.actions.command(1).motion == FloorMotion(0.1)


def test_true_rooms_import_no_torch() -> None:
    script = (
        "import sys, gymnasium, mirage_env;"
        "gymnasium.make('Mirage/PointNav-v0', simulator='rooms', scenes='toy').reset(seed=0);"
        "print(*[name for name in ('torch', 'diffusers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
