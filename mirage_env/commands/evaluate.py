"""``mirage-env evaluate``: what was imagined, against the truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_evaluate(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command and what it can evaluate."""
    parser = commands.add_parser("evaluate", help="measure imagined worlds against the truth")
    from mirage_env.commands.ranking import add_ranking

    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    _add_world(kinds, common)
    add_ranking(kinds, common)


def _add_world(kinds: Any, common: argparse.ArgumentParser) -> None:
    parser = kinds.add_parser(
        "world",
        parents=[common],
        help="views, depth, loops, motion, collisions and memory of imagined worlds",
        description="Imagines walks through true scenes from one view each and writes report.json, report.md and "
        "pictures. What was measured is kept: run it again to go on, or for more episodes and parts.",
    )
    parser.add_argument(
        "--simulator", default="rooms", metavar="NAME", help="the truth: rooms, mesh or habitat (rooms)"
    )
    parser.add_argument(
        "--scenes",
        nargs="+",
        default=["val"],
        metavar="SCENE",
        help="a split, 'toy', seeds '3,5,8' or a range '0:100' (val); of mesh and habitat, scene files",
    )
    parser.add_argument("--episodes", type=int, metavar="N", help="how many in all (64; with --quick 8)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the report")
    parser.add_argument("--model", default="tiny", help="bundled name, folder or hub id (tiny)")
    parser.add_argument("--seed", type=int, default=0, help="0 or above (0)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument(
        "--depth", choices=["true", "predicted"], default="true", help="of the start view: measured, or not (true)"
    )
    parser.add_argument("--quick", action="store_true", help="shorter walks, fewer episodes, not the slowest parts")
    parser.add_argument("--only", metavar="PARTS", help="some of the parts, such as novel,loops,depth")
    parser.add_argument("--max-loop", type=int, metavar="STEPS", help="leave out longer loops (512)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write report.json there as well")
    parser.set_defaults(run=_world, interrupted="what was measured was kept: run the same command again to go on")


def _world(arguments: argparse.Namespace) -> None:
    from mirage_env.cli import scenes_of
    from mirage_env.evaluation.evaluate import evaluate_world
    from mirage_env.evaluation.provenance import write_json
    from mirage_env.evaluation.report_text import number

    report = evaluate_world(
        arguments.out,
        arguments.model,
        arguments.simulator,
        scenes_of(arguments.simulator, arguments.scenes),
        arguments.episodes,
        seed=arguments.seed,
        depth=arguments.depth,
        workers=arguments.workers,
        quick=arguments.quick,
        only=None if arguments.only is None else [part.strip() for part in arguments.only.split(",")],
        max_loop=arguments.max_loop,
        progress=sys.stderr.isatty() or not arguments.json,
    )
    if arguments.json:
        write_json(arguments.json, report.data)
    for goal, entry, reached in report.goals:
        if reached is not None:
            verdict = "reached" if reached else "MISSED"
            print(f"{goal.text:<66} {number(entry, goal.digits):>22}  {goal.bound:>9}  {verdict}")
    print(f"wrote {arguments.out / 'report.md'}")
