"""What a training run is made of, as a value that is written beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mirage_env.envs.observations import KEYS
from mirage_env.policies.named import NAMES, needs
from mirage_env.policies.network import IMAGES
from mirage_env.tasks.image_nav import ImageNav
from mirage_env.tasks.point_nav import PointNav

ALGORITHMS = ("ppo", "recurrent-ppo", "dqn", "sac")
TASKS = {"pointnav": "PointNav", "imagenav": "ImageNav", "explore": "Explore"}
NEAREST_GOALS = {"pointnav": PointNav.min_distance, "imagenav": ImageNav.min_distance}
OBSERVATIONS = {
    "pointnav": ("depth", "pointgoal", "odometry"),
    "imagenav": ("goal_place", "local_map", "depth", "odometry"),
    "explore": ("depth", "local_map", "odometry"),
}
"""What agents look at unless they are told otherwise."""
TEACHERS = {"pointnav": "frontier", "imagenav": "seek", "explore": "frontier"}
"""Whom agents imitate unless they are told otherwise, if they imitate."""
IMAGINED = {"start_depth": "true", "num_start_views": 4, "obstacles": "sure", "imagine_threshold": 0.05}
"""How worlds to learn in are imagined unless ``env`` says otherwise: the room around the start is seen, with its depth,
and what is imagined beyond is in the way only where there is little doubt, so that goals can be reached as in truth.
"""


@dataclass(frozen=True)
class TrainSettings:
    """A training run. Everything here decides the curve; what does not (threads, where it is written) is elsewhere.

    Attributes:
        task: one of ``TASKS``.
        simulator: "mirage" to learn in imagination, or a true one.
        algorithm: one of ``ALGORITHMS``.
        steps: of the environment, all worlds together.
        seed: of everything.
        num_envs: worlds at once.
        observations, actions: of the environment; see ``gymnasium.make``.
        scenes: of the split or list that is trained in; the first ``homes`` of a split of rooms.
        homes: how many homes of the split are used, each 20 MB while it is kept ready; 0: all.
        max_episode_steps: after which training's episodes are cut off: those of stuck agents teach little.
        env: other arguments of ``gymnasium.make``, by name; where worlds are imagined, beside ``IMAGINED``.
        evaluate_every: steps between evaluations in the truth, each of which leaves a checkpoint; rounded up to whole
            rollouts.
        evaluation_episodes: of each.
        evaluation_scenes: where; the first ``evaluation_homes`` of a split of rooms.
        evaluation_homes: how many of them.
        evaluation_max_steps: after which an evaluation's episode is cut off.
        learning_rate, gamma, batch_size: of the algorithm.
        final_rate: what is left of the learning rate at the end, to which it falls in a straight line; 1: all of it.
        rollout: steps of each world between updates (PPO).
        epochs, gae_lambda, entropy, clip: PPO's.
        buffer: transitions that DQN and SAC keep.
        width: features that the encoder makes of an observation.
        hidden: widths of the layers between features and actions.
        memory: hidden units of "recurrent-ppo".
        stop_bias: added to the first logit (stop) of an untrained policy, which would end most episodes at once.
        near_first: metres; goals lie no farther than this from the start at the beginning of training, and as far as
            the task allows from half of it on. 0: no such schedule.
        failure_cost: what it costs in training to call stop elsewhere than at the goal. Where goals are hard to find,
            agents otherwise learn to stop before they learn to arrive.
        imitate: steps of a teacher, beside ``steps``, that the agent learns to do as first; for PPO with discrete
            actions. See ``agents.imitate``.
        teacher: the policy that it imitates, by name.
    """

    task: str = "pointnav"
    simulator: str = "mirage"
    algorithm: str = "ppo"
    steps: int = 500_000
    seed: int = 0
    num_envs: int = 16
    observations: tuple[str, ...] = ()
    actions: str = "discrete"
    scenes: Any = "train"
    homes: int = 64
    max_episode_steps: int = 150
    env: Mapping[str, Any] = field(default_factory=dict)
    evaluate_every: int = 50_000
    evaluation_episodes: int = 100
    evaluation_scenes: Any = "val"
    evaluation_homes: int = 20
    evaluation_max_steps: int = 500
    learning_rate: float = 1e-3
    final_rate: float = 0.1
    gamma: float = 0.99
    batch_size: int = 128
    rollout: int = 64
    epochs: int = 6
    gae_lambda: float = 0.95
    entropy: float = 0.005
    clip: float = 0.2
    buffer: int = 20_000
    width: int = 256
    hidden: tuple[int, ...] = (128,)
    memory: int = 128
    stop_bias: float = -2.0
    near_first: float = 0.0
    failure_cost: float = 0.0
    imitate: int = 0
    teacher: str = ""

    def __post_init__(self) -> None:
        _one_of("task", self.task, TASKS)
        _one_of("algorithm", self.algorithm, ALGORITHMS)
        for name in ("steps", "num_envs", "evaluate_every", "evaluation_episodes", "evaluation_homes", "batch_size"):
            _whole(name, getattr(self, name), 1)
        for name in ("rollout", "epochs", "buffer", "width", "memory", "max_episode_steps", "evaluation_max_steps"):
            _whole(name, getattr(self, name), 1)
        for name in ("seed", "homes", "imitate"):
            _whole(name, getattr(self, name), 0)
        if not self.learning_rate > 0 or not 0 < self.gamma <= 1 or not 0 <= self.gae_lambda <= 1:
            raise ValueError("learning_rate must be above 0, gamma in (0, 1] and gae_lambda in [0, 1]")
        if not 0 <= self.final_rate <= 1:
            raise ValueError(f"final_rate must be in [0, 1], got {self.final_rate!r}")
        self._check_goals()
        if not self.observations:
            object.__setattr__(self, "observations", OBSERVATIONS[self.task])
        if self.simulator == "mirage":
            object.__setattr__(self, "env", IMAGINED | dict(self.env))
        unknown = [key for key in self.observations if key not in KEYS]
        if unknown:
            raise ValueError(f"unknown observations {', '.join(unknown)}; valid are {', '.join(KEYS)}")
        if self.algorithm == "sac" and self.actions == "discrete":
            raise ValueError('sac needs continuous actions; train it with actions="velocity", or choose ppo or dqn')
        if self.algorithm == "dqn" and self.actions != "discrete":
            raise ValueError('dqn needs discrete actions; train it with actions="discrete", or choose ppo or sac')
        self._check_teacher()
        reserved = {"simulator", "scenes", "observations", "actions", "flatten", "max_episode_steps", "autoreset_mode"}
        taken = sorted(reserved & set(self.env))
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot be given by env: settings of their own decide them")

    def _check_teacher(self) -> None:
        """Raises ValueError for what cannot be imitated, or learn so."""
        if not self.teacher:
            object.__setattr__(self, "teacher", TEACHERS[self.task])
        if not self.imitate:
            return
        if self.algorithm != "ppo" or self.actions != "discrete":
            raise ValueError("imitate is for ppo with discrete actions; leave it at 0 with others")
        pictures = [key for key in self.observations if key in IMAGES]
        if pictures:
            raise ValueError(f"imitate is for observations without pictures; leave out {', '.join(pictures)}")
        if self.teacher.partition(":")[0] not in NAMES:
            raise ValueError(f"unknown teacher {self.teacher!r}; valid are {', '.join(NAMES)}, also with noise")
        task, needed = needs(self.teacher)
        missing = [key for key in needed if key not in self.observations]
        if task not in (None, TASKS[self.task]) or missing:
            raise ValueError(f"the teacher {self.teacher} is for {task} with the observations {', '.join(needed)}")

    def _check_goals(self) -> None:
        """Raises ValueError for what is asked of goals and cannot be had."""
        for name in ("near_first", "failure_cost"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
            if value and self.task == "explore":
                raise ValueError(f"{name} is for tasks with a goal, pointnav and imagenav; leave it at 0")
        nearest = NEAREST_GOALS.get(self.task, 0.0)
        if 0 < self.near_first < nearest:
            raise ValueError(f"near_first must be 0 or at least {nearest} m in {self.task}, got {self.near_first}")

    @property
    def env_id(self) -> str:
        """For ``gymnasium.make_vec``."""
        return f"Mirage/{TASKS[self.task]}-v0"

    @property
    def truth(self) -> str:
        """The true simulator in which agents are judged: where imagined worlds take their start views from."""
        return str(self.env.get("start_from", "rooms")) if self.simulator == "mirage" else self.simulator

    @property
    def leg(self) -> int:
        """Steps between checkpoints: ``evaluate_every`` in whole rollouts."""
        rollout = self.num_envs * (self.rollout if "ppo" in self.algorithm else 1)
        return -(-self.evaluate_every // rollout) * rollout


def _one_of(name: str, value: Any, valid: Sequence[str] | Mapping[str, Any]) -> None:
    if value not in valid:
        raise ValueError(f"unknown {name} {value!r}; valid are {', '.join(valid)}")


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
