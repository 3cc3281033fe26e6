"""What a randomisation is held against."""

from __future__ import annotations

from mirage_env.envs.randomisation.settings import Randomisation


def check_noise_fits(kind: str, settings: Randomisation) -> None:
    """Raise ValueError for actuation noise of actions that no wheels carry out."""
    if settings.actuation is not None and kind == "camera":
        raise ValueError(
            "actuation noise is of motions on the floor; use discrete or velocity actions with it, not camera actions"
        )


def check_randomised_alike(theirs: Randomisation, ours: Randomisation) -> None:
    """Raise ValueError unless a snapshot goes on with the draws it was made with."""
    if theirs != ours:
        raise ValueError(f"the snapshot is of an environment randomised otherwise: {theirs}, this one: {ours}")
