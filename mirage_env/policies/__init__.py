"""Policies that are known beforehand, to compare learned ones with."""

from mirage_env.policies.base import Policy as Policy
from mirage_env.policies.shortest_path import ShortestPathFollower as ShortestPathFollower
