"""Reinforcement learning in imagined and true worlds, with stable-baselines3."""
