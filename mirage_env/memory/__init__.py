"""The latent 3-D memory: write views, read them from any camera, fork for free."""

from mirage_env.memory.latent_memory import LatentMemory, read_many
from mirage_env.memory.view import MemoryView

__all__ = ["LatentMemory", "MemoryView", "read_many"]
