"""The episodes of a file, and whose turn it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mirage_env.data.episode_json import to_json
from mirage_env.data.episodes import Episode, read_episodes
from mirage_env.data.scene_ids import scene_argument
from mirage_env.envs.worlds import episode_source
from mirage_env.simulators.base import Simulator
from mirage_env.simulators.rooms.splits import TOY
from mirage_env.tasks import episode as tasks
from mirage_env.tasks.task import Task

ORDERS = ("file", "shuffled")


class Turn(NamedTuple):
    """Which episode comes next.

    Attributes:
        place: in the present pass, from 0.
        shuffle: seed of the pass's order; 0 in the order of the file.
    """

    place: int
    shuffle: int


class Listed(NamedTuple):
    """Where an environment is in its list, as a value.

    Attributes:
        fingerprint: of the list.
        playing: index of the present episode.
        turn: the next one.
    """

    fingerprint: str
    playing: int
    turn: Turn


@dataclass(frozen=True)
class Playlist:
    """Episodes that an environment plays, one after the other, and again from the beginning.

    World ``world`` of ``worlds`` plays every ``worlds``-th episode from its own on, so that a pass of all worlds plays
    each once; where there are more worlds than episodes, world w shares that of ``w % len(episodes)``. Shuffled, each
    world mixes its own share anew in every pass.

    Attributes:
        episodes: of the file.
        scenes: what ``Simulator.reset`` takes, of each.
        order: "file" or "shuffled".
        world, worlds: whose list this is.
    """

    episodes: tuple[Episode, ...]
    scenes: tuple[int | str, ...]
    order: str = "file"
    world: int = 0
    worlds: int = 1

    def begin(self, rng: np.random.Generator) -> Turn:
        """The first turn of a pass."""
        return Turn(0, int(rng.integers(2**62)) if self.order == "shuffled" else 0)

    def play(self, turn: Turn, rng: np.random.Generator) -> tuple[int, Turn]:
        """Index of the episode whose turn it is, and the turn after it; ``rng`` decides the order of a new pass."""
        share = self.share
        index = int(self._order(turn)[turn.place])
        if turn.place + 1 < len(share):
            return index, turn._replace(place=turn.place + 1)
        return index, self.begin(rng)

    def find(self, wanted: Any) -> int:
        """Index of an episode by its id, or by (scene_id, episode_id); ValueError unless there is just one."""
        if isinstance(wanted, tuple | list) and len(wanted) == 2:
            found = [
                i for i, e in enumerate(self.episodes) if (e.scene_id, e.episode_id) == (wanted[0], str(wanted[1]))
            ]
        elif isinstance(wanted, str | int | np.integer) and not isinstance(wanted, bool):
            found = [i for i, e in enumerate(self.episodes) if e.episode_id == str(wanted)]
        else:
            raise TypeError(f"the option episode must be an episode_id or (scene_id, episode_id), got {wanted!r}")
        if not found:
            raise ValueError(f"there is no episode {wanted!r} among the {len(self.episodes)} of this environment")
        if len(found) > 1:
            raise ValueError(f"{len(found)} scenes have an episode {wanted!r}; give the option (scene_id, episode_id)")
        return found[0]

    @property
    def share(self) -> range:
        """Indices of the episodes of this world, in the order of the file."""
        return range(self.world % len(self.episodes), len(self.episodes), max(self.worlds, 1))

    @cached_property
    def fingerprint(self) -> str:
        """Tells lists apart: equal ones go on alike from equal turns."""
        told = [self.order, self.world, self.worlds, [to_json(episode) for episode in self.episodes]]
        return hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()[:32]

    def resume(self, listed: Any) -> Listed:
        """What ``Listed`` says, as numbers from a file may say it; ValueError unless it is a place in this list."""
        fingerprint, playing, (place, shuffle) = listed
        fits = all(type(n) is int for n in (playing, place, shuffle)) and shuffle >= 0
        if fingerprint != self.fingerprint:
            raise ValueError("it is of an environment that plays other episodes, or in another order")
        if not (fits and 0 <= playing < len(self.episodes) and 0 <= place < len(self.share)):
            raise ValueError("it is at no place in the list of episodes")
        return Listed(fingerprint, playing, Turn(place, shuffle))

    def _order(self, turn: Turn) -> Any:
        if self.order == "file":
            return self.share
        # The seed of a pass decides its order, so a turn of two numbers is all there is to remember.
        return np.random.default_rng(turn.shuffle).permutation(np.array(self.share))


def make_playlist(
    episodes: Any, scenes_dir: str | Path | None = None, order: str = "file", world: int = 0, worlds: int = 1
) -> Playlist:
    """The playlist of a dataset's file, or of a sequence of ``Episode``.

    Raises:
        TypeError, ValueError, OSError: one sentence, which names the episode if one of them cannot be played: it has
            several goals, or its scene is not in ``scenes_dir``.
    """
    if isinstance(episodes, Playlist):
        return episodes
    if order not in ORDERS:
        raise ValueError(f"unknown episode_order {order!r}; valid are {', '.join(ORDERS)}")
    if isinstance(episodes, str | Path):
        listed = read_episodes(episodes)
    elif isinstance(episodes, Sequence) and all(isinstance(one, Episode) for one in episodes):
        listed = tuple(episodes)
    else:
        raise TypeError(
            "episodes must be a file of PointNav episodes or a sequence of mirage_env.data.episodes.Episode, "
            f"got {type(episodes).__name__}"
        )
    if not listed:
        raise ValueError("episodes must hold at least one episode, got none")
    known: dict[str, int | str] = {}
    for episode in listed:
        if len(episode.goals) != 1:
            raise ValueError(
                f"episode {episode.episode_id!r} has {len(episode.goals)} goals; PointNav is played with one"
            )
        if episode.scene_id not in known:
            try:
                known[episode.scene_id] = scene_argument(episode.scene_id, scenes_dir)
            except OSError as error:
                raise type(error)(f"episode {episode.episode_id!r} cannot be played: {error}") from None
    return Playlist(listed, tuple(known[episode.scene_id] for episode in listed), order, world, worlds)


def check_rooms(playlist: Playlist) -> None:
    """Raise ValueError where a scene is a file, for generated rooms have none."""
    for episode, scene in zip(playlist.episodes, playlist.scenes, strict=True):
        if isinstance(scene, str) and scene != TOY:
            raise ValueError(
                f"episode {episode.episode_id!r} cannot be played in rooms: its scene {episode.scene_id!r} is neither "
                'a seed nor "toy"; a scene file needs a simulator that opens it'
            )


def _goal_yaw(episode: Episode) -> float:
    """Which way the goal image of an episode looks: files of PointNav say nothing of it, so its ids decide, evenly."""
    told = hashlib.sha256(json.dumps([episode.scene_id, episode.episode_id]).encode()).digest()
    return math.tau * int.from_bytes(told[:6], "big") / 2**48 - math.pi


def listed_episode(
    simulator: Simulator, task: Task, playlist: Playlist, index: int, rng: np.random.Generator
) -> tasks.Episode:
    """An episode of the list for the task; opens its scene in the simulator that episodes come from.

    Raises:
        ValueError: one sentence that names the episode: its scene does not open, its start is not navigable, or no way
            leads to its goal, or hardly any.
    """
    episode, scene = playlist.episodes[index], playlist.scenes[index]
    source = episode_source(simulator)
    if source is None:
        raise ValueError("this imagined world has no source of scenes, so no episodes of a file can be played in it")
    try:
        source.reset(scene)
        if not source.is_navigable(np.array(episode.start_position)):
            x, y, z = episode.start_position
            raise ValueError(f"its start ({x:.2f}, {y:.2f}, {z:.2f}) is not navigable for this agent")
        played = task.sample_episode(source, scene, rng, episode.start, np.array(episode.goals[0].position))
        return dataclasses.replace(played, goal_yaw=_goal_yaw(episode))
    except (TypeError, ValueError, OSError) as error:
        name = f"episode {episode.episode_id!r} of scene {episode.scene_id!r}"
        raise ValueError(f"{name} cannot be played: {error}") from error
