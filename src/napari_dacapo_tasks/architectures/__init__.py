"""Networks: what they look like (without torch) and, on request, the networks themselves.

Importing this package imports no torch: ``Model``, ``WrappedArchitecture`` and ``load_weights``
are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_dacapo_tasks.architectures.architecture import Architecture
from napari_dacapo_tasks.architectures.cnnectome_unet import CNNectomeUNet

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures.model import Model
    from napari_dacapo_tasks.architectures.weights import load_weights
    from napari_dacapo_tasks.architectures.wrapped import WrappedArchitecture

__all__ = ["Architecture", "CNNectomeUNet", "Model", "WrappedArchitecture", "load_weights"]

NEED_TORCH = {"Model": "model", "WrappedArchitecture": "wrapped", "load_weights": "weights"}
"""Modules of the names that are imported on first use."""


def __getattr__(name: str) -> Any:
    if name not in NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{NEED_TORCH[name]}"), name)
