"""Connections to napari's models that end with the widget: models outlive docks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from qtpy.QtCore import QObject


def connect_while_alive(owner: QObject, signal: Any, slot: Callable[..., Any]) -> None:
    """Connect a signal of napari or psygnal to a method of a Qt object until that is deleted.

    They hold methods weakly, but the Python half of a deleted Qt object may still be around, and
    calling it raises.
    """
    signal.connect(slot)
    owner.destroyed.connect(_Connection(signal, slot).end)


class _Connection:
    """What is to be disconnected, kept here until then.

    A closure or a partial would be kept by the owner. Python's collector may take those apart
    together with the owner's Python half, and Qt would still call what is left when it deletes
    the other half.
    """

    kept: set[_Connection] = set()

    def __init__(self, signal: Any, slot: Callable[..., Any]) -> None:
        self._signal, self._slot = signal, WeakMethod(slot)
        self.kept.add(self)

    def end(self, _owner: object = None) -> None:
        """Disconnect; where the method's object is gone, that has been done."""
        self.kept.discard(self)
        slot = self._slot()
        if slot is not None:
            self._signal.disconnect(slot)
