"""Pictures and films: sizes, places and colours that can be checked without looking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirage_env.evaluation import pictures
from mirage_env.evaluation.films import write_gif, write_mp4
from mirage_env.evaluation.pictures import Caption, Panel, Share, TopView

RED, GREEN = np.array([200, 0, 0], np.uint8), np.array([0, 200, 0], np.uint8)


def panel(colour: object = RED, size: int = 96, caption: Caption = Caption()) -> Panel:  # noqa: B008
    return Panel(np.broadcast_to(np.asarray(colour), (size, size, 3)).copy(), "Title", "subtitle", caption)


def test_panels_stand_in_a_row_with_even_sides() -> None:
    sheet = pictures.side_by_side([panel(RED), panel(GREEN)], scale=0.5)
    assert sheet.shape[0] % 2 == sheet.shape[1] % 2 == 0
    red, green = (np.argwhere((sheet == colour).all(-1)) for colour in (RED, GREEN))
    assert len(red) == len(green) == 96 * 96
    assert red[:, 1].max() < green[:, 1].min()
    assert red[:, 0].min() == green[:, 0].min()
    with pytest.raises(ValueError, match="share one square size"):
        pictures.side_by_side([panel(), panel(size=48)])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_bar_is_as_long_as_its_share(share: float) -> None:
    colour = (1, 250, 99)
    sheet = pictures.side_by_side([panel(size=200, caption=Caption("words", (Share("x", share, colour),)))], scale=0.6)
    columns = np.unique(np.argwhere((sheet == colour).all(-1))[:, 1])
    assert abs(len(columns) - 200 * share) <= 1


def test_shares_are_named_with_their_numbers() -> None:
    parts = (Share("a", 0.4, (9, 200, 9)), Share("b", 0.6, (200, 9, 200)))
    with_names = pictures.side_by_side([panel(caption=Caption(parts=parts))])
    without = pictures.side_by_side([panel(caption=Caption(" ", parts))])
    assert (with_names != without).any()


def test_enlarging_repeats_pixels_and_masking_darkens_them() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = pictures.enlarge(image, 3)
    assert large.shape == (6, 6, 3)
    assert (large[::3, ::3] == image).all()
    assert (large[2, 5] == image[0, 1]).all()
    masked = pictures.mask_unseen(image, np.array([[True, False], [True, True]]))
    assert (masked[0, 1] == pictures.UNSEEN).all()
    assert (masked[0, 0] == image[0, 0]).all()


def test_the_map_shows_the_highest_token_where_it_is() -> None:
    view = TopView(np.array([-1.0, -1.0]), 50.0, 100)
    positions = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.6, 0.0, -0.6], [9.0, 0.0, 0.0]])
    colours = np.array([RED, GREEN, GREEN, RED])
    canvas = pictures.draw_tokens(view, positions, colours, np.array([0.1, 0.2, 0.1, 0.1]))
    assert (canvas[50, 50] == RED).all()
    assert (canvas[50, 54] == GREEN).all()
    assert (canvas[20, 80] == GREEN).all()
    assert (canvas[80, 20] == pictures.UNSEEN).all()
    assert ((canvas == RED).all(-1).sum(), (canvas == GREEN).all(-1).sum()) == (25, 75 + 25)
    empty = pictures.draw_tokens(view, positions[:0], colours[:0], np.zeros(0))
    assert (empty == pictures.UNSEEN).all()


def test_a_fitted_map_holds_all_points_and_keeps_shapes() -> None:
    points = np.array([[0.0, 0.0, 0.0], [4.0, 2.0, 1.0]])
    view = pictures.fit_top_view(points, 200)
    pixels = view.pixels(points)
    assert (pixels > 0).all()
    assert (pixels < 200).all()
    assert np.allclose((pixels[1] - pixels[0]) / view.scale, [4.0, 1.0])


def test_walls_are_drawn_around_the_floor() -> None:
    view = TopView(np.array([0.0, 0.0]), 20.0, 100)
    floor = np.zeros((50, 50), bool)
    floor[10:40, 20:30] = True
    drawn = pictures.draw_walls(view, np.zeros((100, 100, 3), np.uint8), floor, np.zeros(2), 0.1)
    rows, columns = np.argwhere(drawn.any(-1)).T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (19, 80, 39, 60)
    assert not drawn[21:79, 41:59].any()


def test_the_agent_stands_on_its_path_and_looks_ahead() -> None:
    view = TopView(np.array([-2.0, -2.0]), 50.0, 200)
    canvas = np.zeros((200, 200, 3), np.uint8)
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    drawn = pictures.draw_path(view, canvas, positions, np.zeros(2), 0, 60.0).astype(int).sum(-1)
    assert drawn[100, 100] > 300
    assert drawn[60:90].sum() > 4 * drawn[110:140].sum()  # yaw 0 looks along -z, which is up


def film(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
    return [np.roll(base, 3 * k, axis=1) for k in range(count)]


def test_films_hold_every_frame(tmp_path: Path) -> None:
    import imageio.v2 as imageio

    assert write_mp4(tmp_path / "a.mp4", film(7), 5) == 7
    reader = imageio.get_reader(tmp_path / "a.mp4")
    assert reader.count_frames() == 7  # type: ignore[attr-defined]
    assert reader.get_data(0).shape == (64, 96, 3)
    frames, size = write_gif(tmp_path / "a.gif", film(7), 10, 10**6, hold=2.0)
    assert (frames, size) == (7, (tmp_path / "a.gif").stat().st_size)
    with Image.open(tmp_path / "a.gif") as picture:
        assert (picture.n_frames, picture.size) == (7, (96, 64))  # type: ignore[attr-defined]
        picture.seek(6)
        assert picture.info["duration"] == 2000
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "a.gif"}


def test_a_film_that_is_too_large_loses_colours_then_frames_then_is_refused(tmp_path: Path) -> None:
    frames = film(16)
    _, whole = write_gif(tmp_path / "a.gif", frames, 10, 10**7)
    count, size = write_gif(tmp_path / "a.gif", frames, 10, round(whole * 0.8))
    assert (count, size <= whole * 0.8) == (16, True)
    count, size = write_gif(tmp_path / "a.gif", frames, 10, round(whole * 0.3))
    assert count < 16
    assert size <= whole * 0.3
    with pytest.raises(ValueError, match="do not fit into a GIF of 1000 bytes"):
        write_gif(tmp_path / "b.gif", frames, 10, 1000)
    assert not (tmp_path / "b.gif").exists()
