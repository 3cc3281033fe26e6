"""Learning against stepping: steps per second of PPO end to end, and of the same steps in the bare environment.

The agent learns for some rollouts; then its very actions are replayed in the environment alone, from the same seeds, so
that both walk the same steps and begin the same episodes. Homes are ready before the clock starts.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.algorithms import make_algorithm
from agents.bridge import BridgedVecEnv
from agents.settings import OBSERVATIONS, TrainSettings
from agents.worlds import keep_ready, make_training
from benchmarks import reporting

LEAST_SHARE = 0.6
CASES: dict[str, dict[str, Any]] = {
    "imagined, depth": {"simulator": "mirage", "observations": OBSERVATIONS["pointnav"]},
    "imagined, latents": {"simulator": "mirage", "observations": ("latent", "visible", "pointgoal")},
    "imagined, memory": {
        "simulator": "mirage",
        "observations": ("memory", "visible", "pointgoal"),
        "env": {"imagine": "never"},
    },
    "true, depth": {"simulator": "rooms", "observations": OBSERVATIONS["pointnav"]},
}


class Recorder(BaseCallback):
    """Keeps the actions of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[Any] = []

    def _on_step(self) -> bool:
        self.actions.append(np.array(self.locals["clipped_actions"]))
        return True


def measure(case: dict[str, Any], worlds: int, rollouts: int, homes: int, seed: int = 0) -> dict[str, Any]:
    """Steps per second of learning and of stepping alone, and the share of the one in the other."""
    settings = TrainSettings(num_envs=worlds, homes=homes, evaluation_homes=1, seed=seed, **case)
    keep_ready(settings)
    bridge = BridgedVecEnv(make_training(settings))
    for scene in range(homes):
        bridge.envs[0].reset(seed=seed, options={"scene": scene})
    agent, recorder = make_algorithm(settings, bridge), Recorder()
    steps = rollouts * settings.rollout * worlds
    agent.learn(settings.rollout * worlds)  # what is made on first use is made now
    bridge.seed(seed)
    agent._last_obs = None
    agent._last_episode_starts = np.ones(worlds, dtype=bool)
    began = time.perf_counter()
    agent.learn(steps, callback=recorder, reset_num_timesteps=False)
    learning = time.perf_counter() - began
    began = time.perf_counter()
    bridge.worlds.reset(seed=seed)
    ended = 0
    for actions in recorder.actions:
        _, _, terminated, truncated, _ = bridge.worlds.step(actions)
        ended += int((terminated | truncated).sum())
    stepping = time.perf_counter() - began
    bridge.close()
    return {
        "steps": steps,
        "episodes": ended,
        "learning_steps_per_second": steps / learning,
        "bare_steps_per_second": steps / stepping,
        "share": stepping / learning,
    }


def main(argv: list[str] | None = None) -> None:
    parser = reporting.parser(__doc__)
    parser.add_argument("--worlds", type=int, default=16, help="at once (16; with --quick 2)")
    parser.add_argument("--rollouts", type=int, default=2, help="of 128 steps of every world (2; with --quick 1)")
    arguments = parser.parse_args(argv)
    worlds, homes = (2, 1) if arguments.quick else (arguments.worlds, 8)
    rows = {}
    for name, case in CASES.items():
        if arguments.quick:
            case = case | {"rollout": 8, "batch_size": 8, "width": 16}
        rows[name] = found = measure(case, worlds, 1 if arguments.quick else arguments.rollouts, homes)
        speeds = f"{found['learning_steps_per_second']:7.1f} of {found['bare_steps_per_second']:7.1f} steps/s"
        print(reporting.goal(f"{name}: PPO {speeds}", found["share"], "x", at_least=LEAST_SHARE), flush=True)
    reporting.write(arguments, "agents_throughput", {"worlds": worlds, "rows": rows})


if __name__ == "__main__":
    main()
