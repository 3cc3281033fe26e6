"""The latent 3-D memory: write views, read them from any camera, fork for free."""

from mirage_env.memory.latent_memory import LatentMemory
from mirage_env.memory.protocol import ImageMemory, SpatialMemory, read_many, takes_images
from mirage_env.memory.view import MemoryView

__all__ = ["ImageMemory", "LatentMemory", "MemoryView", "SpatialMemory", "read_many", "takes_images"]
