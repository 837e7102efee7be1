"""Small ground truth for widgets, patience, and settings that are nobody's."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_dacapo_tasks.widgets import settings

BALLS = {1: ((10, 10, 10), 6), 2: ((22, 20, 12), 5), 3: ((15, 21, 24), 4)}
"""Centre and radius of each label, in voxels."""


PATIENCE = 180_000
"""Milliseconds to wait for what takes a few, on a machine that has much else to do."""


@pytest.fixture
def qtbot(qtbot: Any) -> Any:
    """Wait for longer than the 5 seconds of pytest-qt where nothing else is said."""
    for name in ("waitUntil", "waitSignal", "waitSignals", "waitExposed"):
        setattr(qtbot, name, partial(getattr(qtbot, name), timeout=PATIENCE))
    return qtbot


@pytest.fixture(autouse=True)
def settings_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep tests away from the file of whoever runs them."""
    path = tmp_path / "settings" / "train-dock.json"
    monkeypatch.setattr(settings, "path_of_user", lambda: path)
    return path


@pytest.fixture
def balls():
    """Three balls that do not touch, labelled 1 to 3."""
    labels = np.zeros((32, 32, 32), np.uint8)
    axes = np.indices(labels.shape)
    for label, (centre, radius) in BALLS.items():
        squared = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
        labels[squared <= radius**2] = label
    return labels


@pytest.fixture
def place():
    """Options of a layer with voxels of 8 nm."""
    return {
        "scale": (8, 8, 8),
        "translate": (80, 160, 240),
        "units": ("nanometer",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
