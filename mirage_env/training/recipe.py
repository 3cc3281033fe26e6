"""The recipe of the tiny model, stage by stage.

codec      latents that survive being warped
readouts   what they look like through the memory
denoiser   the view, from what the memory shows and a sketch of the truth
sketch     what is there that the memory does not show, coarsely
distil     the same in one step
depth      from latents, also from those that the denoiser draws
decoder    the codec's decoder goes on alone: sharper pictures from the same latents, at any time after the codec
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mirage_env.files import atomic_write, writable_folder
from mirage_env.models import weights
from mirage_env.models.tiny import TinyCodec, TinyDenoiser, TinyDepth
from mirage_env.models.weights import Parts
from mirage_env.training.codec import codec_losses, validate_codec
from mirage_env.training.denoiser import (
    denoiser_losses,
    distillation_losses,
    sketch_losses,
    validate_denoiser,
    validate_sketch,
)
from mirage_env.training.depth import depth_losses, validate_depth
from mirage_env.training.frames import Trajectories
from mirage_env.training.loop import Losses, Settings, load_average, train
from mirage_env.training.readouts import Readouts, make_readouts, saved_source

STAGES = ("codec", "readouts", "denoiser", "sketch", "distil", "depth", "decoder")
TUNED = ("codec", "readouts", "denoiser", "depth")
"""The stages that tune a trained model to other scenes, see ``Recipe.fine_tuning``."""
_NEEDS_VIEWS = {"codec", "readouts", "decoder"}


Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, besides the data.

    Attributes:
        max_gap: of the pairs of views that the codec learns from, in frames.
        warp_weight, decoder_warp_weight: of warped against plain reconstruction, in the stages of codec and decoder.
        soft_weight: in the decoder's stage, of smoothed latents that decode to smoothed images.
        readouts_per_episode: views kept of each trajectory.
        sketch_width, sketch_blocks, sketch_steps: see ``TinyDenoiser``; after the stage "distil" one step is taken.
        teacher_steps: that the stage "distil" learns to take at once.
    """

    channels: int = 16
    codec_widths: tuple[int, ...] = (48, 96)
    codec_blocks: tuple[int, ...] = (1, 3)
    depth_widths: tuple[int, ...] = (64, 96, 160)
    denoiser_widths: tuple[int, ...] = (96, 144, 192)
    sketch_width: int = 192
    sketch_blocks: int = 5
    sketch_steps: int = 4
    teacher_steps: int = 8
    denoiser_steps: int = 1
    max_gap: int = 12
    warp_weight: float = 6.0
    decoder_warp_weight: float = 2.5
    soft_weight: float = 1.0
    readouts_per_episode: int = 16
    codec: Settings = field(default_factory=lambda: Settings(steps=12_000, batch=12, learning_rate=1e-3))
    depth: Settings = field(default_factory=lambda: Settings(steps=6_000, batch=24, learning_rate=1e-3))
    sketch: Settings = field(default_factory=lambda: Settings(steps=12_000, batch=48, learning_rate=1e-3))
    distil: Settings = field(default_factory=lambda: Settings(steps=3_000, batch=48, learning_rate=3e-4))
    denoiser: Settings = field(default_factory=lambda: Settings(steps=10_000, batch=24, learning_rate=1e-3))
    decoder: Settings = field(default_factory=lambda: Settings(steps=3_000, batch=8, learning_rate=5e-4))

    @classmethod
    def fine_tuning(cls, start: Parts) -> Recipe:
        """Of a trained model's networks, which go on for a tenth of the time at a fifth of the rate."""
        codec, depth, denoiser = start.codec, start.depth_model, start.denoiser
        if not (isinstance(codec, TinyCodec) and isinstance(depth, TinyDepth) and isinstance(denoiser, TinyDenoiser)):
            raise TypeError("training goes on from models of tiny networks, such as the bundled one")
        return cls(
            channels=codec.config["channels"],
            codec_widths=tuple(codec.config["widths"]),
            codec_blocks=tuple(codec.config["blocks"]),
            depth_widths=tuple(depth.config["widths"]),
            denoiser_widths=tuple(denoiser.config["widths"]),
            sketch_width=denoiser.config["sketch_width"],
            sketch_blocks=denoiser.config["sketch_blocks"],
            denoiser_steps=start.denoiser_steps,
            codec=Settings(steps=700, batch=8, learning_rate=2e-4, average=0.99),
            depth=Settings(steps=400, batch=24, learning_rate=2e-4, average=0.99),
            sketch=Settings(steps=1_200, batch=48, learning_rate=2e-4, average=0.99),
            distil=Settings(steps=300, batch=48, learning_rate=1e-4, average=0.99),
            denoiser=Settings(steps=600, batch=24, learning_rate=2e-4, average=0.99),
            decoder=Settings(steps=600, batch=8, learning_rate=2e-4, average=0.99),
        )

    def overridden_by(self, path: str | Path) -> Recipe:
        """The same but for what a JSON file of these fields names; unknown names are refused."""
        try:
            given: dict[str, Any] = json.loads(Path(path).read_text())
        except ValueError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error
        return _override(self, given)

    def save(self, path: Path) -> None:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(dataclasses.asdict(self), indent=1))


