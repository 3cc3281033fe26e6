"""``mirage-env bench``: what the project claims about speed and memory, measured here and now."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HELPERS = ("reporting", "plots")
"""The modules of the folder that measure nothing by themselves."""


def add_bench(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        parents=[common],
        help="measure speed and memory: one benchmark per claim",
        description="Runs the files of benchmarks/ one after another, each in a process of its own. What was measured "
        "is kept in --out, with pictures of it: run it again to go on, or with another folder to measure anew.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="some of them (all; --list tells which there are)")
    parser.add_argument("--list", action="store_true", help="say what there is to measure, and measure nothing")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), metavar="DIR", help="of results (out/bench)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: does it work, not how fast is it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there as well")
    parser.set_defaults(run=_bench, interrupted="finished benchmarks were kept: run the same command again to go on")


def benchmarks_of(folder: Path) -> dict[str, str]:
    """Names of the benchmarks in a folder, and the first line of what each says of itself.

    FileNotFoundError where there are none.
    """
    import ast

    found = {}
    for path in sorted(folder.glob("*.py")):
        if path.stem not in HELPERS:
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            found[path.stem] = text.partition("\n")[0]
    if not found:
        raise FileNotFoundError(
            f"there are no benchmarks in {folder}: they are part of the source, not of an installed package; "
            "clone the project and run mirage-env bench there"
        )
    return found


def _bench(arguments: argparse.Namespace) -> None:
    import mirage_env
    from mirage_env.evaluation.provenance import write_json
    from mirage_env.files import described_alike, writable_folder

    root = Path(mirage_env.__file__).resolve().parents[1]
    known = benchmarks_of(root / "benchmarks")
    for name in arguments.names:
        if name not in known:
            raise ValueError(f"there is no benchmark {name!r}; there are {', '.join(known)}")
    if arguments.list:
        print("\n".join(f"{name:<18} {text}" for name, text in known.items()))
        return
    out = writable_folder(arguments.out).resolve()
    settings = {"quick": arguments.quick}
    if not described_alike(out / "settings.json", settings, "measure", "results"):
        write_json(out / "settings.json", settings)
    reports = {}
    for name in arguments.names or known:
        path = out / f"{name}.json"
        if path.exists():
            print(f"{name}: measured before, in {path}")
        else:
            print(f"{name}: {known[name]}", flush=True)
            command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(path)]
            if subprocess.run([*command, *(["--quick"] if arguments.quick else [])], cwd=root).returncode:
                raise ChildProcessError(f"the benchmark {name} failed; what it said is above")
        reports[name] = json.loads(path.read_text())
    if subprocess.run([sys.executable, "-m", "benchmarks.plots", str(out)], cwd=root).returncode:
        raise ChildProcessError("the pictures could not be drawn; what was said is above")
    if arguments.json:
        write_json(arguments.json, reports)
    print(f"results are in {out}")
