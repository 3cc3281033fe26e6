"""The algorithms of stable-baselines3, set up for a run, and what they learned as a policy of ours."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

import mirage_env
from agents.extractor import ViewExtractor
from agents.settings import TASKS, TrainSettings
from mirage_env.policies.learned import CATEGORICAL, GAUSSIAN, GREEDY, SQUASHED, PolicySettings
from mirage_env.policies.network import PolicyNetwork


def make_algorithm(settings: TrainSettings, worlds: VecEnv) -> BaseAlgorithm:
    """An untrained agent of these settings in these worlds."""
    policy: dict[str, Any] = {
        "features_extractor_class": ViewExtractor,
        "features_extractor_kwargs": {"width": settings.width},
    }
    common: dict[str, Any] = {
        "env": worlds,
        "learning_rate": LinearSchedule(settings.learning_rate, settings.final_rate * settings.learning_rate, 1.0),
        "gamma": settings.gamma,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "device": "cpu",
        "policy_kwargs": policy,
    }
    hidden = list(settings.hidden)
    if settings.algorithm in ("dqn", "sac"):
        policy["net_arch"] = hidden
        make = DQN if settings.algorithm == "dqn" else SAC
        return make("MultiInputPolicy", buffer_size=settings.buffer, learning_starts=settings.leg // 10, **common)
    policy["net_arch"] = {"pi": hidden, "vf": hidden}
    common |= {
        "n_steps": settings.rollout,
        "n_epochs": settings.epochs,
        "gae_lambda": settings.gae_lambda,
        "ent_coef": settings.entropy,
        "clip_range": settings.clip,
    }
    if settings.algorithm == "ppo":
        agent = PPO("MultiInputPolicy", **common)
    else:
        policy |= {"lstm_hidden_size": settings.memory, "shared_lstm": True, "enable_critic_lstm": False}
        agent = RecurrentPPO("MultiInputLstmPolicy", **common)
    if isinstance(worlds.action_space, spaces.Discrete):
        with torch.no_grad():
            agent.policy.action_net.bias[0] += settings.stop_bias  # pyright: ignore
    return agent


def learned(agent: BaseAlgorithm, settings: TrainSettings) -> tuple[PolicyNetwork, PolicySettings]:
    """What the agent knows now, as a network without stable-baselines3, and the settings that go with it."""
    actor: Any = agent.policy
    spread: tuple[float, ...] = ()
    if settings.algorithm == "dqn":
        actor, kind = agent.policy.q_net, GREEDY
        layers = [actor.q_net]
    elif settings.algorithm == "sac":
        actor, kind = agent.policy.actor, SQUASHED
        layers = [actor.latent_pi, actor.mu]
    else:
        layers, kind = [actor.mlp_extractor.policy_net, actor.action_net], CATEGORICAL
        if settings.actions != "discrete":
            kind, spread = GAUSSIAN, tuple(actor.log_std.exp().tolist())
    linear = [one for part in layers for one in part.modules() if isinstance(one, nn.Linear)]
    space = agent.get_env().worlds.single_observation_space  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    described = PolicySettings(
        task=TASKS[settings.task],
        observations=settings.observations,
        shapes={key: tuple(space[key].shape) for key in settings.observations},
        actions=settings.actions,
        outputs=linear[-1].out_features,
        kind=kind,
        width=settings.width,
        memory=settings.memory if settings.algorithm == "recurrent-ppo" else 0,
        hidden=tuple(one.out_features for one in linear[:-1]),
        activation="tanh" if "ppo" in settings.algorithm else "relu",
        stochastic="ppo" in settings.algorithm,
        spread=spread,
        env={"flatten": False, **settings.env},
        trained={
            "algorithm": settings.algorithm,
            "simulator": settings.simulator,
            "steps": agent.num_timesteps,
            "seed": settings.seed,
            "mirage_env": mirage_env.__version__,
        },
    )
    network = described.network()
    network.encoder.load_state_dict(actor.features_extractor.encoder.state_dict())
    if network.lstm is not None:
        network.lstm.load_state_dict(actor.lstm_actor.state_dict())
    ours = [one for one in network.head.modules() if isinstance(one, nn.Linear)]
    for one, theirs in zip(ours, linear, strict=True):
        one.load_state_dict(theirs.state_dict())
    return network.eval(), described
