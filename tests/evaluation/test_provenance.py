"""What stands in every report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mirage_env.evaluation import provenance


def test_versions_and_device_name_what_numbers_depend_on() -> None:
    versions = provenance.versions()
    assert {"python", "torch", "gymnasium", "numpy", "mirage-env"} <= versions.keys()
    assert versions["numpy"] == np.__version__
    device = provenance.device()
    assert device["cores"] >= 1
    assert isinstance(device["gpus"], list)


def test_reports_are_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    values = {"a": np.array([1.0, np.inf]), "b": np.float32(0.5), "c": (np.int64(3), np.bool_(True)), 4: tmp_path}
    provenance.write_json(path, values)
    assert json.loads(path.read_text()) == {"a": [1.0, None], "b": 0.5, "c": [3, True], "4": str(tmp_path)}
