from __future__ import annotations

import gc
from typing import Any

from napari.components import ViewerModel
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_dacapo_tasks.widgets.lifetime import _Connection, connect_while_alive


class Model:
    changed = Signal(int)


class Listener(QObject):
    heard: list[Any] = []

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.cycle = self

    def listen(self, value: Any = None) -> None:
        self.objectName()  # raises in a deleted object
        self.heard.append(value)


def test_a_deleted_object_hears_no_more_while_python_still_knows_it(qtbot: Any) -> None:
    model, viewer, parent = Model(), ViewerModel(), QObject()
    listener = Listener(parent)
    connect_while_alive(listener, model.changed, listener.listen)
    connect_while_alive(listener, viewer.events.theme, listener.listen)
    listener.heard.clear()
    model.changed.emit(1)
    viewer.theme = "light"
    assert len(listener.heard) == 2
    with qtbot.waitSignal(listener.destroyed):
        parent.deleteLater()
    model.changed.emit(2)
    viewer.theme = "dark"
    assert len(listener.heard) == 2


def test_the_collector_may_take_the_python_half_first(qtbot: Any) -> None:
    model, parent = Model(), QObject()
    before = len(_Connection.kept)
    connect_while_alive(child := Listener(parent), model.changed, child.listen)
    assert len(_Connection.kept) == before + 1
    del child
    gc.collect()
    with qtbot.waitSignal(parent.destroyed):
        parent.deleteLater()
    model.changed.emit(3)
    assert len(_Connection.kept) == before
