"""``mirage-env collect``: walks for training, or episodes to be played."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirage_env.simulators.base import Simulator

WALKS: dict[str, Any] = {"steps": 64, "workers": 2, "resolution": 128, "hfov": 90.0, "samples": None}
"""Options that walks alone have, and their values where nothing is said."""
EPISODES = ("min_distance", "max_distance", "min_ratio", "scenes_dir")
"""Options that episodes alone have."""


def add_collect(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "collect",
        parents=[common],
        help="walk through scenes and keep images, depth and poses for training; or write PointNav episodes",
        description="Into a folder: one shard of images per walk. Those that are there already are kept: run it again "
        "to go on, or for more. Into a file named *.json.gz: PointNav episodes that habitat-lab and gym.make read.",
    )
    parser.add_argument("--simulator", choices=["rooms", "mesh", "habitat"], default="rooms", help="where (rooms)")
    parser.add_argument(
        "--scenes",
        nargs="+",
        default=["train"],
        metavar="SCENE",
        help="a split, 'toy', seeds '3,5,8' or a range '0:100' (train); of mesh and habitat, scene files",
    )
    parser.add_argument("--episodes", type=int, required=True, metavar="N", help="how many in all")
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="folder of the shards, or *.json.gz")
    parser.add_argument("--seed", type=int, default=0, help="0 or above (0)")
    parser.add_argument("--up", metavar="AXIS", help="of mesh: the axis of the files that points up, such as y")
    parser.add_argument("--episodes-per-scene", type=int, default=4, metavar="N", help="consecutive ones (4)")
    walks = parser.add_argument_group("walks")
    walks.add_argument("--steps", type=int, help="frames per episode (64)")
    walks.add_argument("--workers", type=int, help="processes (2)")
    walks.add_argument("--resolution", type=int, help="pixels per side (128)")
    walks.add_argument("--hfov", type=float, metavar="DEG", help="of most episodes (90)")
    walks.add_argument("--samples", type=int, choices=[1, 4], help="colour samples per pixel (rooms 4, mesh 1)")
    episodes = parser.add_argument_group("PointNav episodes")
    episodes.add_argument("--min-distance", type=float, metavar="M", help="floor from start to goal (1)")
    episodes.add_argument("--max-distance", type=float, metavar="M", help="floor from start to goal (30)")
    episodes.add_argument(
        "--min-ratio", type=float, metavar="R", help="most ways straighter than R times the straight line go (1.1)"
    )
    episodes.add_argument("--scenes-dir", type=Path, metavar="DIR", help="scene ids are relative to it")
    parser.set_defaults(run=_collect, interrupted="whole episodes were kept: run the same command again to go on")


def _collect(arguments: argparse.Namespace) -> None:
    if not arguments.out.name.endswith(".json.gz"):
        _refuse(arguments, EPISODES, "PointNav episodes; give --out a file named *.json.gz to write them")
        _collect_walks(arguments)
        return
    arguments.interrupted = "nothing was written"
    _refuse(arguments, WALKS, "walks; give --out a folder to collect them")
    _collect_episodes(arguments)


def _collect_walks(arguments: argparse.Namespace) -> None:
    from mirage_env.data.collect import collect

    asked = {name: getattr(arguments, name) for name in WALKS}
    options = {name: WALKS[name] if value is None else value for name, value in asked.items()}
    make_simulator, scenes = _simulator(arguments, options.pop("samples"))
    paths = collect(
        make_simulator,
        arguments.out,
        arguments.episodes,
        seed=arguments.seed,
        scenes=scenes,
        episodes_per_scene=arguments.episodes_per_scene,
        **options,
    )
    print(f"{len(paths)} episodes of {options['steps']} frames in {arguments.out}")


def _collect_episodes(arguments: argparse.Namespace) -> None:
    from mirage_env.data.episodes import write_episodes
    from mirage_env.data.generate_episodes import EpisodeRule, generate_episodes
    from mirage_env.files import writable_folder

    limits = {name: getattr(arguments, name) for name in ("min_distance", "max_distance", "min_ratio")}
    rule = EpisodeRule(**{name: value for name, value in limits.items() if value is not None})
    make_simulator, scenes = _simulator(arguments)
    writable_folder(arguments.out.parent)
    episodes = generate_episodes(
        make_simulator(),
        scenes,
        arguments.episodes,
        arguments.seed,
        rule,
        episodes_per_scene=arguments.episodes_per_scene,
        scenes_dir=arguments.scenes_dir,
        progress=sys.stderr.isatty(),
    )
    write_episodes(arguments.out, episodes)
    opened = len({episode.scene_id for episode in episodes})
    print(f"{len(episodes)} PointNav episodes in {opened} scenes in {arguments.out}")


def _simulator(
    arguments: argparse.Namespace, samples: int | None = None
) -> tuple[Callable[[], Simulator], Sequence[Any]]:
    """What makes the simulator that was asked for, also in another process, and the scenes to open."""
    from functools import partial

    from mirage_env.cli import scenes_of

    named = scenes_of(arguments.simulator, arguments.scenes)
    if arguments.up is not None and arguments.simulator != "mesh":
        raise ValueError("--up is of scene files that mesh opens; leave it out")
    if arguments.simulator == "habitat" and samples not in (None, 1):
        raise ValueError(f"habitat-sim takes 1 colour sample per pixel, got --samples {samples}")
    if arguments.simulator in ("mesh", "habitat"):
        from mirage_env.simulators.habitat import HabitatSimulator
        from mirage_env.simulators.mesh.simulator import MeshSimulator, scene_files

        files = scene_files(named)
        if arguments.simulator == "habitat":
            return partial(HabitatSimulator, files), files
        return partial(MeshSimulator, files, samples=samples or 1, up=arguments.up), files
    from mirage_env.simulators.rooms.simulator import RoomsSimulator
    from mirage_env.simulators.rooms.splits import resolve_scenes

    scenes = resolve_scenes(named)
    return partial(RoomsSimulator, scenes, samples=samples or 4), scenes


def _refuse(arguments: argparse.Namespace, names: Any, what: str) -> None:
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) is not None]
    if given:
        raise ValueError(f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} of {what}")
