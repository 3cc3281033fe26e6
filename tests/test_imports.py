"""Importing the package is light, and its parts import each other in one direction only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mirage_env

PACKAGE = Path(mirage_env.__file__).parent
HEAVY = """
    diffusers embreex habitat_sim imageio matplotlib numba scipy shapely stable_baselines3 transformers trimesh
""".split()
LAYERS = "geometry memory models world simulators tasks envs policies".split()

Graph = dict[str, set[str]]


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = f"import sys, mirage_env; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_importing_registers_the_environments() -> None:
    script = "import gymnasium, mirage_env; print(*[id for id in gymnasium.registry if id.startswith('Mirage/')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"Mirage/FreeCamera-v0", "Mirage/PointNav-v0"} <= set(done.stdout.split())
    assert done.stderr == ""


@pytest.mark.parametrize("name", mirage_env.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert name in dir(mirage_env)
    assert getattr(mirage_env, name) is not None


def test_an_unknown_name_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'LatentMemroy'; it has LatentMemory, WorldModel"):
        getattr(mirage_env, "LatentMemroy")  # noqa: B009


def imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute dotted names of all imports in a module of ``package``, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def import_graph(root: Path) -> Graph:
    """Which of its own modules each module of the package at ``root`` imports; ``root/__init__.py`` is left out."""
    files = {".".join(path.relative_to(root.parent).with_suffix("").parts): path for path in root.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in files.items()}
    graph: Graph = {}
    for module, path in modules.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        graph[module] = set()
        for name in imported_names(ast.parse(path.read_text()), package):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            if name and name not in (module, root.name):
                graph[module].add(name)
    del graph[root.name]
    return graph


def layer_of(module: str) -> str | None:
    part = module.split(".")[1]
    return part if part in LAYERS else None


def imports_against_the_order(graph: Graph) -> list[str]:
    """Chains of imports that lead from a layer to one above it, or from models to memory, through any helper module."""
    faults = []
    for start in sorted(graph):
        layer = layer_of(start)
        chains = [[start]] if layer else []
        seen = {start}
        while chains:
            chain = chains.pop()
            reached = layer_of(chain[-1])
            upwards = reached and layer and LAYERS.index(reached) > LAYERS.index(layer)
            if upwards or (layer, reached) == ("models", "memory"):
                faults.append(" → ".join(chain))
                continue
            for name in sorted(graph[chain[-1]] - seen):
                seen.add(name)
                chains.append([*chain, name])
    return faults


def test_imports_run_one_way() -> None:
    assert imports_against_the_order(import_graph(PACKAGE)) == []


@pytest.mark.parametrize(
    ("file", "line", "chain"),
    [
        ("memory/store.py", "from mirage_env.models import tiny", "memory.store → toy.models.tiny"),
        ("memory/store.py", "def f():\n    from mirage_env.world import WorldModel", "memory.store → toy.world"),
        ("models/tiny.py", "from ..memory import store", "models.tiny → toy.memory.store"),
        ("geometry.py", "import mirage_env.envs", "geometry → toy.envs"),
        ("helper.py", "from mirage_env import world", "models.tiny → toy.helper → toy.world"),
    ],
)
def test_an_import_against_the_order_is_found(tmp_path: Path, file: str, line: str, chain: str) -> None:
    root = tmp_path / "toy"
    for name in LAYERS[1:]:
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").write_text("")
    for name in ("__init__", "geometry", "helper", "memory/store", "models/tiny", "tasks/a"):
        (root / f"{name}.py").write_text("")
    (root / "envs" / "__init__.py").write_text("from toy.tasks import a\nimport toy.helper, numpy")
    (root / "simulators" / "__init__.py").write_text("from toy import geometry")
    assert imports_against_the_order(import_graph(root)) == []
    if file == "helper.py":
        (root / "models" / "tiny.py").write_text("from toy import helper")
    (root / file).write_text(line.replace("mirage_env", "toy"))
    assert f"toy.{chain}" in imports_against_the_order(import_graph(root))


def test_only_the_habitat_adapter_imports_habitat_sim() -> None:
    for path in PACKAGE.rglob("*.py"):
        names = imported_names(ast.parse(path.read_text()), "")
        if any(name.split(".")[0] == "habitat_sim" for name in names):
            assert path.relative_to(PACKAGE).as_posix() == "simulators/habitat.py"


def test_inside_the_package_names_come_from_their_modules() -> None:
    lazy = {f"mirage_env.{name}" for name in mirage_env.__all__} - {"mirage_env.__version__"}
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE / "__init__.py":
            names = set(imported_names(ast.parse(path.read_text()), "mirage_env"))
            assert not names & lazy, f"{path} imports {names & lazy} from the top of the package"
