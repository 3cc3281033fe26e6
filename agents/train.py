"""Train an agent with stable-baselines3 in imagined or true worlds, judged in the truth on the way.

    python -m agents.train --task pointnav --simulator mirage --steps 500_000 --out runs/a

The same command goes on where a run was interrupted. ``tensorboard --logdir runs`` shows the curves.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.vec_env import VecMonitor
from tqdm import tqdm

from agents.algorithms import make_algorithm
from agents.bridge import BridgedVecEnv
from agents.imitate import imitate
from agents.judge import Judge
from agents.legs import Legs
from agents.run_folder import RunFolder
from agents.settings import ALGORITHMS, TASKS, TrainSettings
from agents.worlds import keep_ready, make_training


def train(folder: str | Path, settings: TrainSettings, progress: bool = True, films: int = 2) -> list[dict[str, Any]]:
    """Train, or go on; returns the curve, one entry per leg, as ``curve.json`` has it.

    Args:
        folder: of the run, see ``agents.run_folder``.
        settings: of the run.
        progress: whether to show a bar with steps per second.
        films: how many of the episodes of each evaluation are filmed.

    Raises:
        ValueError: the folder holds another run, its checkpoint is damaged, or the worlds refuse the settings.
    """
    keep_ready(settings)
    bridge = BridgedVecEnv(make_training(settings))
    worlds = VecMonitor(bridge)
    judge = Judge(settings, Path(folder) / "videos", films)
    try:
        # Only after the worlds exist: settings that they refuse leave nothing on disk.
        run = RunFolder(Path(folder), settings)
        agent = make_algorithm(settings, worlds)
        run.resume(agent)
        if settings.imitate and not agent.num_timesteps:
            imitate(agent.policy, bridge, settings, progress)
        agent.set_logger(run.logger(agent.num_timesteps))
        left = settings.steps - agent.num_timesteps
        with tqdm(
            total=settings.steps, initial=agent.num_timesteps, unit=" steps", mininterval=1.0, disable=not progress
        ) as bar:
            if left > 0:
                # Something that is not None: the first leg resets the worlds, with seeds of its own.
                agent._last_obs = {}
                agent.learn(left, callback=Legs(run, judge, bar), reset_num_timesteps=False)
    finally:
        worlds.close()
        judge.close()
    return run.curve


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    out, threads, films = given.pop("out"), given.pop("threads"), given.pop("films")
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        curve = train(out, _settings(given), films=films)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: the same command goes on from the last checkpoint in {out}", file=sys.stderr)
        return 130
    last = {name: round(value, 3) for name, value in curve[-1]["truth"].items()} if curve else {}
    print(f"{out}: {curve[-1]['steps'] if curve else 0:,} steps; in the truth {last}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents.train",
        description="Train an agent in imagined or true worlds; it is judged in the truth on the way.",
        argument_default=None,
    )
    parser.add_argument("--task", choices=TASKS, help="(pointnav)")
    parser.add_argument("--simulator", help='"mirage" to learn in imagination (default); "rooms", "mesh", "habitat"')
    parser.add_argument("--algorithm", choices=ALGORITHMS, help="(ppo)")
    parser.add_argument("--steps", type=int, help="of the environment, all worlds together (500_000)")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; the same command goes on in it")
    parser.add_argument("--seed", type=int, help="of everything (0)")
    parser.add_argument("--observations", nargs="+", type=str, help="what the agent looks at (by task)")
    parser.add_argument("--teacher", help="whom the agent imitates first, with --imitate: seek, frontier (by task)")
    parser.add_argument("--actions", choices=("discrete", "velocity"), help="(discrete)")
    parser.add_argument("--scenes", nargs="+", help="a split of rooms, or scene files (train)")
    parser.add_argument("--evaluation-scenes", nargs="+", help="(val)")
    parser.add_argument(
        "--env",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="arguments of gymnasium.make, such as imagine=new",
    )
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--films", type=int, default=2, help="how many episodes of each evaluation are filmed (2)")
    numbers = parser.add_argument_group("numbers", "see agents.settings.TrainSettings")
    defaults = {one.name: one.default for one in fields(TrainSettings)}
    for name, default in defaults.items():
        if type(default) in (int, float) and name not in ("steps", "seed"):
            numbers.add_argument(f"--{name.replace('_', '-')}", type=type(default), help=f"({default})")
    return parser


def _settings(given: dict[str, Any]) -> TrainSettings:
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in ("scenes", "evaluation_scenes"):
        if name in chosen:
            chosen[name] = chosen[name][0] if len(chosen[name]) == 1 else tuple(chosen[name])
    if "observations" in chosen:
        chosen["observations"] = tuple(chosen["observations"])
    chosen["env"] = dict(_named(text) for text in chosen.get("env", ()))
    return TrainSettings(**chosen)


def _named(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        raise ValueError(f"--env takes NAME=VALUE, such as resolution=64, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


if __name__ == "__main__":
    sys.exit(main())
