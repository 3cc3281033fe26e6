"""Environments from the arguments of ``gymnasium.make``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirage_env.envs.actions import make_actions
from mirage_env.envs.checks import check_actions_fit, check_max_episode_steps, check_render_mode
from mirage_env.envs.navigation import NavigationEnv
from mirage_env.envs.observations import LATENT_KEYS, MEMORY_KEYS, check_keys
from mirage_env.envs.playlist import Playlist, check_rooms, make_playlist
from mirage_env.envs.randomisation.checks import check_noise_fits
from mirage_env.envs.randomisation.settings import Randomisation, make_randomisation
from mirage_env.envs.worlds import make_simulator
from mirage_env.simulators.base import Simulator
from mirage_env.tasks.explore import Explore
from mirage_env.tasks.free_camera import FreeCamera
from mirage_env.tasks.image_nav import ImageNav
from mirage_env.tasks.point_nav import PointNav
from mirage_env.tasks.task import Task

if TYPE_CHECKING:
    from mirage_env.data.episodes import Episode
    from mirage_env.simulators.tour import Tour
    from mirage_env.world import WorldModel


def make(
    task: Task,
    *,
    simulator: str | Simulator = "mirage",
    scenes: Any = "val",
    observations: str | Sequence[str] = ("rgb",),
    actions: str = "discrete",
    model: str | Path | WorldModel = "tiny",
    imagine: str = "new",
    resolution: int = 128,
    hfov: float = 90.0,
    camera_height: float = 1.25,
    forward_step: float = 0.25,
    turn_angle_deg: float = 10.0,
    allow_sliding: bool = True,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    start_depth: str = "estimated",
    movers: int = 0,
    start_from: str = "rooms",
    num_start_views: int = 1,
    obstacles: str = "all",
    imagine_threshold: float = 0.0,
    tour: int | Tour = 0,
    up: str | Sequence[float] | None = None,
    habitat: Mapping[str, Any] | None = None,
    flatten: bool = True,
    episodes: str | Path | Sequence[Episode] | Playlist | None = None,
    scenes_dir: str | Path | None = None,
    episode_order: str = "file",
    randomise: Mapping[str, Any] | Randomisation | None = None,
) -> NavigationEnv:
    """An environment in which this task is to be done.

    Args:
        simulator: "mirage" (imagined from views of a true scene), "rooms" (the true rooms), "mesh" (true scene files),
            "habitat" (the same in habitat-sim itself) or a ``Simulator``, whose own camera and scenes then count.
        scenes: a split ("train", "val", "test"), "toy", or seeds of rooms; of "mesh" and "habitat", a scene file or
            several. "mirage" takes start views and goals there.
        observations: any of rgb, depth, latent, memory, visible, pointgoal, imagegoal, pose, local_map, odometry and
            goal_latent; one bare string gives that Box instead of a Dict. See ``mirage_env.envs.observations``.
        actions: "discrete", "velocity" or "camera". See ``mirage_env.envs.actions``.
        model: a bundled name, a local folder, a hub id or a ``WorldModel``; loaded only where something needs it.
        imagine: "new" imagines what the memory does not show, "always" everything anew, "never" nothing.
        resolution: height and width of views in pixels.
        hfov: horizontal field of view of views in degrees.
        camera_height: metres above the floor.
        forward_step: metres of a step ahead; full speed covers as much in one step.
        turn_angle_deg: degrees of a turn.
        allow_sliding: whether a blocked agent slides along walls.
        max_episode_steps: truncate after so many steps; None: never. ``gymnasium.make`` keeps this argument to itself
            and truncates, after 500 steps by default.
        render_mode: None or "rgb_array".
        start_depth: "estimated" from the start view, or "true": the imagined world gets the true depth of that view.
        movers: how many boxes on wheels and people move in each true home; the start view of an imagined world may
            show them, but they do not move there.
        start_from: "rooms", "mesh" or "habitat", where imagined worlds take their start views and goals.
        num_start_views: 1 to 8, how many true views an imagined world begins with: from the start, all round, at equal
            angles.
        obstacles: "all" that an imagined world's memory holds is in the way, or only what a camera has "seen"; what was
            imagined is shown then, but shuts off no way; "sure": that, and what was imagined with little doubt.
        imagine_threshold: with imagine="new", the share of unseen cells up to which a view is left as it is, with depth
            0 there: 0.05 spares a third of the networks' work where an agent looks around, 0 nothing.
        tour: 0 to 32, at how many places all over the scene true views were taken all round, with which an imagined
            world also begins: what is known of its other rooms. Or a ``Tour``, shared with other environments.
        up: the axis of scene files that points up, "y", "-z" or three numbers; None: as their stage_config.json says,
            else that of Habitat (z for a bare .glb). Of "mesh" alone.
        habitat: options of "habitat": scene_dataset, gpu_device_id and navmesh, see ``HabitatSimulator``, and
            own_process=True for one of its own.
        flatten: make vectors of all observations but images, as stable-baselines3 asks; False: keep their shapes.
        episodes: a file of PointNav episodes (habitat-lab's ``.json.gz``), or ``mirage_env.data.episodes.Episode``
            values, to be played instead of sampled ones; ``scenes`` are theirs then. See docs/episodes.md.
        scenes_dir: the folder in which their scene files are.
        episode_order: "file", or "shuffled" by the seeds of resets.
        randomise: pose_noise, actuation, camera_height, hfov, lighting and seed, as ``make_randomisation`` has them;
            None: nothing. See docs/randomisation.md.

    Raises:
        ValueError, FileNotFoundError: one sentence on the first argument that is wrong.
    """
    keys = check_keys(observations, task)
    mapping = make_actions(actions, forward_step, turn_angle_deg)
    check_actions_fit(mapping.kind, task)
    randomisation = make_randomisation(randomise)
    check_noise_fits(mapping.kind, randomisation)
    check_render_mode(render_mode)
    check_max_episode_steps(max_episode_steps)
    playlist = None
    if episodes is not None:
        playlist = _playlist_for(task, simulator, start_from, scenes, episodes, scenes_dir, episode_order)
        scenes = tuple(dict.fromkeys(playlist.scenes))
    elif scenes_dir is not None or episode_order != "file":
        raise ValueError('scenes_dir and episode_order are of the episodes of a file; give episodes="....json.gz", too')
    world = make_simulator(
        simulator,
        scenes=scenes,
        model=model,
        imagine=imagine,
        resolution=resolution,
        hfov=hfov,
        camera_height=camera_height,
        allow_sliding=allow_sliding,
        start_depth=start_depth,
        latents=bool(LATENT_KEYS & set(keys)),
        memory=bool(MEMORY_KEYS & set(keys)),
        movers=movers,
        start_from=start_from,
        num_start_views=num_start_views,
        obstacles=obstacles,
        imagine_threshold=imagine_threshold,
        tour=tour,
        up=up,
        habitat=habitat,
    )
    return NavigationEnv(
        world,
        task,
        mapping,
        observations,
        flatten=flatten,
        render_mode=render_mode,
        max_episode_steps=max_episode_steps,
        # The others hold nothing but memory, so that a closed environment can be reset again: checkers do that.
        owns_simulator=simulator == "habitat" or (simulator == "mirage" and start_from == "habitat"),
        playlist=playlist,
        randomisation=randomisation,
    )


def _playlist_for(
    task: Task,
    simulator: str | Simulator,
    start_from: str,
    scenes: Any,
    episodes: Any,
    scenes_dir: str | Path | None,
    order: str,
) -> Playlist:
    if not task.has_goal:
        raise ValueError(f"{task.name} has no goal; play the episodes of a file in Mirage/PointNav-v0")
    if not (isinstance(scenes, str) and scenes == "val"):
        raise ValueError("the episodes of a file say in which scenes they are; leave scenes out")
    playlist = make_playlist(episodes, scenes_dir, order)
    if simulator == "rooms" or (simulator == "mirage" and start_from == "rooms"):
        check_rooms(playlist)
    return playlist


def make_free_camera(**arguments: Any) -> NavigationEnv:
    """``Mirage/FreeCamera-v0``: no task; reward 0, never terminates. Arguments: see ``make``."""
    return make(FreeCamera(), **arguments)


def make_point_nav(observations: str | Sequence[str] = ("rgb", "pointgoal"), **arguments: Any) -> NavigationEnv:
    """``Mirage/PointNav-v0``: go to a point and call stop. Arguments: see ``make``."""
    return make(PointNav(), observations=observations, **arguments)


def make_explore(reward_per_m2: float = 1.0, slack: float = 0.001, **arguments: Any) -> NavigationEnv:
    """``Mirage/Explore-v0``: see new floor; reward per m² of it less the slack of a step. Arguments: see ``make``."""
    return make(Explore(reward_per_m2, slack), **arguments)


def make_image_nav(
    observations: str | Sequence[str] = ("rgb", "imagegoal"), success_distance: float = 1.0, **arguments: Any
) -> NavigationEnv:
    """``Mirage/ImageNav-v0``: go to where an image was taken and call stop within ``success_distance`` metres of it.

    Arguments: see ``make``.
    """
    return make(ImageNav.within(success_distance), observations=observations, **arguments)
