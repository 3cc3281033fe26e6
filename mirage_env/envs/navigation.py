"""The environment: a task in a simulator, behind Gymnasium's interface."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from mirage_env import geometry
from mirage_env.envs.actions import Actions, Command
from mirage_env.envs.beginning import begin_episode
from mirage_env.envs.checks import RENDER_MODES, check_actions_fit, check_max_episode_steps, check_render_mode
from mirage_env.envs.local_map import remembered
from mirage_env.envs.observations import Moment, make_observations
from mirage_env.envs.options import ResetOptions, check_options
from mirage_env.envs.playlist import Listed, Playlist, Turn, listed_episode
from mirage_env.envs.randomisation.checks import check_noise_fits, check_randomised_alike
from mirage_env.envs.randomisation.randomiser import Randomiser
from mirage_env.envs.randomisation.settings import NOTHING, Randomisation
from mirage_env.envs.snapshot import EnvSnapshot, load_snapshot, resumed, save_snapshot
from mirage_env.envs.worlds import episode_source, is_imagined, layout_of, seed_imagination
from mirage_env.geometry import Array
from mirage_env.simulators.base import Motion, Simulator, View
from mirage_env.tasks import measures
from mirage_env.tasks.episode import Episode
from mirage_env.tasks.progress import Progress
from mirage_env.tasks.surface_map import with_view
from mirage_env.tasks.task import Task


class NavigationEnv(gymnasium.Env[Any, Any]):
    """An agent in a true or imagined world.

    Observations, actions: see ``mirage_env.envs.observations`` and ``mirage_env.envs.actions``.

    Reward, end of an episode: see the task. In an imagined world distances are those it knows: unknown space is free
    until it is seen. Where it shows no way to the goal at all, the last distance stands (at the start, the straight
    line), so that rewards stay finite and still sum up to the way that was gained.

    ``info`` has the same keys after ``reset`` and ``step``:
        success, spl, soft_spl: measures of the episode so far (``mirage_env.tasks.measures``).
        distance_to_goal: metres along the floor; ``inf`` where there is no way, or no goal.
        collided: whether the last motion was blocked.
        path_length: metres travelled since the start.
        imagined_fraction: how much of the view was imagined, 0 in true worlds.
        pose: T_world_camera (4, 4) float32.
        episode_id, scene_id: strings; only where the episodes of a file are played.
        and the task's own measures.

    Args:
        simulator: the world.
        task: what is to be done in it.
        actions: what the agent's actions mean.
        observations: keys; a bare string gives an array instead of a dictionary.
        flatten: whether all observations but images are vectors.
        render_mode: None or "rgb_array".
        max_episode_steps: truncate after so many steps; None: never (``gymnasium.make`` limits them itself).
        owns_simulator: whether ``close`` closes the simulator.
        playlist: the episodes to play, in turn; None: every reset samples one. A seed begins the list anew.
        randomisation: what is drawn anew in every episode and step, see ``mirage_env.envs.randomisation``.

    Raises:
        ValueError: for names that do not exist, and for parts that do not fit together.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": RENDER_MODES, "render_fps": 4}  # pyright: ignore

    def __init__(
        self,
        simulator: Simulator,
        task: Task,
        actions: Actions,
        observations: str | Sequence[str] = ("rgb",),
        *,
        flatten: bool = True,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        owns_simulator: bool = True,
        playlist: Playlist | None = None,
        randomisation: Randomisation = NOTHING,
    ) -> None:
        check_render_mode(render_mode)
        check_max_episode_steps(max_episode_steps)
        check_actions_fit(actions.kind, task)
        check_noise_fits(actions.kind, randomisation)
        self.simulator = simulator
        self.task = task
        self.actions = actions
        layout = layout_of(simulator)
        self.observations = make_observations(observations, task, layout, flatten)
        self._recognition = layout.recognition
        self.action_space = actions.space
        self.observation_space = self.observations.space
        self.render_mode = render_mode
        self.max_episode_steps = max_episode_steps
        self.playlist = playlist
        self.randomiser = Randomiser(simulator, randomisation)
        self._owns_simulator = owns_simulator
        self._view: View | None = None
        self._progress: Progress | None = None
        self._turn: Turn | None = None
        self._playing = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: decides the scene, start, goal and all that is imagined, now and in resets without a seed that follow.
            options:
                scene: of the (source) simulator.
                pose: T_world_camera (4, 4) of the start camera.
                goal: (x, y, z) on the floor, metres, world frame; of tasks that have one.
                goal_image: an array, a PIL image or a file name, shown instead of the view from that goal; of ImageNav.
                image: what an imagined world begins with: an array, a PIL image or a file name. The world's origin lies
                    on the floor below its camera, which faces -Z, unless ``pose`` says otherwise.
                depth, hfov: of that image, z-depth in metres and degrees; None: estimated, and that of the environment.
                episode: of the file whose episodes are played, its episode_id or (scene_id, episode_id), instead of
                    the next. Others cannot be given then, and the list goes on from where it was.

        Raises:
            TypeError, ValueError, FileNotFoundError: one sentence on the first option that is wrong, or on an episode
                of the file that cannot be played in this simulator; the reset after it takes the next one.
        """
        asked = check_options(options, self.task, is_imagined(self.simulator), self.playlist)
        super().reset(seed=seed)
        self.abandon()
        # Drawn first, so that what is imagined does not depend on how many tries an episode took.
        number = int(self.np_random.integers(2**31))
        seed_imagination(self.simulator, number)
        self.randomiser.equip(number)
        if self.playlist is None:
            camera = self.randomiser.plain_camera
            begun = begin_episode(self.simulator, self.task, asked, camera, self.np_random)
        else:
            begun = self._begin_listed(self.playlist, seed is not None, asked)
        self._view, episode, source = begun
        goal = None if episode.goal is None else np.array(episode.goal)
        position = self._agent_position()
        distance = self._distance_to_goal(position, goal)
        state = self.task.begin(self.simulator, source, self._view, episode, self.np_random)
        progress = Progress.begun(goal, np.array(self._view.pose), position, distance, state, number)
        self._progress = self._remembering(progress)
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act.

        Raises:
            ValueError: for an action outside the space.
            gymnasium.error.ResetNeeded: before the first ``reset``, and after an episode has ended.
        """
        command = self.command(action)
        motion = self.motion(command)
        return self.arrive(command, None if motion is None else self.simulator.step(motion))

    def command(self, action: Any) -> Command:
        """What an action asks for: no motion also where the agent stops for good. Changes nothing.

        Raises like ``step``, which is this, the simulator's step by ``motion``, and ``arrive``; in that way many
        environments can take the step in the middle together.
        """
        if not self.running:
            ended = "the episode has ended" if self._view is not None else "no episode has begun"
            raise ResetNeeded(f"{ended}; call reset() before step()")
        motion, stop = self.actions.command(action)
        stop = stop and self.task.stop_ends
        return Command(None if stop else motion, stop)

    def motion(self, command: Command) -> Motion | None:
        """The motion that the agent makes of a command, with noise if that is randomised. Changes nothing."""
        return self.randomiser.executed(command.motion, self._episode())

    def arrive(self, command: Command, seen: tuple[View, bool] | None) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """What ``step`` returns, once the simulator has made the motion.

        Args:
            command: what ``command`` gave.
            seen: what ``Simulator.step`` gave; None where there was no motion.
        """
        before = self._episode()
        assert self._view is not None
        left_pose = np.array(self._view.pose, dtype=np.float32)
        now = dataclasses.replace(
            before, stopped=command.stop, collided=False, steps=before.steps + 1, left_pose=left_pose
        )
        if seen is not None:
            self._view, collided = seen
            if "rgb" in self.observations.keys:
                self._view.rgb  # noqa: B018  (first, for true views are rendered with their depth)
            position = self._agent_position()
            state = self.task.advance(now.state, self._view, self.simulator.camera)
            now = self._remembering(
                now.moved(position, self._distance_to_goal(position, now.goal), bool(collided), state)
            )
        truncated = self.max_episode_steps is not None and now.steps >= self.max_episode_steps
        self._progress = dataclasses.replace(now, running=not (now.stopped or truncated))
        reward = self.task.reward(before, self._progress)
        return self._observe(), float(reward), bool(now.stopped), bool(truncated), self._info()

    def render(self) -> Array | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The view (H, W, 3) uint8 with ``render_mode="rgb_array"``, else None."""
        if self.render_mode is None:
            return None
        if self._view is None:
            raise ResetNeeded("no episode has begun; call reset() before render()")
        return np.array(self._view.rgb)

    @property
    def view(self) -> View | None:
        """What the agent sees now; None before the first ``reset``."""
        return self._view

    @property
    def running(self) -> bool:
        """Whether an episode has begun and not ended."""
        return self._progress is not None and self._progress.running

    @property
    def goal(self) -> Array | None:
        """(3,) metres, world frame; None without one."""
        return None if self._progress is None else self._progress.goal

    def abandon(self) -> None:
        """End the episode without a result: only a ``reset`` or ``restore`` goes on from here."""
        if self._progress is not None:
            self._progress = dataclasses.replace(self._progress, running=False)

    def randomise(self, settings: Randomisation) -> None:
        """Randomise an environment that was not; an episode under way ends without a result.

        Raises:
            ValueError: it is randomised already, or the settings do not fit its actions.
        """
        if self.randomiser.settings != NOTHING:
            raise ValueError("the environment is randomised already; give it all settings at once")
        check_noise_fits(self.actions.kind, settings)
        self.abandon()
        self.randomiser = Randomiser(self.simulator, settings)

    def snapshot(self) -> EnvSnapshot:
        """The whole environment as a value: the world, the episode and the random generator.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
        """
        episode, generator = self._episode(), dict(copy.deepcopy(self.np_random.bit_generator.state))
        listed, settings = None, self.randomiser.settings
        if self.playlist is not None and self._turn is not None:
            listed = Listed(self.playlist.fingerprint, self._playing, self._turn)
        return EnvSnapshot(self.simulator.snapshot(), episode, generator, self.task.name, listed, settings)

    def restore(self, snapshot: EnvSnapshot) -> tuple[Any, dict[str, Any]]:
        """Return to a snapshot of this or an equal environment, any number of times: its observation and info.

        Raises:
            TypeError, ValueError: it is no snapshot of such an environment. Nothing has changed then.
        """
        if not isinstance(snapshot, EnvSnapshot):
            raise TypeError(f"restore needs what snapshot() gave, got {type(snapshot).__name__}")
        if snapshot.task != self.task.name:
            raise ValueError(f"the snapshot is of {snapshot.task}, this environment of {self.task.name}")
        listed = resumed(snapshot.listed, self.playlist)
        check_randomised_alike(snapshot.randomisation, self.randomiser.settings)
        with self.randomiser.equipped(snapshot.progress.seed):
            self._view = self.simulator.restore(snapshot.world)
        progress = snapshot.progress
        self._progress = self._remembering(progress, only_missing=True)
        if listed is not None:
            self._playing, self._turn = listed.playing, listed.turn
        self.np_random.bit_generator.state = copy.deepcopy(snapshot.generator)
        return self._observe(), self._info()

    def save(self, path: str | Path) -> None:
        """Write ``snapshot()`` of an imagined world to one safetensors file, whole or not at all; ``load`` reads it.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset``.
            TypeError: the world is a true one: its scene files are its state.
        """
        save_snapshot(self.snapshot(), path)

    def load(self, path: str | Path) -> tuple[Any, dict[str, Any]]:
        """Go on from what ``save`` wrote, bit for bit, in an environment made with the same arguments.

        Returns:
            The observation and info of that moment.

        Raises:
            FileNotFoundError: there is no such file.
            TypeError: this environment is of a true world.
            ValueError: the file is truncated, damaged, of a newer version, or of another model, camera or task. Nothing
                has changed then.
        """
        return self.restore(load_snapshot(path, self.task, self.simulator, self.playlist, self.randomiser))

    def close(self) -> None:
        """Close the simulator, if it is this environment's own."""
        self.abandon()
        if self._owns_simulator:
            self.simulator.close()

    @property
    def state(self) -> Any:
        """The state of the world as a value: a ``WorldState`` if it is imagined, else the simulator's snapshot."""
        state = getattr(self.simulator, "state", None)
        return self.simulator.snapshot() if state is None else state

    def _begin_listed(
        self, playlist: Playlist, anew: bool, asked: ResetOptions
    ) -> tuple[View, Episode, Simulator | None]:
        rng = self.np_random
        turn = playlist.begin(rng) if anew or self._turn is None else self._turn
        # Moved on before the episode begins, so that one that cannot be played is passed over.
        playing, self._turn = playlist.play(turn, rng) if asked.episode is None else (asked.episode, turn)
        episode = listed_episode(self.simulator, self.task, playlist, playing, rng)
        view = self.simulator.reset(episode.scene, episode.start)
        self._playing = playing
        return view, episode, episode_source(self.simulator)

    def _agent_position(self) -> Array:
        assert self._view is not None
        return geometry.agent_pose(self._view.pose, self.simulator.camera.height)[0]

    def _distance_to_goal(self, position: Array, goal: Array | None) -> float:
        return math.inf if goal is None else float(self.simulator.geodesic_distance(position, goal))

    def _episode(self) -> Progress:
        if self._progress is None:
            raise ResetNeeded("no episode has begun; call reset()")
        return self._progress

    def _remembering(self, now: Progress, only_missing: bool = False) -> Progress:
        """With what the present view shows of floor and surfaces, where these are observed (and not known at all)."""
        keys, recognition = self.observations.keys, self._recognition
        floor = "local_map" in keys and not (only_missing and now.floor is not None)
        surfaces = "goal_place" in keys and not (only_missing and now.surfaces is not None)
        if not floor and not surfaces:
            return now
        assert self._view is not None
        sensed, camera = self.randomiser.sensed(self._view.pose, now), self.simulator.camera
        if floor:
            now = dataclasses.replace(now, floor=remembered(now.floor, self._view, sensed, camera))
        if surfaces and recognition is not None:
            seen = with_view(now.surfaces, self._view, sensed, camera, recognition)
            now = dataclasses.replace(now, surfaces=seen)
        return now

    def _succeeded(self) -> bool:
        return self.task.succeeded(self._episode())

    def _observe(self) -> Any:
        episode = self._episode()
        assert self._view is not None
        sensed, left = self.randomiser.sensed(self._view.pose, episode), episode.left_pose
        left = None if left is None else self.randomiser.sensed(left, episode, ago=1)
        return self.observations.observe(Moment(self._view, episode, self.simulator.camera.height, sensed, left))

    def _info(self) -> dict[str, Any]:
        assert self._view is not None
        episode, succeeded = self._episode(), self._succeeded()
        ways, scored = (episode.shortest, episode.path_length), episode.goal is not None
        listed = None if self.playlist is None else self.playlist.episodes[self._playing]
        names = {} if listed is None else {"episode_id": listed.episode_id, "scene_id": listed.scene_id}
        return names | {
            "success": succeeded,
            "spl": measures.spl(succeeded, *ways) if scored else 0.0,
            "soft_spl": measures.soft_spl(episode.distance, *ways) if scored else 0.0,
            "distance_to_goal": episode.distance,
            "collided": episode.collided,
            "path_length": episode.path_length,
            "imagined_fraction": float(getattr(self._view, "imagined_fraction", 0.0)),
            "pose": np.array(self._view.pose, dtype=np.float32),
            **self.task.measures(episode),
        }
