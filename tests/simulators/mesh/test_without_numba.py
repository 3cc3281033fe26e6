"""Where numba is missing, plain loops build the same space and walk the same ways."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from mirage_env.simulators.mesh.navigation import MeshNavigation
from mirage_env.simulators.mesh.navmesh.build import build_navmesh
from tests.simulators.mesh.small_meshes import bumpy

SCRIPT = """
import sys
sys.modules["numba"] = None
from tests.simulators.mesh.test_without_numba import digest
print(digest())
"""


def digest() -> str:
    """Of a space, and of motion and a path in it."""
    mesh = build_navmesh(*bumpy(1, size=3.0, things=2))
    ways = MeshNavigation(mesh)
    rng = np.random.default_rng(0)
    a, b = ways.sample(rng), ways.sample(rng)
    found = [*mesh, ways.move(a, [0.25, 0, 0.1])[0], ways.move(a, [0.5, 0, 0.6], False)[0], ways.shortest_path(a, b)]
    return hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest()


def test_the_same_bits() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    if run.returncode:
        pytest.fail(run.stderr)
    assert run.stdout.strip() == digest()
