"""Scene files made ready for use: what renders them and what the agent walks on, kept for those used last."""

from __future__ import annotations

KEPT_SCENES = 4
"""How many scenes stay ready in a process, shared by all its simulators."""
_SIGHT = 20.0
