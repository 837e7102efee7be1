"""How often layers that fill are drawn again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QObject

from napari_dacapo_tasks.widgets import live_layers
from napari_dacapo_tasks.widgets.lazy_image import LazyImage
from napari_dacapo_tasks.widgets.live_layers import (
    REFRESH_SECONDS,
    SHARE_OF_MAIN_THREAD,
    LiveLayers,
)

COST = 2.0
"""Seconds of a clock that only drawing moves, and the test."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Drawn:
    """Stands for a layer that takes long to draw."""

    ndim, multiscale, visible = 3, False, True

    def __init__(self, clock: Clock) -> None:
        self.clock, self.how = clock, []

    @property
    def times(self) -> int:
        return len(self.how)

    def refresh(self, **how: Any) -> None:
        self.how.append(how)
        self.clock.now += COST


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live_layers, "perf_counter", clock)
    return clock


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_drawing_takes_its_share_of_the_time_and_no_more(
    clock: Clock, qtbot: Any, ndisplay: int
) -> None:
    owner, viewer, layer, hidden = QObject(), ViewerModel(), Drawn(clock), Drawn(clock)
    viewer.dims.ndisplay = ndisplay
    hidden.visible = False
    live = LiveLayers(viewer, lambda: [layer, hidden], owner)
    live.begin()
    live.touch()
    qtbot.waitUntil(lambda: layer.times == 1 and not live._painted.isActive())
    live.touch()
    clock.now += COST / SHARE_OF_MAIN_THREAD - 1
    live._look()
    assert layer.times == 1
    clock.now += 2
    live._look()
    assert layer.times == 2
    qtbot.waitUntil(lambda: not live._painted.isActive())
    clock.now += 10 * COST / SHARE_OF_MAIN_THREAD
    live._look()
    assert layer.times == 2, "there is nothing new"
    live.finish()
    assert layer.times == 3
    assert hidden.times == 0
    live.end()


def test_what_is_read_last_is_seen_at_once_with_its_thumbnail(clock: Clock, qtbot: Any) -> None:
    values = np.ones((1, 4, 4, 4), np.float32)
    owner, layer, image = QObject(), Drawn(clock), LazyImage([values], 1)
    live = LiveLayers(ViewerModel(), lambda: [layer], owner)
    live.begin(image)
    image.fill_all()
    live.finish()  # nothing is read yet
    assert not image.overview.any()
    qtbot.waitUntil(lambda: bool(image.overview.all()) and not live._reader.running)
    clock.now += 2 * REFRESH_SECONDS  # much less than the share
    live._look()
    assert layer.times == 2
    assert layer.how[-1]["thumbnail"]
    live.end()
