"""What the docks of one viewer share."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, ClassVar

import napari
from napari.layers import Layer
from psygnal import Signal

from napari_dacapo_tasks.arrays import GroundTruth, LabelsConfig
from napari_dacapo_tasks.tasks import TaskConfig
from napari_dacapo_tasks.widgets.layers import array_of


class Session:
    """What the Task dock and the Train dock have, for the docks after them to use."""

    changed = Signal()
    """Emitted after anything that is set with `update` has changed."""

    run_changed = Signal()
    """Emitted after the run of the Train dock has changed, or begun, or ended."""

    _sessions: ClassVar[dict[int, Session]] = {}

    def __init__(self) -> None:
        self.task: TaskConfig | None = None
        self.labels_layer: Layer | None = None
        self.mask_layer: Layer | None = None
        self.labels_config = LabelsConfig()
        self.run: Path | None = None
        """Folder of the run that is in the Train dock."""

    @classmethod
    def of(cls, viewer: napari.Viewer) -> Session:
        """Give the session of a viewer; docks get the viewer behind a proxy or as it is."""
        model: Any = getattr(viewer, "__wrapped__", viewer)
        if id(model) not in cls._sessions:
            cls._sessions[id(model)] = cls()
            weakref.finalize(model, cls._sessions.pop, id(model), None)
        return cls._sessions[id(model)]

    def update(self, **values: Any) -> None:
        """Set attributes and tell the others."""
        for name, value in values.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.changed.emit()

    def set_run(self, run: Path | None) -> None:
        """Say which run is in the Train dock; also when more is known of the same one."""
        self.run = run
        self.run_changed.emit()

    def ground_truth(self) -> GroundTruth | None:
        """Give labels, mask and channels as they are now, None without a labels layer.

        Raises
        ------
        DataError
            Where the layers cannot be used.
        """
        if self.labels_layer is None:
            return None
        mask = None if self.mask_layer is None else array_of(self.mask_layer)
        return GroundTruth(array_of(self.labels_layer), self.labels_config, mask)
