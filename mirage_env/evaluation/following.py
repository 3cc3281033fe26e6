"""Whether generated views show the camera motion that was asked for: recovered from consecutive views and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mirage_env import geometry
from mirage_env.evaluation.registration import register
from mirage_env.evaluation.rollout import Rollout
from mirage_env.geometry import Array

REASONS = ("overlap", "texture", "convergence")
"""Why the motion of a pair cannot be told: see ``mirage_env.evaluation.registration``."""


@dataclass(frozen=True)
class Following:
    """How N pairs of consecutive views follow the commanded motion.

    Attributes:
        pairs: (N,) the number of the first view of each pair.
        rotation_deg: (N,) angle in degrees between the recovered and the commanded turn.
        translation: (N,) metres between the recovered and the commanded place of the second camera.
        motion: what was recovered, T_first_second (N, 4, 4).
        reason: (N,) "" or one of ``REASONS``, where the views show too little to tell; errors mean nothing there.
    """

    pairs: Array
    rotation_deg: Array
    translation: Array
    motion: Array
    reason: Array

    @property
    def told(self) -> Array:
        """Pairs (N,) bool whose motion the views tell."""
        return self.reason == ""

    def summary(self) -> dict[str, float]:
        """Figures for a report; NaN where there is nothing to count.

        ``rotation_deg``, ``translation_m`` are medians and ``…_p90`` 90th percentiles over the pairs that can be told;
        ``…_all`` are medians with every other pair counted as infinitely wrong. ``pairs`` is N, ``told`` how many can
        be told, ``failed_<reason>`` how many cannot, and why.
        """
        told = self.told
        found: dict[str, float] = {}
        for name, errors in (("rotation_deg", self.rotation_deg), ("translation_m", self.translation)):
            some = errors[told]
            found[name] = float(np.median(some)) if len(some) else np.nan
            found[f"{name}_p90"] = float(np.quantile(some, 0.9)) if len(some) else np.nan
            # Not interpolated: between a number and infinity there is no middle.
            ordered = np.sort(np.where(told, errors, np.inf))
            found[f"{name}_all"] = float(ordered[len(ordered) // 2]) if len(ordered) else np.nan
        counts = {f"failed_{reason}": float((self.reason == reason).sum()) for reason in REASONS}
        return found | {"pairs": float(len(told)), "told": float(told.sum())} | counts


def camera_following(
    rgb: Any, depth: Any, poses: Any, intrinsics: Any, pairs: Sequence[int] | Array | None = None
) -> Following:
    """Recover the motion between consecutive views from what they show, and compare it with the commanded one.

    The commanded poses are used for the comparison only; the recovery starts from a range of turns on the spot.

    Args:
        rgb: views (N, H, W, 3) uint8, in order.
        depth: their z-depth (N, H, W) in metres, 0 = unknown.
        poses: the commanded T_world_camera (N, 4, 4).
        intrinsics: K (3, 3).
        pairs: numbers i of the pairs (i, i + 1) to look at; None: all N - 1.

    Raises:
        ValueError: shapes disagree, poses are not rigid, or a pair does not exist.
    """
    poses = geometry.check_pose(poses, "poses")
    rgb, depth = np.asarray(rgb), np.asarray(depth)
    if poses.ndim != 3 or rgb.shape[:1] != poses.shape[:1] or depth.shape[:1] != poses.shape[:1]:
        raise ValueError(
            f"camera_following needs as many views as poses (N, 4, 4), got {rgb.shape[:1]}, depth {depth.shape[:1]} "
            f"and poses {poses.shape}"
        )
    first = np.arange(len(poses) - 1) if pairs is None else np.asarray(pairs, dtype=np.int64)
    if first.ndim != 1 or ((first < 0) | (first >= len(poses) - 1)).any():
        raise ValueError(f"pairs must be numbers from 0 to {len(poses) - 2}, got {pairs!r}")
    found = register(rgb[first], depth[first], rgb[first + 1], depth[first + 1], intrinsics)
    commanded = geometry.invert(poses[first]) @ poses[first + 1]
    rotation, translation = motion_errors(found.motion, commanded)
    return Following(first, rotation, translation, found.motion, np.array(found.reason, dtype="<U16"))


def rollout_following(rollout: Rollout, pairs: Sequence[int] | Array | None = None) -> Following:
    """``camera_following`` of what a world model generated along a rollout."""
    return camera_following(rollout.rgb, rollout.depth, rollout.poses, rollout.state.intrinsics, pairs)


def motion_errors(motion: Array, commanded: Array) -> tuple[Array, Array]:
    """Angles (N,) in degrees and distances (N,) in metres between motions T_first_second (N, 4, 4)."""
    if not len(motion):
        return np.zeros(0), np.zeros(0)
    between = np.swapaxes(commanded[:, :3, :3], 1, 2) @ motion[:, :3, :3]
    angle = Rotation.from_matrix(between).magnitude()
    return np.degrees(angle), np.linalg.norm(motion[:, :3, 3] - commanded[:, :3, 3], axis=1)
