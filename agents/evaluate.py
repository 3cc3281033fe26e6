"""Evaluate a policy in true or imagined worlds: measures with intervals, maps, a film, types of failure.

    python -m agents.evaluate --policy runs/a --simulator rooms --scenes test --episodes 500 --out out/eval

The same command goes on where it was interrupted; more ``--episodes`` enlarge what is there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mirage_env.cli import scenes_of
from mirage_env.evaluation.evaluate_policy import evaluate_policy
from mirage_env.evaluation.policy_text import summary_table
from mirage_env.evaluation.provenance import write_json


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status: 0, 2 for bad input, 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    try:
        true = given.start_from if given.simulator == "mirage" else given.simulator
        data = evaluate_policy(
            given.policy,
            given.out,
            given.simulator,
            scenes_of(true, given.scenes),
            given.episodes,
            task=given.task,
            start_from=given.start_from,
            setting=given.setting,
            model=given.model,
            seed=given.seed,
            episodes_per_scene=given.episodes_per_scene,
            num_envs=given.num_envs,
            max_episode_steps=given.max_episode_steps,
            pictures=given.pictures,
            film=not given.no_film,
            progress=sys.stderr.isatty() or not given.json,
        )
        if given.json:
            write_json(given.json, data)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ninterrupted: whole episodes were kept in {given.out}, the same command goes on", file=sys.stderr)
        return 130
    print(summary_table(data["summary"]))
    failures = ", ".join(f"{count} {name}" for name, count in data["failures"].items())
    print(f"failures: {failures}\nwrote {given.out / 'report.md'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agents.evaluate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--policy", required=True, help="a run, the folder of a policy, or a name: random, forward, shortest-path:0.3"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the report")
    parser.add_argument("--simulator", default="rooms", help="rooms, mesh, habitat, or mirage (rooms)")
    parser.add_argument("--start-from", default="rooms", help="what mirage takes its start views from (rooms)")
    parser.add_argument("--scenes", nargs="+", default=["test"], help="a split, seeds, a range, or scene files (test)")
    parser.add_argument("--episodes", type=int, default=500, metavar="N", help="how many in all (500)")
    parser.add_argument("--episodes-per-scene", type=int, default=10, metavar="N", help="in turn in each scene (10)")
    parser.add_argument("--task", help="PointNav, ImageNav or Explore (the policy's own)")
    parser.add_argument("--setting", default="default", help="of imagined worlds, such as memory-off (default)")
    parser.add_argument("--model", help="that imagines (the policy's own, or tiny)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (0)")
    parser.add_argument("--num-envs", type=int, default=8, metavar="N", help="worlds at once; changes no result (8)")
    parser.add_argument("--max-episode-steps", type=int, default=500, metavar="N", help="after which time is out (500)")
    parser.add_argument("--pictures", type=int, default=20, metavar="N", help="maps of so many episodes (20)")
    parser.add_argument("--no-film", action="store_true", help="leave out the film")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write report.json there as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
