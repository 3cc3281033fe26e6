"""Kernels of the world loop. Only ``mirage_env.kernels.load`` imports them, for they need numba."""
