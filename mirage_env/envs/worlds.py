"""Simulators by name, and the few things in which an imagined world differs from a true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mirage_env import geometry
from mirage_env.envs.observations import Layout
from mirage_env.envs.options import ResetOptions
from mirage_env.geometry import Array
from mirage_env.simulators.base import Camera, Simulator, View
from mirage_env.simulators.rooms.splits import SPLITS
from mirage_env.simulators.tour import Tour
from mirage_env.tasks.goal_place import Picture, picture_in

if TYPE_CHECKING:
    from mirage_env.simulators.imagined import ImaginedSimulator
    from mirage_env.world import WorldModel

SIMULATORS = ("mirage", "rooms", "mesh", "habitat")
TRUE = ("rooms", "mesh", "habitat")
"""Simulators that imagined worlds can start from."""
MAX_START_VIEWS = 8
IMAGINE = ("always", "new", "never")
START_DEPTHS = ("estimated", "true")
OBSTACLES = ("all", "sure", "seen")
AGENT_RADIUS = 0.18
"""Metres."""
COLOUR_SAMPLES = 4
"""Per pixel of a true view: antialiased, like the views that the bundled model was trained on."""


def make_simulator(
    simulator: str | Simulator,
    *,
    scenes: Any,
    model: str | Path | WorldModel,
    imagine: str,
    resolution: int,
    hfov: float,
    camera_height: float,
    allow_sliding: bool,
    start_depth: str,
    latents: bool,
    memory: bool,
    movers: int = 0,
    start_from: str = "rooms",
    num_start_views: int = 1,
    obstacles: str = "all",
    imagine_threshold: float = 0.0,
    tour: int | Tour = 0,
    up: str | Sequence[float] | None = None,
    habitat: Mapping[str, Any] | None = None,
) -> Simulator:
    """The simulator that ``make`` describes.

    Args:
        simulator: a name or an object, which comes back as it is, or in a ``RememberingSimulator`` if need be.
        latents: whether views must carry latents.
        memory: whether views must carry memory and visible.
        movers: how many move in each true home.
        start_from, num_start_views, obstacles, imagine_threshold, tour, up, habitat: as ``make`` has them.
    """
    _check_names(simulator, imagine, start_depth)
    _check_start(start_from, num_start_views)
    if obstacles not in OBSTACLES:
        raise ValueError(f"unknown obstacles {obstacles!r}; valid are {', '.join(OBSTACLES)}")
    if isinstance(imagine_threshold, bool) or not isinstance(imagine_threshold, int | float):
        raise TypeError(f"imagine_threshold must be a number from 0 to 1, got {imagine_threshold!r}")
    if not 0 <= imagine_threshold <= 1:
        raise ValueError(f"imagine_threshold is a share of cells, from 0 to 1, got {imagine_threshold!r}")
    tour_through = make_tour(tour)
    if not isinstance(simulator, str):
        if movers:
            raise ValueError("movers are made for simulators by name; give them to your own: RoomsSimulator(movers=2)")
        return _remembering(simulator, model, memory) if latents and world_of(simulator) is None else simulator
    camera = _camera(resolution, hfov, camera_height)
    name = start_from if simulator == "mirage" else simulator
    true = _true(name, scenes, camera, allow_sliding, movers, up, habitat)
    if simulator != "mirage":
        return _remembering(true, model, memory) if latents else true
    from mirage_env.simulators.imagined import ImaginedSimulator

    world = _load(model)
    _check_stride(resolution, world.codec.stride)
    return cast(
        Simulator,
        ImaginedSimulator(
            world,
            true,
            camera=camera,
            agent_radius=AGENT_RADIUS,
            allow_sliding=allow_sliding,
            imagine=cast(Any, imagine),
            start_depth=cast(Any, start_depth),
            num_start_views=num_start_views,
            obstacles=cast(Any, obstacles),
            imagine_threshold=imagine_threshold,
            tour=tour_through,
        ),
    )


def make_tour(tour: int | Tour) -> Tour | None:
    """The tour of so many places, None for 0; a ``Tour`` as it is. ValueError for what is neither."""
    if isinstance(tour, Tour):
        return tour
    return None if tour == 0 and not isinstance(tour, bool) else Tour(tour)


def _true(
    name: str,
    scenes: Any,
    camera: Camera,
    allow_sliding: bool,
    movers: int,
    up: str | Sequence[float] | None,
    habitat: Mapping[str, Any] | None,
) -> Simulator:
    if up is not None and name != "mesh":
        raise ValueError('up is the axis of scene files; leave it out unless the simulator or start_from is "mesh"')
    if habitat is not None and name != "habitat":
        raise ValueError('habitat options are of habitat-sim; the simulator or start_from must be "habitat" with them')
    if name == "rooms":
        from mirage_env.simulators.rooms.simulator import RoomsSimulator

        return RoomsSimulator(scenes, camera, AGENT_RADIUS, allow_sliding, samples=COLOUR_SAMPLES, movers=movers)
    if movers:
        raise ValueError(f"nobody moves in scene files: movers must be 0 with {name!r}, got {movers}")
    if isinstance(scenes, str) and scenes in SPLITS:
        raise ValueError(f"scenes must name scene files with {name!r}, such as scenes='home.glb', got {scenes!r}")
    if name == "habitat":
        from mirage_env.simulators.habitat import make_habitat

        return make_habitat(scenes, camera, AGENT_RADIUS, allow_sliding, **(habitat or {}))
    from mirage_env.simulators.mesh.simulator import MeshSimulator

    return MeshSimulator(scenes, camera, AGENT_RADIUS, allow_sliding, samples=1, up=up)


def is_imagined(simulator: Simulator) -> bool:
    """Whether the world is imagined, so that it can begin with an image."""
    return hasattr(simulator, "source")


def episode_source(simulator: Simulator) -> Simulator | None:
    """The simulator in whose scenes episodes are sampled: itself, or the true one, if any, behind an imagined one."""
    return getattr(simulator, "source", simulator)


def world_of(simulator: Simulator) -> WorldModel | None:
    """The model that gives the simulator's views their latents, if any does."""
    world = getattr(simulator, "world", None)
    return world if hasattr(world, "codec") else None


