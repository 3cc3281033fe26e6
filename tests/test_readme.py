"""The Python that the README shows runs as it stands there, on the bundled weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)).save("photo.jpg")
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {})
    assert "ahead.png" not in BLOCKS[number] or Image.open("ahead.png").size == (128, 128)


def test_there_is_python_and_all_links_lead_somewhere() -> None:
    assert len(BLOCKS) >= 2
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links and not [link for link in links if not (ROOT / link).exists()]