def _override(default: Any, given: Any) -> Any:
    names = [f.name for f in dataclasses.fields(default)]
    if not isinstance(given, dict):
        raise ValueError(f"training settings must be a JSON object with names among {', '.join(names)}, got {given!r}")
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in names:
            raise ValueError(f"unknown training setting {name!r}; known are {', '.join(names)}")
        present = getattr(default, name)
        if dataclasses.is_dataclass(present):
            changes[name] = _override(present, value)
        elif isinstance(present, tuple):
            if not (isinstance(value, list) and value and all(type(v) is int and v > 0 for v in value)):
                raise ValueError(f"the training setting {name} must be a list of whole numbers above 0, got {value!r}")
            changes[name] = tuple(value)
        else:
            wanted = (int, float) if isinstance(present, float) else (type(present),)
            if type(value) not in wanted:
                raise ValueError(f"the training setting {name} must be a {wanted[-1].__name__}, got {value!r}")
            changes[name] = value
    return dataclasses.replace(default, **changes)


def train_stages(
    data: Path | Sequence[Path],
    validation: Path | Sequence[Path],
    out: Path,
    recipe: Recipe,
    stages: tuple[str, ...] = STAGES,
    minutes: float = math.inf,
    limit: int | None = None,
    start: Parts | None = None,
) -> None:
    """Run stages in order, each going on from its checkpoint in ``out``; write ``out/model`` when all parts are there.

    Args:
        data, validation: folders of shards, from disjoint scenes.
        minutes: of wall time for this call; a later call goes on.
        limit: at most so many trajectories of each folder.
        start: a model whose networks go on, see ``Recipe.fine_tuning``; those of stages that do not run stay as they
            are. None: networks begin anew.
    """
    unknown = set(stages) - set(STAGES)
    if unknown:
        raise ValueError(f"unknown stage {min(unknown)!r}; stages are {', '.join(STAGES)}")
    writable_folder(out)
    recipe.save(out / "recipe.json")
    deadline = time.monotonic() + 60 * minutes
    torch.manual_seed(recipe.codec.seed)
    run = _Run(recipe, out, torch.device("cuda" if torch.cuda.is_available() else "cpu"), deadline, start)
    if _NEEDS_VIEWS & set(stages):
        height = TinyDepth.canonical_height
        views, held_out = Trajectories(data, height, limit), Trajectories(validation, height)
    if "codec" in stages:
        codec = run.new_codec().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        losses = codec_losses(views, recipe.codec.batch, recipe.max_gap, recipe.warp_weight, device=run.device)
        run.train(codec, losses, recipe.codec, "codec", lambda m: validate_codec(m, held_out))
        if run.over:
            return
    codec = run.codec(views if _NEEDS_VIEWS & set(stages) else None)
    if "readouts" in stages:
        for name, part, seed in (("readouts-val", held_out, 1), ("readouts", views, 0)):
            source = f"{_fingerprint(part.poses, codec)}, {recipe.readouts_per_episode} per trajectory"
            if saved_source(out / f"{name}.safetensors") != source:
                samples = make_readouts(part, codec, recipe.readouts_per_episode, seed)
                samples.save(out / f"{name}.safetensors", source)
    for stage in ("denoiser", "sketch", "distil", "depth"):
        if stage in stages and not run.over:
            getattr(run, stage)(run.samples())
    if "decoder" in stages and not run.over:
        run.decoder(codec, views, held_out)
    run.finish(codec)


