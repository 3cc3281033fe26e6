"""Step into a photo: the memory keeps what it shows, and the world model imagines what lies beside and behind."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import mirage_env
from mirage_env import geometry


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--hfov", type=float, default=65.0, help="horizontal field of view of the photo in degrees")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turns", type=int, default=6, help="of 10 degrees to the left, after three steps ahead")
    parser.add_argument("--out", type=Path, default=Path("out/02_photo.png"))
    options = parser.parse_args(argv)

    world = mirage_env.WorldModel.from_pretrained(options.model)
    state = world.start(options.photo, hfov=options.hfov, seed=options.seed)
    fork = state  # a state is a value: this one stays as it is, however far the other walks

    ahead = geometry.exp_twist([0, 0, 0.25, 0, 0, 0])  # the camera looks along +z
    left = geometry.exp_twist([0, 0, 0, 0, -np.radians(10), 0])  # its y points down
    pose, views = state.pose.astype(np.float64), []
    for motion in [np.eye(4)] + [ahead] * 3 + [left] * options.turns:
        pose = pose @ motion
        state, frame = world.step(state, pose)
        views.append(frame.rgb)
        print(f"{100 * frame.imagined_fraction:3.0f} % imagined, {len(state.memory)} tokens")

    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(views, axis=1)).save(options.out)
    print(f"wrote {options.out}; the fork at the photo still holds {len(fork.memory)} tokens")


if __name__ == "__main__":
    main()
