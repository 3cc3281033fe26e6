"""Whether ``mesh`` stands in for habitat-sim: the same episodes in both, walked by a follower of shortest paths.

    python -m benchmarks.habitat_drop_in apartment.glb living-room.glb --episodes 20

Needs habitat-sim. Each simulator is asked for its own shortest paths; actions are compared step by step.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import reporting
from mirage_env.data.episodes import Episode
from mirage_env.data.generate_episodes import EpisodeRule, generate_episodes
from mirage_env.envs.factory import make_point_nav
from mirage_env.policies import ShortestPathFollower
from mirage_env.simulators.mesh.simulator import MeshSimulator

SIMULATORS = ("mesh", "habitat")
CLOSE = 0.02
"""How far apart success and SPL may be."""


def play(simulator: str, episodes: Sequence[Episode], resolution: int = 128) -> dict[str, Any]:
    """Success, SPL and actions of each episode, and steps a second with their views."""
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
        actions, ended = [], False
        while not ended:
            actions.append(follower.act(observation, info))
            begin = time.perf_counter()
            observation, _, terminated, truncated, info = env.step(actions[-1])
            seconds += time.perf_counter() - begin
            ended = terminated or truncated
        steps += len(actions)
        found.append((info["success"], info["spl"], actions))
    env.close()
    success, spl, actions = zip(*found, strict=True)
    return {
        "success": float(np.mean(success)),
        "spl": float(np.mean(spl)),
        "actions": actions,
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
    walks = [found[simulator].pop("actions") for simulator in SIMULATORS]
    same = sum(a == b for a, b in zip(*walks, strict=True))
    return {"episodes": count, "scenes": len(scenes), "same_walks": same, **found}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run from the command line."""
    parser = reporting.parser(__doc__)
    parser.add_argument("scenes", nargs="+", type=Path, metavar="SCENE", help="scene files")
    parser.add_argument("--episodes", type=int, default=20, help="how many in all (20)")
    parser.add_argument("--seed", type=int, default=0, help="0 or above (0)")
    arguments = parser.parse_args(argv)
    found = measure(arguments.scenes, 4 if arguments.quick else arguments.episodes, arguments.seed)
    for simulator in SIMULATORS:
        one = found[simulator]
        print(
            f"{simulator:<8} success {one['success']:.3f}  SPL {one['spl']:.3f}  {one['steps_per_second']:.0f} steps/s"
        )
    print(f"{found['same_walks']} of {found['episodes']} episodes walked by the same actions")
    for measured in ("success", "spl"):
        apart = abs(found["mesh"][measured] - found["habitat"][measured])
        print(reporting.goal(f"{measured}: apart", apart, "", at_most=CLOSE))
    reporting.write(arguments, "habitat_drop_in", found)
    return found


if __name__ == "__main__":
    main()
