"""Noise and drawn parameters that make an agent robust: of poses, motions, the camera and the light."""

from mirage_env.envs.randomisation.settings import NOTHING as NOTHING
from mirage_env.envs.randomisation.settings import Randomisation as Randomisation
from mirage_env.envs.randomisation.settings import make_randomisation as make_randomisation
