"""What a policy is to those who run episodes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Policy(Protocol):
    """Acts from observations; what it remembers lasts from one ``reset`` to the next."""

    def reset(self) -> None:
        """Forget the episode before."""
        ...

    def act(self, obs: Any, info: dict[str, Any]) -> Any:
        """The action of the environment's action space, given what ``reset`` or ``step`` returned last."""
        ...
