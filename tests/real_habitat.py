"""For tests that need habitat-sim itself."""

from importlib.util import find_spec

import pytest

needs_habitat = (
    pytest.mark.habitat,
    pytest.mark.skipif(find_spec("habitat_sim") is None, reason="needs habitat-sim, which is not on the package index"),
)
