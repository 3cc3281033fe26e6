"""``mirage-env evaluate ranking``: whether what is better in imagination is better in truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_ranking(kinds: Any, common: argparse.ArgumentParser) -> None:
    """Add what can be evaluated."""
    parser = kinds.add_parser(
        "ranking",
        parents=[common],
        help="whether policies that are better in imagination are better in truth (SRCC)",
        description="Walks the same episodes with each policy in truth and in imagined worlds, and correlates. Writes "
        "report.json, report.md and plots. What was walked is kept: run it again to go on, or with more policies, "
        "settings and episodes.",
    )
    parser.add_argument(
        "--policies",
        nargs="+",
        required=True,
        metavar="POLICY",
        help="at least three: names (random, forward, bounce, frontier, shortest-path, with noise shortest-path:0.3), "
        "folders of policies, and runs, whose checkpoints all take part",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the report")
    parser.add_argument("--simulator", default="rooms", metavar="NAME", help="the truth: rooms, mesh or habitat")
    parser.add_argument(
        "--scenes",
        nargs="+",
        default=["test"],
        metavar="SCENE",
        help="a split, 'toy', seeds '3,5,8' or a range '0:100' (test); of mesh and habitat, scene files",
    )
    parser.add_argument("--episodes", type=int, default=100, metavar="N", help="of each policy in each world (100)")
    parser.add_argument("--episodes-per-scene", type=int, default=10, metavar="N", help="in turn in each scene (10)")
    parser.add_argument(
        "--settings",
        nargs="+",
        default=["default"],
        metavar="SETTING",
        help="of imagined worlds: default, memory-off, rgb-memory, depth-noise=0.05, denoiser-steps=2, imagine=never, "
        "start-views=4, true-depth, true-collisions, true-views and others, or several joined by +",
    )
    parser.add_argument("--task", metavar="TASK", help="PointNav, ImageNav or Explore (that of the policies)")
    parser.add_argument("--model", metavar="MODEL", help="that imagines (that of the policies, or tiny)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode, 0 or above (0)")
    parser.add_argument("--num-envs", type=int, default=8, metavar="N", help="worlds at once; changes no result (8)")
    parser.add_argument("--max-episode-steps", type=int, default=500, metavar="N", help="after which time is out (500)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write report.json there as well")
    parser.set_defaults(run=_ranking, interrupted="whole episodes were kept: run the same command again to go on")


def _ranking(arguments: argparse.Namespace) -> None:
    from mirage_env.cli import scenes_of
    from mirage_env.evaluation.provenance import write_json
    from mirage_env.evaluation.ranking import rank_policies
    from mirage_env.evaluation.ranking_text import settings_table

    data = rank_policies(
        arguments.policies,
        arguments.out,
        arguments.simulator,
        scenes_of(arguments.simulator, arguments.scenes),
        arguments.episodes,
        arguments.settings,
        task=arguments.task,
        model=arguments.model,
        seed=arguments.seed,
        episodes_per_scene=arguments.episodes_per_scene,
        num_envs=arguments.num_envs,
        max_episode_steps=arguments.max_episode_steps,
        progress=sys.stderr.isatty() or not arguments.json,
    )
    if arguments.json:
        write_json(arguments.json, data)
    print(settings_table(data))
    print(f"wrote {arguments.out / 'report.md'}")
