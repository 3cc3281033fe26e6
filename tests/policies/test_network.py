"""What a learned policy looks at, and what it makes of it."""

from __future__ import annotations

import pytest
import torch

from mirage_env.policies.network import GRID, Encoder, PolicyNetwork, _depth_channels, _goal_on_map, _on_grid

SHAPES = {
    "rgb": (3, 64, 64),
    "latent": (4, 8, 8),
    "goal_latent": (4, 8, 8),
    "memory": (4, 8, 8),
    "visible": (8, 8),
    "depth": (64, 64),
    "pointgoal": (2,),
    "goal_place": (3,),
    "pose": (4, 4),
    "odometry": (3,),
    "local_map": (3, 32, 32),
}


def batch(shapes: dict[str, tuple[int, ...]], count: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {key: torch.rand(count, *shape, generator=generator) for key, shape in shapes.items()}


CHOICES = [
    ("pointgoal",),
    ("depth", "pointgoal"),
    ("latent", "visible"),
    ("latent", "goal_latent"),
    ("local_map", "goal_place"),
    tuple(SHAPES),
]


@pytest.mark.parametrize("keys", CHOICES)
def test_any_observations_become_features(keys: tuple[str, ...]) -> None:
    shapes = {key: SHAPES[key] for key in keys}
    encoder = Encoder(shapes, width=32)
    seen = batch(shapes)
    features = encoder(seen)
    assert features.shape == (3, 32)
    for key in keys:
        other = encoder(seen | {key: 1 - seen[key]})
        assert not torch.equal(other, features), key


def test_depth_keeps_what_is_near_in_a_cell() -> None:
    depth = torch.full((1, 64, 64), 4.0)
    depth[0, 0, 0] = 0.5  # one pixel of a table's edge
    depth[0, 63, 63] = 0.0  # not measured: far
    channels = _depth_channels(depth)
    assert channels.shape == (1, 6, GRID, GRID)
    assert channels[0, 0, 0, 0] == pytest.approx(0.05)
    assert channels[0, 2, -1, -1] == pytest.approx(1.0)
    assert channels[0, 1, 5, 5] == pytest.approx(0.4)


@pytest.mark.parametrize("cells", [8, 16, 32])
def test_maps_of_any_size_come_to_the_grid(cells: int) -> None:
    ramp = torch.linspace(0, 1, cells)[None, None, None, :].expand(1, 1, cells, cells)
    on_grid = _on_grid(ramp)
    assert on_grid.shape == (1, 1, GRID, GRID)
    assert torch.all(on_grid[0, 0, 0].diff() >= 0)


def test_angles_have_no_jump_behind_the_agent() -> None:
    encoder = Encoder({"pointgoal": (2,)}, width=16)
    left, right = (encoder({"pointgoal": torch.tensor([[2.0, angle]])}) for angle in (3.1415, -3.1415))
    torch.testing.assert_close(left, right, atol=1e-3, rtol=0)


def test_what_no_policy_can_look_at_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot look at smell; it can at rgb"):
        Encoder({"smell": (2,)})
    with pytest.raises(ValueError, match="cannot look at nothing"):
        Encoder({})


@pytest.mark.parametrize(
    ("distance", "angle", "row", "column"), [(2, 0, 8, 16), (2, 1.5708, 16, 8), (99, 3.1416, 31, 16)]
)
def test_the_goal_lies_where_it_is_on_the_map(distance: float, angle: float, row: int, column: int) -> None:
    spot = _goal_on_map(torch.tensor([[distance, angle]]), 32)[0, 0]
    at = divmod(int(spot.argmax()), 32)
    assert abs(at[0] - row) <= 1 and abs(at[1] - column) <= 1 and spot.max() > 0.8


def test_a_memory_tells_the_same_view_apart() -> None:
    torch.manual_seed(0)
    network = PolicyNetwork({"pointgoal": (2,)}, width=8, memory=8, hidden=(8,), outputs=4)
    seen = {"pointgoal": torch.tensor([[1.0, 0.5]])}
    first, remembered = network(seen)
    second, _ = network(seen, remembered)
    assert first.shape == (1, 4)
    assert not torch.equal(first, second)
    again, _ = network(seen)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
