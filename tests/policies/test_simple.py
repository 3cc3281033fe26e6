"""Chance, going straight on, and noise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from gymnasium import spaces

from mirage_env.envs.actions import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT
from mirage_env.envs.factory import make_explore
from mirage_env.policies import ForwardPolicy, NoisyPolicy, Policy, RandomPolicy


def test_chance_takes_every_action_but_stop_alike() -> None:
    policy = RandomPolicy(spaces.Discrete(4), seed=0)
    assert isinstance(policy, Policy)
    taken = Counter(policy.act(None, {}) for _ in range(3000))
    assert taken.keys() == {MOVE_FORWARD, TURN_LEFT, TURN_RIGHT}
    assert all(900 < count < 1100 for count in taken.values())
    taken = Counter(RandomPolicy(spaces.Discrete(4), seed=i, with_stop=True).act(None, {}) for i in range(100))
    assert taken.keys() == {STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT}


def test_chance_depends_on_its_seed_alone() -> None:
    space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    one, same, other = (RandomPolicy(space, seed) for seed in (1, 1, 2))
    drawn = [one.act(None, {}) for _ in range(5)]
    assert all(action in space for action in drawn)
    one.reset()
    np.testing.assert_array_equal(drawn, [same.act(None, {}) for _ in range(5)])
    assert not np.array_equal(drawn[0], other.act(None, {}))
    with pytest.raises(ValueError, match="needs actions with bounds"):
        RandomPolicy(spaces.Box(-np.inf, np.inf, (2,)), 0)
    with pytest.raises(ValueError, match="discrete actions or a Box"):
        RandomPolicy(spaces.MultiBinary(3), 0)


def test_going_straight_on_leads_round_a_room() -> None:
    env = make_explore(simulator="rooms", scenes="toy", resolution=32, observations="pose")
    policy = ForwardPolicy(env, bounces=True)
    observed, info = env.reset(seed=0)
    taken = []
    for _ in range(80):
        taken.append(policy.act(observed, info))
        assert taken[-1] == (TURN_LEFT if info["collided"] else MOVE_FORWARD)
        observed, *_, info = env.step(taken[-1])
    assert {*taken} == {MOVE_FORWARD, TURN_LEFT} and info["path_length"] > 5
    only = ForwardPolicy(env)
    assert [only.act(observed, {"collided": blocked}) for blocked in (False, True)] == [MOVE_FORWARD] * 2
    with pytest.raises(ValueError, match="a forward policy takes discrete actions"):
        ForwardPolicy(make_explore(simulator="rooms", scenes="toy", resolution=32, actions="velocity"))


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_noise_replaces_as_many_actions_as_it_says(epsilon: float) -> None:
    class Stop:
        resets = 0

        def reset(self) -> None:
            self.resets += 1

        def act(self, obs: object, info: object) -> int:
            return STOP

    policy = NoisyPolicy(Stop(), spaces.Discrete(4), epsilon, seed=3)
    policy.reset()
    assert isinstance(policy, Policy) and policy.policy.resets == 1  # type: ignore[attr-defined]
    by_chance = np.mean([policy.act(None, {}) != STOP for _ in range(2000)])
    assert by_chance == pytest.approx(epsilon, abs=0.03)
    with pytest.raises(ValueError, match=r"probability from 0 to 1, got 1\.5"):
        NoisyPolicy(Stop(), spaces.Discrete(4), 1.5, seed=0)
