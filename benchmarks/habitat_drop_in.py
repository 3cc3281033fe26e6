"""Whether ``mesh`` stands in for habitat-sim: the same episodes in both, walked by a follower of shortest paths.

    python -m benchmarks.habitat_drop_in apartment.glb living-room.glb --episodes 20

Each simulator is asked for its own shortest paths; actions are compared step by step, and views where both walked the
same. Without a scene, a room full of spheres is walked; without habitat-sim, nothing is measured.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import reporting
from benchmarks.mesh_views import made_scene
from mirage_env.data.episodes import Episode
from mirage_env.data.generate_episodes import EpisodeRule, generate_episodes
from mirage_env.envs.factory import make_point_nav
from mirage_env.policies import ShortestPathFollower
from mirage_env.simulators.habitat import MISSING
from mirage_env.simulators.mesh.simulator import MeshSimulator

SIMULATORS = ("mesh", "habitat")
CLOSE = 0.02
"""How far apart success and SPL may be."""


def play(simulator: str, episodes: Sequence[Episode], resolution: int = 128) -> dict[str, Any]:
    """Success, SPL, actions and views of each episode, and steps a second."""
    env = make_point_nav(
        simulator=simulator,
        episodes=episodes,
        observations=("rgb", "depth"),
        resolution=resolution,
        max_episode_steps=500,
    )
    follower, found = ShortestPathFollower(env), []
    seconds, steps = 0.0, 0
    for _ in episodes:
        observation, info = env.reset()
        actions, views, ended = [], [], False
        while not ended:
            actions.append(follower.act(observation, info))
            begin = time.perf_counter()
            observation, _, terminated, truncated, info = env.step(actions[-1])
            seconds += time.perf_counter() - begin
            views.append(observation)
            ended = terminated or truncated
        steps += len(actions)
        found.append((info["success"], info["spl"], actions, views))
    env.close()
    success, spl, actions, views = zip(*found, strict=True)
    return {
        "success": float(np.mean(success)),
        "spl": float(np.mean(spl)),
        "actions": actions,
        "views": views,
        "steps_per_second": steps / seconds,
    }


def measure(scenes: Sequence[Path], count: int, seed: int = 0, max_distance: float = 10.0) -> dict[str, Any]:
    """Both simulators on ``count`` episodes that ``mesh`` samples, evenly over the scenes."""
    rule = EpisodeRule(max_distance=max_distance, min_ratio=1.0)
    episodes = generate_episodes(
        MeshSimulator([str(scene) for scene in scenes]),
        [str(scene) for scene in scenes],
        count,
        seed,
        rule,
        episodes_per_scene=1,
    )
    found = {simulator: play(simulator, episodes) for simulator in SIMULATORS}
    walks, views = ([found[simulator].pop(name) for simulator in SIMULATORS] for name in ("actions", "views"))
    same = [a == b for a, b in zip(*walks, strict=True)]
    pairs = [pair for i, alike in enumerate(same) if alike for pair in zip(views[0][i], views[1][i], strict=True)]
    return {
        "measured": True,
        "episodes": count,
        "scenes": len(scenes),
        "same_walks": sum(same),
        **compare(pairs),
        **found,
    }


def compare(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, float]:
    """Share of pixels whose depth is within 1 cm or 0.2 %, and mean difference of colours, of pairs of views."""
    errors = [(np.abs(a["depth"] - b["depth"]), b["depth"]) for a, b in pairs]
    return {
        "views": len(pairs),
        "depth_agrees": float(np.mean([(error <= np.maximum(0.01, 0.002 * depth)).mean() for error, depth in errors])),
        "colours_apart": float(np.mean([np.abs(a["rgb"].astype(int) - b["rgb"]).mean() for a, b in pairs])),
    }


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run from the command line."""
    parser = reporting.parser(__doc__)
    parser.add_argument("scenes", nargs="*", type=Path, metavar="SCENE", help="scene files")
    parser.add_argument("--episodes", type=int, default=20, help="how many in all (20)")
    parser.add_argument("--seed", type=int, default=0, help="0 or above (0)")
    arguments = parser.parse_args(argv)
    if find_spec("habitat_sim") is None:
        print(f"not measured: {MISSING}")
        reporting.write(arguments, "habitat_drop_in", {"measured": False})
        return {"measured": False}
    with TemporaryDirectory() as folder:
        scenes = arguments.scenes or [made_scene(Path(folder))]
        found = measure(scenes, 4 if arguments.quick else arguments.episodes, arguments.seed)
    for simulator in SIMULATORS:
        one = found[simulator]
        print(
            f"{simulator:<8} success {one['success']:.3f}  SPL {one['spl']:.3f}  {one['steps_per_second']:.0f} steps/s"
        )
    print(f"{found['same_walks']} of {found['episodes']} episodes walked by the same actions")
    for measured in ("success", "spl"):
        apart = abs(found["mesh"][measured] - found["habitat"][measured])
        print(reporting.goal(f"{measured}: apart", apart, "", at_most=CLOSE))
    print(reporting.goal("depth within 1 cm or 0.2 %", 100 * found["depth_agrees"], "%", at_least=99.9))
    print(reporting.goal("colours, mean difference", found["colours_apart"], "of 255", at_most=4))
    reporting.write(arguments, "habitat_drop_in", found)
    return found


if __name__ == "__main__":
    main()
