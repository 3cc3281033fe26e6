"""The command line, ``mirage-env``. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like the rest of the package."""

    def error(self, message: str) -> Any:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0, or 2 for bad input, 1 for a defect, 130 after Ctrl-C."""
    arguments = build_parser().parse_args(argv)
    debug = getattr(arguments, "debug", False)
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        print(f"\nmirage-env: interrupted; {arguments.interrupted}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except (ValueError, TypeError, OSError, ImportError) as error:
        if debug:
            raise
        print(f"mirage-env: {_one_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if debug:
            raise
        print(
            f"mirage-env: {type(error).__name__}: {_one_line(error)} (--debug shows where; please report it)",
            file=sys.stderr,
        )
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    from mirage_env import __version__
    from mirage_env.commands.bench import add_bench
    from mirage_env.commands.collect import add_collect
    from mirage_env.commands.evaluate import add_evaluate

    parser = _Parser(prog="mirage-env", description="Worlds imagined from one image, as environments for robots.")
    parser.add_argument("--version", action="version", version=f"mirage-env {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(interrupted="nothing more was written")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_add_demo, _add_info, add_collect, _add_train, add_evaluate, add_bench):
        add(commands, common)
    return parser


def _add_demo(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "demo",
        parents=[common],
        help="walk through a room, or out of a photo, imagined from a single view",
        description="Leave, turn right round, come back: a film, figures and a report of what is imagined.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scene", metavar="SEED", help="a generated room (default: a held-out one), or 'toy'")
    where.add_argument("--image", type=Path, metavar="FILE", help="a photo instead of a room")
    parser.add_argument("--hfov", type=float, metavar="DEG", help="horizontal field of view (photo 65, room 90)")
    parser.add_argument(
        "--camera-height", type=float, metavar="M", help="camera above the floor (room 1.25; sets a photo's scale)"
    )
    parser.add_argument("--steps", type=int, default=64, help="of the walk, even (64)")
    parser.add_argument("--seed", type=int, default=0, help="decides the walk and what is imagined (0)")
    parser.add_argument("--model", default="tiny", help="bundled name, folder or hub id (tiny)")
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), metavar="DIR", help="folder to write to (out/demo)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    parser.set_defaults(run=_demo, interrupted="run the command again for a whole demonstration")


def _demo(arguments: argparse.Namespace) -> None:
    from mirage_env.demo import run_demo
    from mirage_env.evaluation.provenance import write_json

    report = run_demo(
        arguments.out,
        scene=None if arguments.scene is None else _scene(arguments.scene),
        image=arguments.image,
        hfov=arguments.hfov,
        steps=arguments.steps,
        seed=arguments.seed,
        model=arguments.model,
        camera_height=arguments.camera_height,
        progress=sys.stderr.isatty() or not arguments.json,
    )
    if arguments.json:
        write_json(arguments.json, report)
    closed, milliseconds = report["closed_loop_psnr"], report["milliseconds"]
    print(
        f"{report['steps']} steps, {report['walk']['length']:.1f} m; back at the start the view is "
        f"{closed['imagination']:.1f} dB from the first one\n"
        f"  codec ceiling {_decibels(closed['ceiling'])}, memory off {_decibels(closed['memory_off'])}\n"
        f"  memory: {report['counts']['tokens']:,} tokens, {report['counts']['bytes'] / 1e6:.1f} MB\n"
        f"  one step: {milliseconds['step']:.1f} ms; all of it: {report['seconds']:.0f} s\n"
        f"wrote {', '.join(sorted(report['files']))} to {arguments.out}"
    )


def _add_info(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "info", parents=[common], help="versions, bundled models, devices and environments of this installation"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it there as well")
    parser.set_defaults(run=_info)


def _info(arguments: argparse.Namespace) -> None:
    from mirage_env.evaluation.provenance import write_json
    from mirage_env.info import collect_info, describe

    info = collect_info()
    if arguments.json:
        write_json(arguments.json, info)
    print(describe(info))


def _add_train(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "train",
        parents=[common],
        help="train a world model on collected walks",
        description="Each stage goes on from its last checkpoint in --out. The finished model is in --out/model.",
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help="what 'collect' wrote")
    parser.add_argument(
        "--validation", type=Path, nargs="+", required=True, metavar="DIR", help="the same, from other scenes"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="checkpoints, curves and the model")
    parser.add_argument(
        "--start", metavar="MODEL", help="tune this model (bundled name, folder or hub id) instead of a new one"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON that overrides settings of the recipe")
    parser.add_argument(
        "--stages",
        nargs="+",
        metavar="STAGE",
        help="codec readouts denoiser sketch distil depth decoder (all; with --start codec readouts denoiser depth)",
    )
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after so long; a later call goes on")
    parser.add_argument("--limit", type=int, metavar="N", help="use at most N walks of each folder")
    parser.add_argument(
        "--shards", type=Path, metavar="DIR", help="go on from the small files there, and leave the run as such there"
    )
    parser.set_defaults(run=_train, interrupted="checkpoints were kept: run the same command again to go on")


def _train(arguments: argparse.Namespace) -> None:
    import math

    from mirage_env.files import writable_folder
    from mirage_env.models import weights
    from mirage_env.training.recipe import STAGES, TUNED, Recipe, train_stages
    from mirage_env.training.shards import pack, unpack

    if arguments.minutes is not None and not arguments.minutes > 0:
        raise ValueError(f"--minutes must be above 0, got {arguments.minutes}")
    if arguments.limit is not None and arguments.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {arguments.limit}")
    for folder in (*arguments.data, *arguments.validation):
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; write one with mirage-env collect")
    start = None if arguments.start is None else weights.load(arguments.start)
    recipe = Recipe() if start is None else Recipe.fine_tuning(start)
    if arguments.config is not None:
        recipe = recipe.overridden_by(arguments.config)
    usual = STAGES if start is None else TUNED
    stages = usual if arguments.stages is None else tuple(arguments.stages)
    _check_start(arguments.out, arguments.start)
    if arguments.shards is not None:
        unpack(arguments.shards, writable_folder(arguments.out))
    train_stages(
        arguments.data,
        arguments.validation,
        arguments.out,
        recipe,
        stages=stages,
        minutes=math.inf if arguments.minutes is None else arguments.minutes,
        limit=arguments.limit,
        start=start,
    )
    if arguments.shards is not None:
        print(f"{len(pack(arguments.out, stages, arguments.shards))} shards in {arguments.shards}")
    model = arguments.out / "model"
    done = "the model is in" if (model / "mirage.json").exists() else "checkpoints are in"
    print(f"{done} {model if done.startswith('the model') else arguments.out}")


def _check_start(out: Path, start: str | None) -> None:
    """Note in a new folder which model is tuned there; refuse to go on with another."""
    import json

    from mirage_env.files import atomic_write, writable_folder

    path = out / "start.json"
    begun = path.is_file() or (out / "recipe.json").is_file()
    known = json.loads(path.read_text()) if path.is_file() else None
    if begun and known != start:
        wanted = "without --start" if known is None else f"with --start {known}"
        raise ValueError(f"{out} was begun {wanted}; go on so, or train into another folder")
    if start is not None:
        writable_folder(out)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(start))


def parse_scenes(text: str) -> Any:
    """Scenes as written on the command line: a name, one seed, seeds "3,5,8" or a range "0:100"."""
    try:
        if ":" in text:
            first, last = (int(part) for part in text.split(":"))
            return range(first, last)
        if "," in text:
            return [int(part) for part in text.split(",")]
        return int(text)
    except ValueError:
        if ":" in text or "," in text:
            raise ValueError(f"scenes must be a split, 'toy', seeds '3,5,8' or a range '0:100', got {text!r}") from None
        return text


def scenes_of(simulator: str, words: Sequence[str]) -> Any:
    """Scenes as written on the command line for a true simulator: files, or seeds of "rooms" as in ``parse_scenes``."""
    if simulator in ("mesh", "habitat"):
        return list(words)
    return parse_scenes(",".join(words))


def _scene(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        if text != "toy":
            raise ValueError(f"--scene takes the seed of a room (0 or above) or 'toy', got {text!r}") from None
        return text


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
