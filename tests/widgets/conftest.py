"""Small ground truth for widgets, and settings that are nobody's."""

from pathlib import Path

import numpy as np
import pytest

from napari_dacapo_tasks.widgets import settings

BALLS = {1: ((10, 10, 10), 6), 2: ((22, 20, 12), 5), 3: ((15, 21, 24), 4)}
"""Centre and radius of each label, in voxels."""


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
