"""Policies that are known beforehand, to compare learned ones with."""

from mirage_env.policies.base import Policy as Policy
from mirage_env.policies.frontier import FrontierPolicy as FrontierPolicy
from mirage_env.policies.named import make_policy as make_policy
from mirage_env.policies.seek import SeekPolicy as SeekPolicy
from mirage_env.policies.shortest_path import ShortestPathFollower as ShortestPathFollower
from mirage_env.policies.simple import ForwardPolicy as ForwardPolicy
from mirage_env.policies.simple import NoisyPolicy as NoisyPolicy
from mirage_env.policies.simple import RandomPolicy as RandomPolicy
