"""Trained weights from a file into a model, with nothing in the file executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_dacapo_tasks.architectures.model import Model
from napari_dacapo_tasks.errors import ConfigError, DataError

Source = str | PathLike[str] | Mapping[str, Any]

HEAD = "1."
"""How the names of the head's tensors begin in the state dict of a chain."""

MOST_NAMED = 3
"""Differences that a sentence lists; the rest is counted."""

REFUSALS = ("GLOBAL", "call reduce", "Can only create", "Can only build")
"""Words of PyTorch's safe reader where a file asks for a function or a class."""


def load_weights(model: Model, source: Source, new_head: bool = False) -> list[str]:
    """Load a checkpoint's weights into a model; the model is unchanged if they do not fit.

    Parameters
    ----------
    model
        On any device and of any floating type.
    source
        A file or its content: a dictionary with the state dict of a model's ``chain`` under
        ``model``, as DaCapo and this program save it, or such a state dict, or that of a `Model`.
    new_head
        Leave tensors of the head as they are in the model where those of the checkpoint have
        another shape or are missing.

    Returns
    -------
    list of str
        Names of the tensors that ``new_head`` left as they were.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, holds anything but plain values and tensors, or
        no weights.
    ConfigError
        If the weights are those of another network; the sentence names layers and shapes.
    """
    if isinstance(source, Mapping):
        described, content = "The checkpoint", dict(source)
    else:
        described, content = f"The checkpoint {source}", read_checkpoint(source)
    found = _weights_of(content, described)
    wanted = model.chain.state_dict()
    left: list[str] = []
    if new_head:
        left = [
            name
            for name, tensor in wanted.items()
            if name.startswith(HEAD) and (name not in found or found[name].shape != tensor.shape)
        ]
        found = {name: tensor for name, tensor in found.items() if _of_use(name, wanted, left)}
    differences = _differences(found, {n: t for n, t in wanted.items() if n not in left})
    if differences:
        named = "; ".join(differences[:MOST_NAMED])
        rest = len(differences) - MOST_NAMED
        more = f"; and {rest} more" if rest > 0 else ""
        raise ConfigError(
            f"{described} holds the weights of another network: {named}{more}. Choose the "
            "parameters that it was trained with."
        )
    model.chain.load_state_dict({**wanted, **found})
    return left


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Any]:
    """Read a file of ``torch.save``, tensors onto the CPU, refusing all that is not plain data.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged, or it holds code.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(
            f"The checkpoint {path} cannot be read: {error.strerror or error}."
        ) from error
    with file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # bytes that are no checkpoint break the reader in any way
            if isinstance(error, pickle.UnpicklingError) and _is_refusal(str(error)):
                raise DataError(
                    f"The checkpoint {path} holds more than tensors and plain values and was not "
                    "opened, since that could run code: save its state dict alone."
                ) from error
            raise DataError(
                f"{path} is no whole checkpoint of PyTorch: it is damaged, cut short, or another "
                "file."
            ) from error
    if not isinstance(content, dict):
        raise DataError(
            f"The checkpoint {path} holds no state dict but a {type(content).__name__}."
        )
    return content


def _is_refusal(reason: str) -> bool:
    """Whether PyTorch's safe reader met a call or a class, and not just odd bytes."""
    return any(words in reason for words in REFUSALS)


def _weights_of(content: Mapping[str, Any], described: str) -> dict[str, Tensor]:
    """State dict of the chain, out of whatever it comes in."""
    weights = content.get("model", content)
    if not isinstance(weights, Mapping) or not weights:
        raise DataError(f'{described} holds no weights under "model".')
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise DataError(
                f'{described} holds no weights under "model": {name} is a {type(value).__name__}.'
            )
    if any(name.startswith("chain.") for name in weights):
        return {
            name.removeprefix("chain."): tensor
            for name, tensor in weights.items()
            if name.startswith("chain.")
        }
    return dict(weights)


def _of_use(name: str, wanted: Mapping[str, Tensor], left: list[str]) -> bool:
    """Whether a tensor of the checkpoint counts: the head's count only where the model has them."""
    return name not in left and (not name.startswith(HEAD) or name in wanted)


def _differences(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Say what differs, tensor by tensor in the order of the network."""
    differences = []
    for name, tensor in wanted.items():
        if name not in found:
            differences.append(f"it has no {name} {tuple(tensor.shape)}")
        elif found[name].shape != tensor.shape:
            differences.append(
                f"{name} is {tuple(found[name].shape)} and should be {tuple(tensor.shape)}"
            )
    for name, tensor in found.items():
        if name not in wanted:
            differences.append(f"it has {name} {tuple(tensor.shape)}, which the model lacks")
    return differences
