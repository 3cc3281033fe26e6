"""Walk a few steps through a room that a world model imagines from one view, and keep what was seen as one picture."""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import mirage_env  # noqa: F401  registers the environments


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", default="val")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--simulator", default="mirage", help="'rooms' is the same walk in the true room")
    parser.add_argument("--out", type=Path, default=Path("out/01_walk.png"))
    options = parser.parse_args(argv)

    env = gym.make(
        "Mirage/PointNav-v0",
        simulator=options.simulator,
        scenes=options.scenes,
        observations=("rgb", "pointgoal"),
        model=options.model,
    )
    observation, info = env.reset(seed=options.seed)
    env.action_space.seed(options.seed)
    views = [observation["rgb"]]
    for step in range(options.steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        views.append(observation["rgb"])
        print(
            f"step {step + 1:3d}  reward {reward:+.2f}  goal {info['distance_to_goal']:.2f} m away  "
            f"{100 * info['imagined_fraction']:3.0f} % imagined{'  (bumped)' if info['collided'] else ''}"
        )
        if terminated or truncated:
            break
    env.close()

    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(views[:: max(len(views) // 6, 1)], axis=1)).save(options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