class _Run:
    """One folder of checkpoints, and the time that is left for it."""

    def __init__(
        self, recipe: Recipe, out: Path, device: torch.device, deadline: float, start: Parts | None = None
    ) -> None:
        self.recipe, self.out, self.device, self.deadline, self.start = recipe, out, device, deadline, start

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.deadline

    def train(
        self,
        model: nn.Module,
        losses: Callable[[nn.Module, torch.Generator], Losses],
        settings: Settings,
        stage: str,
        validate: Callable[[nn.Module], dict[str, float]],
    ) -> None:
        left = (self.deadline - time.monotonic()) / 60
        train(model.to(self.device), losses, settings, self.out / stage, left, validate)

    def new_codec(self) -> TinyCodec:
        """The codec before training."""
        if self.start is not None:
            return _going_on(self.start.codec)
        return TinyCodec(self.recipe.channels, self.recipe.codec_widths, self.recipe.codec_blocks)

    def codec(self, views: Trajectories | None) -> TinyCodec:
        """The trained codec, with the mean and deviation of its latents over training rooms, on the CPU."""
        codec = self.new_codec()
        if self.start is not None and not self._trained("codec"):
            return codec
        load_average(codec, self.out / "codec")
        path = self.out / "codec" / "statistics.pt"
        trained = _fingerprint(codec.decoder[0].weight)  # type: ignore[arg-type]
        known = torch.load(path, weights_only=True) if path.is_file() else {}
        if known.get("codec") != trained:
            if views is None:
                raise FileNotFoundError(f"there is no {path} of this codec: run the training stage 'readouts' first")
            codec.fit_statistics(views.sample(256, torch.Generator().manual_seed(0)).rgb)
            known = {"codec": trained, "mean": codec.mean, "deviation": codec.deviation}
            with atomic_write(path) as temporary:
                torch.save(known, temporary)
        codec.mean.copy_(known["mean"])
        codec.deviation.copy_(known["deviation"])
        return codec

    def samples(self) -> tuple[Readouts, Readouts]:
        """Training and validation samples."""
        training, validation = (Readouts.load(self.out / f"readouts{which}.safetensors") for which in ("", "-val"))
        return training, validation

    def denoiser(self, samples: tuple[Readouts, Readouts]) -> None:
        model, settings = self._denoiser(), self.recipe.denoiser
        assert model.sketch is not None
        if self.start is None:  # else the sketch goes on in the units that it knows
            model.sketch.deviation.copy_(model.sketch.of(samples[0].spread(1024).latents).std((0, 2, 3)))
        model.sketch.requires_grad_(False)
        losses = denoiser_losses(samples[0], settings.batch, device=self.device)
        self.train(model, losses, settings, "denoiser", lambda m: validate_denoiser(m, samples[1]))

    def sketch(self, samples: tuple[Readouts, Readouts]) -> None:
        denoiser, settings = self._drawing(), self.recipe.sketch
        assert denoiser.sketch is not None
        model = copy.deepcopy(denoiser.sketch).requires_grad_(True)
        losses = sketch_losses(samples[0], settings.batch, denoiser, device=self.device)
        self.train(model, losses, settings, "sketch", lambda m: validate_sketch(m, samples[1]))

    def distil(self, samples: tuple[Readouts, Readouts]) -> None:
        denoiser, settings = self._drawing(), self.recipe.distil
        teacher = denoiser.sketch
        assert teacher is not None
        load_average(teacher, self.out / "sketch")
        student, steps = copy.deepcopy(teacher).requires_grad_(True), self.recipe.teacher_steps
        losses = distillation_losses(teacher, steps, samples[0], settings.batch, denoiser, device=self.device)
        self.train(student, losses, settings, "distil", lambda m: validate_sketch(m, samples[1]))

    def depth(self, samples: tuple[Readouts, Readouts]) -> None:
        model, denoiser, settings = self._depth_model(None), self._drawing(), self.recipe.depth
        losses = depth_losses(samples[0], settings.batch, denoiser, device=self.device)
        self.train(model, losses, settings, "depth", lambda m: validate_depth(m, samples[1], denoiser))

    def decoder(self, codec: TinyCodec, views: Trajectories, held_out: Trajectories) -> None:
        model, settings = copy.deepcopy(codec).to(memory_format=torch.channels_last), self.recipe.decoder  # type: ignore[call-overload]
        model.requires_grad_(False).decoder.requires_grad_(True)
        gap, warped, soft = self.recipe.max_gap, self.recipe.decoder_warp_weight, self.recipe.soft_weight
        losses = codec_losses(views, settings.batch, gap, warped, soft_weight=soft, device=self.device)
        self.train(model, losses, settings, "decoder", lambda m: validate_codec(m, held_out))

    def finish(self, codec: TinyCodec) -> None:
        """Write the model of the latest parts, if all are there."""
        if self._trained("decoder"):
            codec = self._with_tuned_decoder(codec)
        if self.start is not None or all(self._trained(stage) for stage in ("denoiser", "sketch", "depth")):
            depth, denoiser = self._depth_model("depth").cpu(), self._finished_denoiser().cpu()
            weights.save(weights.Parts(codec, depth, denoiser, self.recipe.denoiser_steps), self.out / "model")

    def _trained(self, stage: str) -> bool:
        return (self.out / stage / "checkpoint.pt").exists()

    def _with_tuned_decoder(self, codec: TinyCodec) -> TinyCodec:
        """The codec with the decoder of the stage "decoder", if that went on from this codec."""
        tuned = load_average(copy.deepcopy(codec), self.out / "decoder")
        assert isinstance(tuned, TinyCodec)
        return tuned if _fingerprint(tuned.encoder) == _fingerprint(codec.encoder) else codec

    def _depth_model(self, stage: str | None) -> TinyDepth:
        if self.start is not None:
            model = _going_on(self.start.depth_model)
        else:
            torch.manual_seed(self.recipe.depth.seed)  # so that a stage starts alike, whatever ran before it
            model = TinyDepth(self.recipe.channels, self.recipe.depth_widths)
        return self._latest(model, stage) if stage else model

    def _denoiser(self) -> TinyDenoiser:
        if self.start is not None:
            return _going_on(self.start.denoiser)
        torch.manual_seed(self.recipe.denoiser.seed)
        recipe = self.recipe
        return TinyDenoiser(
            recipe.channels,
            recipe.denoiser_widths,
            sketch_width=recipe.sketch_width,
            sketch_blocks=recipe.sketch_blocks,
            sketch_steps=1 if self._trained("distil") else recipe.sketch_steps,
        )

    def _drawing(self) -> TinyDenoiser:
        """The trained denoiser, whose sketch may not be trained, to draw with while others learn."""
        model = self._latest(self._denoiser(), "denoiser")
        nn.Module.to(model, self.device).requires_grad_(False)
        return model

    def _finished_denoiser(self) -> TinyDenoiser:
        model = self._drawing()
        assert model.sketch is not None
        self._latest(model.sketch, "distil" if self._trained("distil") else "sketch")
        return model

    def _latest(self, model: Network, stage: str) -> Network:
        """``model`` with what the stage learned; as it is where that goes on from a model and has not run."""
        if self.start is None or self._trained(stage):
            load_average(model, self.out / stage)
        return model.eval()


def _going_on(part: Any) -> Any:
    """A copy of a trained network that can learn."""
    return copy.deepcopy(part).requires_grad_(True)


def _fingerprint(*things: nn.Module | Tensor) -> str:
    """Tells networks and sets of trajectories apart."""
    digest = hashlib.sha256()
    for thing in things:
        for value in thing.state_dict().values() if isinstance(thing, nn.Module) else (thing,):
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
