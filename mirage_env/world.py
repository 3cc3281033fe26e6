"""The world loop: read what the memory shows, imagine what it does not, write that back. The decoder is not in it.

image ─encode─► latents ─depth─► memory        (start, observe)
pose ─► read ─► denoise ─► depth ─► write      (step)
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from mirage_env import depth as depths
from mirage_env import geometry
from mirage_env.completion import Imagine, Networks, completed, looked_ahead
from mirage_env.frame import Frame, from_uint8
from mirage_env.geometry import Array
from mirage_env.images import load_depth, load_image, resize_depth, resize_image
from mirage_env.memory import LatentMemory, MemoryView, read_many
from mirage_env.memory.protocol import SpatialMemory, takes_images, threads
from mirage_env.memory.rules import MemoryRules
from mirage_env.models import weights
from mirage_env.models.fingerprint import fingerprint
from mirage_env.models.protocols import Codec, Denoiser, DepthModel, Sampling
from mirage_env.models.recognition import Recognition
from mirage_env.scale import floor_scale
from mirage_env.state import KEPT, WorldState, as_kept

DEFAULT_CAMERA_HEIGHT = 1.25
"""Metres above the floor of the cameras whose views the networks were trained on."""


class WorldModel:
    """The dynamics of imagined worlds: a codec, depth from latents and a denoiser around a latent memory. Has no state.

    Args:
        codec, depth_model, denoiser: see ``mirage_env.models.protocols``; in evaluation mode, on one device.
        denoiser_steps: network passes per imagined view.
        name: what the model is called in reports.
        new_memory: makes the empty memories of new worlds; None: a ``LatentMemory`` of float16 with its default rules.
        look_ahead: degrees by which a step turns towards what is unknown to imagine it in large pieces, see
            ``mirage_env.look_ahead``; 0: never.
        recognition: by what latents surfaces are known again, see ``mirage_env.models.recognition``; None: not fitted.
    """

    def __init__(
        self,
        codec: Codec,
        depth_model: DepthModel,
        denoiser: Denoiser,
        denoiser_steps: int = 1,
        name: str = "custom",
        new_memory: Callable[[], SpatialMemory] | None = None,
        look_ahead: float = 30.0,
        recognition: Recognition | None = None,
    ) -> None:
        if not 0 <= look_ahead < 90:
            raise ValueError(f"look_ahead must be from 0 to less than 90 degrees, got {look_ahead!r}")
        self.codec = codec
        self.codec_fingerprint = fingerprint([codec])
        """Noted in every state, so that no other codec goes on from it."""
        self.depth_model = depth_model
        self.denoiser = denoiser
        self.denoiser_steps = denoiser_steps
        self.name = name
        self.device = device_of(codec)
        """Where the networks are, and the memories that a world makes by itself."""
        self.new_memory = new_memory or (lambda: LatentMemory(codec.channels, KEPT, self.device))
        self.look_ahead = look_ahead
        self.recognition = recognition

    def with_memory(self, new_memory: Callable[[], SpatialMemory], name: str) -> WorldModel:
        """The same networks around another memory, to compare memories or to change the rules of one."""
        other = copy.copy(self)
        other.new_memory, other.name = new_memory, name
        return other

    def with_rules(self, rules: MemoryRules, name: str) -> WorldModel:
        """The same networks around latent memories that write and read by these rules."""
        return self.with_memory(lambda: LatentMemory(self.codec.channels, KEPT, self.device, rules), name)

    @classmethod
    def from_pretrained(cls, name: str | Path = "tiny") -> WorldModel:
        """A bundled model by name, one in a folder that ``save_pretrained`` wrote, or one on the Hugging Face hub.

        Raises:
            FileNotFoundError: there is no such model, or a file of it is missing.
            ValueError: a file is damaged, of a newer version or of another architecture.
        """
        parts = weights.load(name)
        networks = parts.codec, parts.depth_model, parts.denoiser
        return cls(*networks, parts.denoiser_steps, str(name), recognition=parts.recognition)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folder that ``from_pretrained`` reads."""
        networks = self.codec, self.depth_model, self.denoiser
        weights.save(weights.Parts(*networks, self.denoiser_steps, self.recognition), Path(folder))

    @torch.no_grad()
    def start(
        self,
        image: Any,
        hfov: float = 90.0,
        depth: Any = None,
        pose: Any = None,
        seed: int = 0,
        *,
        camera_height: float | None = None,
        frame_hfov: float | None = None,
        resolution: int = 128,
    ) -> WorldState:
        """A world that knows one view.

        Args:
            image: (H, W, 3) uint8, a PIL image or a file name.
            hfov: horizontal field of view of the image in degrees.
            depth: z-depth (H, W) in metres of the image, 0 = unknown; None: estimated from the latents.
            pose: T_world_camera (4, 4) of the image; None: level, ``camera_height`` (1.25 m) above the origin, facing
                -Z.
            seed: decides all that will be imagined.
            camera_height: metres of the camera above the floor. When given, an estimated depth is scaled so that the
                floor it sees lies there, and so is what is imagined later.
            frame_hfov: field of view of the frames to come in degrees; None: that of the image.
            resolution: width and height of the frames to come in pixels, a multiple of the codec's stride.

        Raises:
            FileNotFoundError, TypeError, ValueError: one sentence on what is wrong with an argument.
        """
        geometry.check_hfov(hfov)
        frame_hfov = hfov if frame_hfov is None else frame_hfov
        geometry.check_hfov(frame_hfov)
        stride = self.codec.stride
        if not isinstance(resolution, (int, np.integer)) or resolution < 4 * stride or resolution % stride:
            raise ValueError(f"resolution must be a multiple of {stride}, at least {4 * stride}, got {resolution!r}")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"seed must be a whole number, got {seed!r}")
        if camera_height is not None and not 0.05 <= camera_height <= 10:
            raise ValueError(f"camera_height must lie between 0.05 and 10 metres, got {camera_height}")
        height = DEFAULT_CAMERA_HEIGHT if camera_height is None else camera_height
        pose = geometry.camera_pose((0.0, 0.0, 0.0), 0.0, height) if pose is None else pose
        blank = WorldState(
            memory=self.new_memory(),
            pose=np.eye(4, dtype=np.float32),
            latents=torch.zeros(0, device=self.device),
            intrinsics=geometry.intrinsics(resolution, resolution, frame_hfov),
            resolution=(int(resolution), int(resolution)),
            seed=int(seed),
            scale=height / DEFAULT_CAMERA_HEIGHT,
            codec=self.codec_fingerprint,
        )
        return self._observe(blank, image, pose, depth, hfov, camera_height)

    @torch.no_grad()
    def observe(
        self, state: WorldState, image: Any, pose: Any, depth: Any = None, hfov: float | None = None
    ) -> WorldState:
        """Add what a camera saw from ``pose``; see ``start``. ``hfov`` is that of the image; None: that of the frames.

        What was imagined before does not keep the image out; where both lie on one surface, a read shows what the
        camera saw.
        """
        self.check_fits(state)
        if hfov is None:
            hfov = float(np.degrees(2 * np.arctan(state.resolution[1] / 2 / state.intrinsics[0, 0])))
        geometry.check_hfov(hfov)
        return self._observe(state, image, pose, depth, hfov, None)

    def _observe(
        self, state: WorldState, image: Any, pose: Any, depth: Any, hfov: float, camera_height: float | None
    ) -> WorldState:
        pose = _one_pose(pose)
        pixels = load_image(image)
        true_depth = None if depth is None else load_depth(depth, pixels.shape[:2])
        # The image is brought to the angular resolution of the frames, which is what the networks know.
        original = geometry.intrinsics(pixels.shape[1], pixels.shape[0], hfov)
        pixels, K = resize_image(pixels, original, float(state.intrinsics[0, 0]), self.codec.stride)
        grid_K = self._grid(K)
        latents = as_kept(self.codec.encode(from_uint8(pixels[None]).to(self.device)))
        memory, scale = state.memory.fork(), state.scale
        if true_depth is not None:
            true_depth = resize_depth(true_depth, (pixels.shape[0], pixels.shape[1]))
            grid_depth = depths.to_grid(torch.as_tensor(true_depth, device=self.device)[None], self.codec.stride)[0]
            error = None
        else:
            known = memory.read(pose, grid_K, size=tuple(latents.shape[-2:])).depth / scale
            estimate = self.depth_model.estimate(
                latents, torch.as_tensor(grid_K, dtype=torch.float32, device=self.device)[None], known
            )
            grid_depth, error = estimate.depth[0] * scale, estimate.relative_error[0]
            if camera_height is not None:
                floor = floor_scale(grid_depth.cpu(), torch.as_tensor(grid_K), torch.as_tensor(pose), camera_height)
                grid_depth, scale = (grid_depth * floor, scale * floor) if floor is not None else (grid_depth, scale)
        pictures = {"image": pixels, "image_depth": true_depth} if takes_images(memory) else {}
        memory.write(latents[0], grid_depth, grid_K, pose, error=error, **pictures)
        own = tuple(latents.shape[-2:]) == self._grid_size(state) and np.allclose(K, state.intrinsics, rtol=1e-6)
        shown = latents[0] if own else torch.zeros(0, device=self.device)
        return dataclasses.replace(state, memory=memory, pose=pose, latents=shown, scale=scale)

    @torch.no_grad()
    def encode(self, image: Array) -> Array:
        """Latents (C, h, w) float32 of an image (H, W, 3) uint8 whose sides are multiples of the codec's stride."""
        return as_kept(self.codec.encode(from_uint8(np.array(image[None])).to(self.device)))[0].cpu().numpy()

    @torch.no_grad()
    def estimate_depth(self, latents: Array, intrinsics: Array, camera_height: float) -> tuple[Array, Array]:
        """Depth (h, w) in metres and its expected relative error (h, w), from latents (C, h, w) alone.

        Args:
            latents: of a level camera's view.
            intrinsics: of their grid (3, 3).
            camera_height: metres above the floor.
        """
        seen = torch.as_tensor(latents, device=self.device)[None]
        K = torch.as_tensor(intrinsics, dtype=torch.float32, device=self.device)[None]
        depth, error = self.depth_model.estimate(seen, K, torch.zeros_like(seen[:, 0]))
        return (depth[0] * (camera_height / DEFAULT_CAMERA_HEIGHT)).cpu().numpy(), error[0].cpu().numpy()

    def step(
        self, state: WorldState, pose: Any, imagine: Imagine = "new", threshold: float = 0.0
    ) -> tuple[WorldState, Frame]:
        """The world seen from ``pose`` (4, 4), and the state that remembers it; a batch of one."""
        states, frames = self.step_batch([state], _one_pose(pose)[None], imagine, threshold)
        return states[0], frames[0]

    @torch.no_grad()
    def step_batch(
        self, states: Sequence[WorldState], poses: Any, imagine: Imagine = "new", threshold: float = 0.0
    ) -> tuple[list[WorldState], list[Frame]]:
        """The worlds seen from their poses (B, 4, 4); one pass of each network serves all that need it.

        What the memories show, and what compiled networks add to it, is the same as in single steps, bit for bit. Other
        networks may differ in the last bits (about 1e-6), because convolutions round differently for other batch sizes.
        Where one state is named several times with one pose, its step is made once, and its results are the same
        objects.

        Args:
            states: B worlds with cameras of one resolution.
            poses: T_world_camera (B, 4, 4).
            imagine: ``"new"`` imagines the cells that the memory does not show; ``"always"`` shows the denoiser's
                version of the whole view, and remembers the same cells; ``"never"`` leaves unseen cells empty and
                writes nothing.
            threshold: with ``"new"``, the share of unseen cells up to which a view is left as it is.
        """
        poses = geometry.check_pose(poses, "poses").astype(np.float32)
        if imagine not in get_args(Imagine):
            raise ValueError(f"imagine must be one of {', '.join(get_args(Imagine))}, got {imagine!r}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold is a share of cells, from 0 to 1, got {threshold!r}")
        if len(states) == 0 or poses.shape != (len(states), 4, 4):
            raise ValueError(f"step_batch needs one 4x4 pose per state: got {len(states)} states, poses {poses.shape}")
        for state in states:
            self.check_fits(state)
        sizes = {self._grid_size(state) for state in states}
        if len(sizes) != 1:
            raise ValueError(f"all states of a batch need one resolution, got {sorted(s.resolution for s in states)}")
        # A planner steps forks of one world, many of them alike: what follows from the same is the same.
        steps = [(id(state), pose.tobytes()) for state, pose in zip(states, poses, strict=True)]
        first = {step: i for i, step in reversed([*enumerate(steps)])}
        if len(first) < len(steps):
            some = [*first.values()]
            made = self.step_batch([states[i] for i in some], poses[some], imagine, threshold)
            results = dict(zip(first, zip(*made, strict=True), strict=True))
            after, frames = zip(*(results[step] for step in steps), strict=True)
            return [*after], [*frames]
        with threads([state.memory for state in states]):
            return self._stepped(states, poses, imagine, threshold)

    def _stepped(
        self, states: Sequence[WorldState], poses: Array, imagine: Imagine, threshold: float
    ) -> tuple[list[WorldState], list[Frame]]:
        """``step_batch``, of what fits together and is asked for once."""
        grid_K = np.stack([self._grid(state.intrinsics) for state in states])
        size = self._grid_size(states[0])
        shown = view = read_many([state.memory for state in states], poses, grid_K, size=size)
        if imagine != "never" and self.look_ahead > 0:
            angle = math.radians(self.look_ahead)
            states, view = looked_ahead(self._networks, states, poses, grid_K, view, angle, threshold)
        whole = completed(self._networks, states, poses, grid_K, view, imagine, threshold)
        sampling = _sampling(view, whole.latents, view.visible & (imagine != "always"))
        new_states, frames = [], []
        for i, state in enumerate(states):
            frames.append(
                Frame(
                    latents=whole.latents[i],
                    memory=shown.latents[i],
                    visible=shown.visible[i],
                    imagined=whole.imagined[i],
                    grid_depth=whole.depth[i],
                    pose=poses[i],
                    stride=self.codec.stride,
                    decode=self.codec.decode,
                    sampling=None if sampling is None else Sampling(*(grid[i] for grid in sampling)),
                )
            )
            memory, latents, steps = whole.memories[i], whole.latents[i], state.steps + 1
            new_states.append(dataclasses.replace(state, memory=memory, pose=poses[i], latents=latents, steps=steps))
        return new_states, frames

    @torch.no_grad()
    def frame(self, state: WorldState) -> Frame:
        """The state's last view once more, without a step: right after ``start`` it is the camera's own image, encoded.

        ``memory`` and ``visible`` are what the memory shows now. Cells that a step left empty stay empty.

        ValueError if the last view came from a camera unlike that of the frames; ``step`` to its pose instead.
        """
        if tuple(state.latents.shape[-2:]) != self._grid_size(state):
            raise ValueError("the last image came from a camera unlike that of the frames: step to its pose to see it")
        K = self._grid(state.intrinsics)
        view = state.memory.read(state.pose, K, size=self._grid_size(state))
        depth = view.depth
        unknown = ~view.visible & (state.latents != 0).any(0)
        if bool(unknown.any()):
            lens = torch.as_tensor(K, dtype=torch.float32, device=self.device)[None]
            estimate = self.depth_model.estimate(state.latents[None], lens, depth / state.scale)
            depth = torch.where(unknown, estimate.depth * state.scale, depth)
        as_read = view.visible & (view.latents == state.latents).all(1)
        sampling = _sampling(view, state.latents[None], as_read)
        return Frame(
            latents=state.latents,
            memory=view.latents[0],
            visible=view.visible[0],
            imagined=view.imagined[0],
            grid_depth=depth[0],
            pose=state.pose,
            stride=self.codec.stride,
            decode=self.codec.decode,
            sampling=None if sampling is None else Sampling(*(grid[0] for grid in sampling)),
        )

    @property
    def _networks(self) -> Networks:
        return Networks(self.depth_model, self.denoiser, self.denoiser_steps)

    def check_fits(self, state: WorldState) -> None:
        """Raise ValueError unless this model can go on from the state."""
        if state.memory.channels != self.codec.channels:
            raise ValueError(
                f"the state's latents have {state.memory.channels} channels, those of model {self.name!r} "
                f"{self.codec.channels}: it comes from another model"
            )
        if state.codec and state.codec != self.codec_fingerprint:
            raise ValueError(
                f"the state's latents were made by another codec than that of model {self.name!r}; go on with the "
                "model that began it"
            )

    def _grid(self, K: Array) -> Array:
        return geometry.scale_intrinsics(K, 1 / self.codec.stride)

    def _grid_size(self, state: WorldState) -> tuple[int, int]:
        return state.resolution[0] // self.codec.stride, state.resolution[1] // self.codec.stride


def device_of(codec: Any) -> torch.device:
    """Where a codec's weights are; the CPU for one that has none."""
    weights = codec.parameters() if isinstance(codec, torch.nn.Module) else ()
    return next((weight.device for weight in weights), torch.device("cpu"))


def _one_pose(pose: Any) -> Array:
    checked = geometry.check_pose(pose)
    if checked.shape != (4, 4):
        raise ValueError(f"pose must be one 4x4 matrix T_world_camera, got shape {checked.shape}")
    return checked.astype(np.float32)


def _sampling(view: MemoryView, latents: Tensor, as_read: Tensor) -> Sampling | None:
    """How latents (B, C, h, w) were read, in cells (B, h, w) that show the memory's; the others stand as they are."""
    if view.nearest is None or view.offset is None:
        return None
    return Sampling(torch.where(as_read[:, None], view.nearest, latents), view.offset * as_read[:, None])