def seed_imagination(simulator: Simulator, seed: int) -> None:
    """Let this seed decide what is imagined from the next reset on; nothing in a true world."""
    if is_imagined(simulator):
        cast("ImaginedSimulator", simulator).seed = seed


def begin_with_image(simulator: Simulator, asked: ResetOptions, camera: Camera) -> View:
    """Begin an imagined world with the image of the options, taken by ``camera`` where they say nothing else."""
    from mirage_env.simulators.imagined import StartView

    hfov = camera.hfov if asked.hfov is None else asked.hfov
    return simulator.reset(StartView(asked.image, hfov, asked.depth, asked.pose, camera.height))


def layout_of(simulator: Simulator) -> Layout:
    """The sizes of observations in this simulator."""
    world, resolution = world_of(simulator), simulator.camera.resolution
    if world is None:
        return Layout(resolution)
    channels, grid, recognition = int(world.codec.channels), resolution // int(world.codec.stride), world.recognition
    if recognition is None:
        return Layout(resolution, channels, grid, world.encode)

    def surfaces(image: Array) -> Picture:
        return picture_in(world, image, simulator.camera)

    return Layout(resolution, channels, grid, world.encode, recognition, surfaces)


def _check_names(simulator: Any, imagine: str, start_depth: str) -> None:
    if isinstance(simulator, str):
        if simulator not in SIMULATORS:
            raise ValueError(
                f"unknown simulator {simulator!r}; valid are {', '.join(SIMULATORS)} or a Simulator object"
            )
    elif not isinstance(simulator, Simulator):
        raise TypeError(
            f"simulator must be {', '.join(SIMULATORS)} or a Simulator object, got {type(simulator).__name__}"
        )
    if imagine not in IMAGINE:
        raise ValueError(f"unknown imagine {imagine!r}; valid are {', '.join(IMAGINE)}")
    if start_depth not in START_DEPTHS:
        raise ValueError(f"unknown start_depth {start_depth!r}; valid are {', '.join(START_DEPTHS)}")


def _check_start(start_from: Any, num_start_views: Any) -> None:
    if start_from not in TRUE:
        raise ValueError(f"unknown start_from {start_from!r}; imagined worlds start from {' or '.join(TRUE)}")
    whole = isinstance(num_start_views, int) and not isinstance(num_start_views, bool)
    if not whole or not 1 <= num_start_views <= MAX_START_VIEWS:
        raise ValueError(f"num_start_views must be a whole number from 1 to {MAX_START_VIEWS}, got {num_start_views!r}")


def _camera(resolution: int, hfov: float, camera_height: float) -> Camera:
    if not isinstance(resolution, int) or not 16 <= resolution <= 4096:
        raise ValueError(f"resolution must be an integer from 16 to 4096 pixels, got {resolution!r}")
    geometry.check_hfov(hfov)
    if not 0.05 <= camera_height <= 10:
        raise ValueError(f"camera_height must lie between 0.05 and 10 metres, got {camera_height}")
    return Camera(resolution, float(hfov), float(camera_height))


def _check_stride(resolution: int, stride: int) -> None:
    if resolution % stride or resolution < 4 * stride:
        raise ValueError(
            f"this model needs a resolution that is a multiple of {stride}, at least {4 * stride}, got {resolution}"
        )


def _load(model: str | Path | WorldModel) -> WorldModel:
    from mirage_env.world import WorldModel

    if isinstance(model, WorldModel):
        return model
    if not isinstance(model, str | Path):
        raise TypeError(f"model must be a name, a folder or a WorldModel, got {type(model).__name__}")
    return WorldModel.from_pretrained(model)


def _remembering(simulator: Simulator, model: str | Path | WorldModel, memory: bool) -> Simulator:
    from mirage_env.simulators.remembering import RememberingSimulator

    world = _load(model)
    _check_stride(simulator.camera.resolution, world.codec.stride)
    return cast(Simulator, RememberingSimulator(simulator, world, write_memory=memory))
