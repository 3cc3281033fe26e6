"""Walk episodes with a trained policy, in the world it was trained in or in the true one, and count how they end."""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np

import mirage_env  # noqa: F401  registers the environments
from mirage_env.policies.learned import load_policy

POINTNAV = Path(__file__).parent / "policies" / "pointnav"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, default=POINTNAV, help="a folder with policy.json and its weights")
    parser.add_argument("--simulator", default="rooms", help="'mirage' is the same episodes in imagination")
    parser.add_argument("--scenes", default="test")
    parser.add_argument("--episodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)

    policy = load_policy(options.policy, seed=options.seed)
    settings = policy.settings
    print(f"{options.policy}: {settings.task}, trained with {dict(settings.trained)}")
    env = gym.make(
        f"Mirage/{settings.task}-v0",
        simulator=options.simulator,
        scenes=options.scenes,
        observations=settings.observations,
        actions=settings.actions,
        **settings.env,
    )
    results = []
    for episode in range(options.episodes):
        observation, info = env.reset(seed=options.seed + episode)
        policy.reset()
        steps, ended = 0, False
        while not ended:
            observation, _, terminated, truncated, info = env.step(policy.act(observation, info))
            steps, ended = steps + 1, terminated or truncated
        results.append((info["success"], info["spl"]))
        print(
            f"episode {episode}: {'arrived' if info['success'] else 'failed'} after {steps} steps and "
            f"{info['path_length']:.1f} m, {info['distance_to_goal']:.2f} m from the goal"
        )
    env.close()
    success, spl = np.mean(results, axis=0)
    print(f"success {success:.2f}, SPL {spl:.2f} over {options.episodes} episodes")


if __name__ == "__main__":
    main()
