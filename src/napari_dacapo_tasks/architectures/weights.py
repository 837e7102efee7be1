"""Trained weights from a file into a model, with nothing in the file executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from napari_dacapo_tasks.architectures.model import Model
from napari_dacapo_tasks.errors import ConfigError, DataError

Source = str | PathLike[str] | Mapping[str, Any]
Weights = dict[str, Tensor]

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
        Leave the head as it is in the model, whatever the checkpoint has there.

    Returns
    -------
    list of str
        Names of the tensors that ``new_head`` left as they were.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, holds anything but plain values and tensors, no
        weights, or weights that are NaN or infinite.
    ConfigError
        If the weights are those of another network; the sentence names layers and shapes.
    """
    if isinstance(source, Mapping):
        described, found = "The checkpoint", _weights_of(source, "The checkpoint")
    else:
        described, found = _described(source), _read_weights(source)
    weights, left = _fitted(model, found, described, new_head)
    model.chain.load_state_dict({**model.chain.state_dict(), **weights})
    return left


def weights_to_predict(content: Mapping[str, Any], described: str = "The checkpoint") -> Weights:
    """Give the weights of a checkpoint's content that predict: their average, if it has one.

    Training keeps the average beside the weights that it goes on with: ``ema`` and ``model``.
    """
    average = content.get("ema")
    return _weights_of({"model": average} if average else content, described)


def check_weights(
    model: Model, source: Source, new_head: bool = False, described: str = "The checkpoint"
) -> Weights:
    """Refuse what `load_weights` would refuse, without loading.

    Parameters
    ----------
    model
        It may be on the meta device, since only shapes are looked at.
    source, new_head
        As in `load_weights`.
    described
        What the content is, where it is no file, as the begin of a sentence.

    Returns
    -------
    dict of str to Tensor
        All weights of the source.
    """
    if isinstance(source, Mapping):
        found = _weights_of(source, described)
    else:
        described, found = _described(source), _read_weights(source)
    _fitted(model, found, described, new_head)
    return found


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


def write_checkpoint(state: Mapping[str, Any], file: IO[bytes]) -> None:
    """Save tensors and plain values, for `read_checkpoint`; raises OSError where that fails."""
    try:
        torch.save(dict(state), file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch tells of its own trouble only
            raise error.__context__ from None
        raise


def _is_refusal(reason: str) -> bool:
    """Whether PyTorch's safe reader met a call or a class, and not just odd bytes."""
    return any(words in reason for words in REFUSALS)


def _described(path: str | PathLike[str]) -> str:
    return f"The checkpoint {path}"


def _read_weights(path: str | PathLike[str]) -> Weights:
    return _weights_of(read_checkpoint(path), _described(path))


def _weights_of(content: Mapping[str, Any], described: str) -> Weights:
    """State dict of the chain, out of whatever it comes in."""
    weights = content.get("model", content)
    if not isinstance(weights, Mapping) or not weights:
        raise DataError(f'{described} holds no weights under "model".')
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise DataError(
                f'{described} holds no weights under "model": {name} is a {type(value).__name__}.'
            )
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            raise DataError(f"{described} holds {name} in a form that is no plain array.")
        if not value.isfinite().all():
            raise DataError(
                f"{described} holds weights that are NaN or infinite ({name}): choose an earlier "
                "one."
            )
    if any(name.startswith("chain.") for name in weights):
        return {
            name.removeprefix("chain."): tensor
            for name, tensor in weights.items()
            if name.startswith("chain.")
        }
    return dict(weights)


def _fitted(
    model: Model, found: Weights, described: str, new_head: bool
) -> tuple[Weights, list[str]]:
    """Give the weights that a model takes, and the names of those that it keeps."""
    wanted = model.chain.state_dict()
    kept = [name for name in wanted if new_head and name.startswith(HEAD)]
    if new_head:
        found = {name: tensor for name, tensor in found.items() if not name.startswith(HEAD)}
    differences = _differences(found, {n: t for n, t in wanted.items() if n not in kept})
    if differences:
        named = "; ".join(list(differences.values())[:MOST_NAMED])
        rest = len(differences) - MOST_NAMED
        more = f"; and {rest} more" if rest > 0 else ""
        head_only = all(name.startswith(HEAD) for name in differences)
        instead = ", or start the head anew" if head_only else ""
        raise ConfigError(
            f"{described} holds the weights of another network: {named}{more}. Choose the "
            f"parameters that it was trained with{instead}."
        )
    return found, kept


def _differences(found: Weights, wanted: Weights) -> dict[str, str]:
    """Say what differs, tensor by tensor in the order of the network."""
    differences = {}
    for name, tensor in wanted.items():
        if name not in found:
            differences[name] = f"it has no {name} {tuple(tensor.shape)}"
        elif found[name].shape != tensor.shape:
            differences[name] = (
                f"{name} is {tuple(found[name].shape)} and should be {tuple(tensor.shape)}"
            )
    for name, tensor in found.items():
        if name not in wanted:
            differences[name] = f"it has {name} {tuple(tensor.shape)}, which the model lacks"
    return differences
