"""The pictures of the demonstration's films, one after another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from mirage_env.evaluation import pictures
from mirage_env.evaluation.pictures import Caption, Panel, Share, TopView
from mirage_env.evaluation.rollout import Rollout
from mirage_env.evaluation.tokens import TokenCloud
from mirage_env.evaluation.walks import RoundTrip
from mirage_env.geometry import Array

LARGE, SMALL = 3, 2
"""Pixels of the films per pixel of the frames, along each side."""
_WORDS = 384

_LEGS = {
    "out": "walking out",
    "turn round": "turning round",
    "back": "walking back",
    "turn round again": "turning round",
}


def film_frames(
    walk: RoundTrip,
    truth: tuple[Array, Array] | None,
    rollout: Rollout,
    cloud: TokenCloud,
    floor: tuple[Array, Array, float] | None,
    hfov: float,
) -> Iterator[tuple[Array, Array]]:
    """Every step twice: as a wide picture with a map, and as a small one, for a page, with as few words as will do.

    With a true room both show truth, imagination and memory; without it the small one shows the map in place of truth.
    """
    size = rollout.rgb.shape[1] * LARGE
    view = _map(walk, cloud, size)
    for i in range(len(rollout.rgb)):
        above = _above(view, walk, rollout, cloud, floor, hfov, i)
        columns = [
            *([] if truth is None else [(truth[0][i], "Truth", "the room itself")]),
            (rollout.rgb[i], "Imagination", "what the world model shows"),
            (
                pictures.mask_unseen(rollout.readout[i], rollout.visible[i]),
                "Memory",
                "decoded as it is; dark: not known yet",
            ),
        ]
        captions = [*([] if truth is None else [_progress(walk, i)]), _origin(rollout, i), _known(rollout, i)]
        large = [
            Panel(pictures.enlarge(picture, LARGE), title, subtitle, caption)
            for (picture, title, subtitle), caption in zip(columns, captions, strict=True)
        ]
        held = Caption(f"{rollout.tokens[i]:,} tokens · {rollout.nbytes[i] / 1e6:.1f} MB")
        under_map = _progress(walk, i) if truth is None else held
        large.append(Panel(above, "From above", "the memory's tokens and the agent", under_map))
        small = [
            Panel(pictures.enlarge(picture, SMALL), title, "", caption)
            for (picture, title, _), caption in zip(columns, captions, strict=True)
        ]
        if truth is None:
            side = SMALL * rollout.rgb.shape[1]
            shrunk = np.asarray(Image.fromarray(above).resize((side, side), Image.Resampling.LANCZOS))
            small.append(Panel(shrunk, "From above", "", _progress(walk, i)))
        yield pictures.side_by_side(large), pictures.side_by_side(small, SMALL * rollout.rgb.shape[1] / _WORDS * 1.12)


def _map(walk: RoundTrip, cloud: TokenCloud, size: int) -> TopView:
    points = walk.positions
    if len(cloud.positions):
        # A few far tokens, out of a window, must not shrink the room to a stamp.
        low, high = np.quantile(cloud.positions, [0.01, 0.99], axis=0)
        points = np.concatenate(
            [points, cloud.positions[((cloud.positions >= low) & (cloud.positions <= high)).all(1)]]
        )
    return pictures.fit_top_view(points, size)


def _above(
    view: TopView,
    walk: RoundTrip,
    rollout: Rollout,
    cloud: TokenCloud,
    floor: tuple[Array, Array, float] | None,
    hfov: float,
    step: int,
) -> Array:
    known = cloud.where(cloud.token < rollout.tokens[step])
    canvas = pictures.draw_tokens(view, known.positions, known.colours, known.widths)
    if floor is not None:
        canvas = pictures.draw_walls(view, canvas, *floor)
    return pictures.draw_path(view, canvas, walk.positions, walk.yaws, step, hfov)


def _progress(walk: RoundTrip, step: int) -> Caption:
    doing = "the one view given" if step == 0 else _LEGS[walk.leg(step).name]
    return Caption(f"step {step} of {len(walk)} · {doing}", (Share("step", step / len(walk), pictures.QUIET),))


def _origin(rollout: Rollout, step: int) -> Caption:
    unseen = float(rollout.imagined[step])
    new = min(1 - float(rollout.visible[step].mean()), unseen) if step else 0.0
    return Caption(
        parts=(
            Share("seen", 1 - unseen, pictures.SEEN),
            Share("imagined", unseen - new, pictures.REMEMBERED),
            Share("new", new, pictures.IMAGINED),
        )
    )


def _known(rollout: Rollout, step: int) -> Caption:
    share = float(rollout.visible[step].mean())
    return Caption(f"{100 * share:.0f} % of this view is known", (Share("known", share, pictures.QUIET),))
