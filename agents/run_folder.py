"""The folder of a training run: what is in it, and how a run goes on from it.

settings.json     what the run is made of
curve.json        one entry per leg: steps, what training saw, what the truth says
checkpoint.pt     the state after the last leg, to go on from
checkpoints/N/    the policy after N steps; best/ and last/ are two of them
tensorboard/      everything, for those who look on
videos/N.mp4      episodes in the truth after N steps
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch.utils.tensorboard.writer import SummaryWriter

from agents.algorithms import learned
from agents.checkpoint import load_checkpoint, save_checkpoint
from agents.settings import TrainSettings
from mirage_env.evaluation.provenance import plain, write_json
from mirage_env.files import atomic_write, described_alike, writable_folder
from mirage_env.policies.learned import SETTINGS as POLICY_SETTINGS
from mirage_env.policies.learned import WEIGHTS as POLICY_WEIGHTS
from mirage_env.policies.learned import save_policy

BEST_BY = {"pointnav": ("success", "spl"), "imagenav": ("success", "spl"), "explore": ("explored_area",)}
"""By what the best policy of a run is chosen, in the truth; later ones decide between equals."""


class RunFolder:
    """A run on disk.

    Args:
        path: a new folder, or that of the same run.
        settings: of the run.

    Raises:
        ValueError: the folder holds a run of other settings.
        OSError: it cannot be made or written.
    """

    def __init__(self, path: Path, settings: TrainSettings) -> None:
        self.path = writable_folder(path)
        self.settings = settings
        described = plain(asdict(settings))
        if not described_alike(path / "settings.json", described, "train", "a training run"):
            write_json(path / "settings.json", described)
        self.curve: list[dict[str, Any]] = []

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    def resume(self, agent: BaseAlgorithm) -> None:
        """Let the agent go on from the last leg that was finished, if any was."""
        if not self.checkpoint.exists():
            return
        found = read_curve(self.path / "curve.json")
        load_checkpoint(self.checkpoint, agent)
        self.curve = [entry for entry in found if entry["steps"] <= agent.num_timesteps]

    def logger(self, steps: int) -> Logger:
        """For TensorBoard; what an interrupted leg wrote after so many steps is forgotten."""
        output = TensorBoardOutputFormat(str(self.path / "tensorboard"))
        output.writer.close()
        output.writer = SummaryWriter(log_dir=str(self.path / "tensorboard"), purge_step=steps + 1 if steps else None)
        return Logger(str(self.path), [output])

    def keep(self, agent: BaseAlgorithm, entry: Mapping[str, Any]) -> None:
        """Keep a leg that has ended. The checkpoint comes last: until it is there, the leg has not happened."""
        steps = int(entry["steps"])
        network, settings = learned(agent, self.settings)
        policy = self.path / "checkpoints" / f"{steps:09d}"
        save_policy(policy, network, settings)
        self.curve = [one for one in self.curve if one["steps"] < steps] + [dict(entry)]
        write_curve(self.path / "curve.json", self.curve)
        best = max(self.curve, key=self._merit)
        for name, chosen in (("best", int(best["steps"])), ("last", steps)):
            copy_policy(self.path / "checkpoints" / f"{chosen:09d}", self.path / name)
        save_checkpoint(self.checkpoint, agent)

    def _merit(self, entry: Mapping[str, Any]) -> tuple[float, ...]:
        return tuple(entry["truth"].get(name) or 0.0 for name in BEST_BY[self.settings.task])


def write_curve(path: Path, entries: list[dict[str, Any]]) -> None:
    """The entries as a list in JSON, one a line."""
    with atomic_write(path) as temporary:
        temporary.write_text("[\n" + ",\n".join(json.dumps(plain(entry)) for entry in entries) + "\n]\n")


def read_curve(path: Path) -> list[dict[str, Any]]:
    """What ``write_curve`` wrote; ValueError where it is damaged or missing."""
    try:
        found = json.loads(path.read_text())
        assert all(isinstance(entry["steps"], int) and isinstance(entry["truth"], dict) for entry in found)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise ValueError(f"the curve {path} is missing or damaged ({type(error).__name__}); train anew") from None
    return found


def copy_policy(source: Path, target: Path) -> None:
    """Make ``target`` the policy of ``source``: another checkpoint of the same run, so that its files may mix."""
    for name in (POLICY_WEIGHTS, POLICY_SETTINGS):
        with atomic_write(target / name) as temporary:
            shutil.copyfile(source / name, temporary)
