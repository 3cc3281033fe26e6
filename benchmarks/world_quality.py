"""How well a world model remembers, on rooms it never saw: codec, depth, readout and the way out and back.

Four measures, each over all rooms, with spread and a bootstrap interval of the mean:

    codec ceiling     PSNR of true views through the codec.
    depth             AbsRel of depth from the latents of one view alone.
    readout           PSNR of a view read from the memory of ONE view eight steps away, decoded without the denoiser,
                      over the pixels the memory covers; the ceiling is that of the same pixels.
    closed loop       leave, turn round, return, turn round: PSNR of the last imagined view against the first true view.

The walks of the first three are those of ``mirage-env collect``, and those of the last ``plan_out_and_back``'s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import reporting
from mirage_env import geometry
from mirage_env.data.collect import CollectConfig, collect_episode
from mirage_env.data.shards import Trajectory
from mirage_env.evaluation.metrics import abs_rel, bootstrap_interval, psnr
from mirage_env.evaluation.rollout import (
    decode_latents,
    depth_at_cells,
    encode_images,
    pixels_of,
    roll_out,
    through_codec,
    without_memory,
)
from mirage_env.evaluation.walks import plan_out_and_back, true_views
from mirage_env.geometry import Array
from mirage_env.memory import LatentMemory, read_many
from mirage_env.simulators.base import Camera
from mirage_env.simulators.rooms.simulator import RoomsSimulator
from mirage_env.simulators.rooms.splits import SPLITS
from mirage_env.world import WorldModel

GAP = 8
_LEAST_COVERED = 0.02


class Measure(NamedTuple):
    """One line of the report: its key, what it says, its unit, and the figure to reach, if any."""

    key: str
    text: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None


MEASURES = (
    Measure("codec_ceiling", "codec ceiling, PSNR", "dB", at_least=30.0),
    Measure("depth_abs_rel", "depth from latents alone, AbsRel", "", at_most=0.15),
    Measure("readout", f"readout {GAP} steps away, true depth, PSNR", "dB"),
    Measure("readout_ceiling", "  ceiling of the same pixels", "dB"),
    Measure("readout_below_ceiling", "  below that ceiling", "dB", at_most=4.0),
    Measure("readout_covered", "  share of the view covered", ""),
    Measure("readout_estimated", f"readout {GAP} steps away, estimated depth, PSNR", "dB"),
    Measure("readout_estimated_below_ceiling", "  below the ceiling of the same pixels", "dB"),
    Measure("closed_loop", "closed loop, PSNR", "dB"),
    Measure("closed_loop_ceiling", "  codec ceiling of the first view", "dB"),
    Measure("closed_loop_memory_off", "  same model, memory off", "dB"),
    Measure("closed_loop_below_ceiling", "  below the ceiling", "dB", at_most=5.0),
    Measure("closed_loop_above_memory_off", "  above memory off", "dB", at_least=5.0),
)


def measure_scene(world: WorldModel, scene: int | str, steps: int, seed: int) -> dict[str, float]:
    """All measures in one room."""
    simulator = RoomsSimulator(scene, samples=4)
    config = CollectConfig(seed=seed, steps=max(steps, 4 * GAP), hfov_share=1.0, height_range=(1.25, 1.25))
    wandering = collect_episode(simulator, 0, config, scenes=[scene])
    simulator.camera = Camera()
    simulator.reset(scene)
    found = measure_views(world, wandering) | measure_closed_loop(world, simulator, steps, seed)
    simulator.close()
    return found


@torch.no_grad()
def measure_views(world: WorldModel, walk: Trajectory) -> dict[str, float]:
    """Codec, depth and readout along a walk."""
    latents = encode_images(world, walk.rgb)
    through = decode_latents(world, latents)
    depth = depth_at_cells(walk.depth, world.codec.stride)
    K = geometry.scale_intrinsics(walk.intrinsics.astype(np.float64), 1 / world.codec.stride)
    grid_K = torch.as_tensor(K, dtype=torch.float32).expand(len(latents), 3, 3)
    estimated = world.depth_model.estimate(latents, grid_K, torch.zeros_like(depth)).depth
    found = {
        "codec_ceiling": float(np.mean(psnr(through, walk.rgb))),
        "depth_abs_rel": float(np.nanmean(abs_rel(estimated, depth))),
    }
    first = np.arange(0, len(walk) - GAP, 4)
    for name, source in (("readout", depth), ("readout_estimated", estimated)):
        memories = []
        for i in first:
            memory = LatentMemory(channels=world.codec.channels)
            memory.write(latents[i], source[i], K, walk.poses[i])
            memories.append(memory)
        view = read_many(memories, walk.poses[first + GAP], K, size=tuple(depth.shape[-2:]))
        covered = pixels_of(view.visible, world.codec.stride)
        enough = covered.mean((1, 2)) > _LEAST_COVERED
        truth, shown = walk.rgb[first + GAP], decode_latents(world, view.latents)
        reached, possible = (
            psnr(shown, truth, mask=covered)[enough],
            psnr(through[first + GAP], truth, mask=covered)[enough],
        )
        found[name] = _mean(reached)
        found[f"{name}_below_ceiling"] = _mean(possible - reached)
        if name == "readout":
            found["readout_ceiling"] = _mean(possible)
            found["readout_covered"] = float(covered.mean())
    return found


def measure_closed_loop(world: WorldModel, simulator: RoomsSimulator, steps: int, seed: int) -> dict[str, float]:
    """The walk out and back in the open scene, from one view, without true depth."""
    camera = simulator.camera
    walk = plan_out_and_back(simulator, steps, seed)
    poses = walk.poses(camera.height)
    first = true_views(simulator, poses[:1], camera.height)[0]
    rollout = roll_out(
        world, first[0], poses, hfov=camera.hfov, resolution=camera.resolution, camera_height=camera.height, seed=seed
    )
    blind = without_memory(world, rollout, seed, only=[len(poses) - 1])
    ceiling = float(psnr(through_codec(world, first)[0], first[0]))
    reached, off = float(psnr(rollout.rgb[-1], first[0])), float(psnr(blind[0], first[0]))
    return {
        "closed_loop": reached,
        "closed_loop_ceiling": ceiling,
        "closed_loop_memory_off": off,
        "closed_loop_below_ceiling": ceiling - reached,
        "closed_loop_above_memory_off": reached - off,
        "tokens": float(rollout.tokens[-1]),
        "step_milliseconds": float(np.median(rollout.milliseconds[1:])),
    }


def summarise(rows: list[dict[str, float]], seed: int) -> dict[str, dict[str, Any]]:
    """Mean, spread, range and 95 % interval of the mean over rooms, and whether the figure to reach was reached."""
    summary: dict[str, dict[str, Any]] = {}
    for measure in MEASURES:
        values = np.array([row[measure.key] for row in rows])
        values = values[np.isfinite(values)]
        entry: dict[str, Any] = {"rooms": len(values)}
        if len(values):
            entry |= {"mean": values.mean(), "std": values.std(ddof=min(1, len(values) - 1))}
            entry |= {"min": values.min(), "max": values.max()}
        if len(values) > 1:
            entry |= dict(zip(("low", "high"), bootstrap_interval(values, seed)[1:], strict=True))
        if len(values) and measure.at_least is not None:
            entry |= {"target": f">= {measure.at_least:g}", "reached": bool(values.mean() >= measure.at_least)}
        if len(values) and measure.at_most is not None:
            entry |= {"target": f"<= {measure.at_most:g}", "reached": bool(values.mean() <= measure.at_most)}
        summary[measure.key] = entry
    return summary


def describe(summary: dict[str, dict[str, Any]]) -> str:
    """The summary as a table for people."""
    lines = [f"{'':<46} {'mean ± std':>16}  {'min … max':>15}  {'95 % of the mean':>16}  target"]
    for measure in MEASURES:
        entry = summary[measure.key]
        if "mean" not in entry:
            lines.append(f"{measure.text:<46} nothing to measure")
            continue
        digits = 1 if measure.unit == "dB" else 3
        numbers = {
            k: f"{entry[k]:.{digits}f}" if k in entry else "-" for k in ("mean", "std", "min", "max", "low", "high")
        }
        target = f"{entry['target']}: {'reached' if entry['reached'] else 'MISSED'}" if "target" in entry else ""
        columns = (("mean", " ± ", "std", 16), ("min", " … ", "max", 15), ("low", " … ", "high", 16))
        cells = [f"{numbers[one] + sign + numbers[other]:>{width}}" for one, sign, other, width in columns]
        lines.append(f"{measure.text:<46} {'  '.join(cells)}  {target}".rstrip())
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = reporting.model_parser(__doc__)
    parser.add_argument("--scenes", type=int, default=24, help="how many rooms, the first of the split (24; quick 1)")
    parser.add_argument("--split", choices=list(SPLITS), default="val")
    parser.add_argument("--steps", type=int, default=64, help="of the walk out and back (64)")
    arguments = parser.parse_args(argv)
    world = WorldModel.from_pretrained(arguments.model)
    scenes = list(SPLITS[arguments.split][: 1 if arguments.quick else arguments.scenes])
    rows = [
        {"scene": scene, **measure_scene(world, scene, arguments.steps, arguments.seed)}
        for scene in tqdm(scenes, unit="room")
    ]
    summary = summarise(rows, arguments.seed)
    print(f"{len(rows)} rooms of {arguments.split!r}, model {world.name}\n{describe(summary)}")
    reporting.write(arguments, "world_quality", {"summary": summary, "rooms": rows})


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


if __name__ == "__main__":
    main()
