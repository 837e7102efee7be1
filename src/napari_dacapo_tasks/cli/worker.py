"""The verb ``worker``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from napari_dacapo_tasks.terminal import stopped_at_once


def worker(
    job_folder: Annotated[
        Path, typer.Argument(metavar="OUT.zarr", help="Output of a prediction that goes on.")
    ],
    session: Annotated[str | None, typer.Option(hidden=True)] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the blocks come from; else it is read in the folder."
        ),
    ] = None,
    number: Annotated[int | None, typer.Option(hidden=True)] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Help with what `predict --workers` has begun.

    It gets its blocks from there, over the network, and writes them into the same folder.
    """
    from napari_dacapo_tasks.prediction.large.block_worker import work

    address = None if server is None else _address(server)
    with stopped_at_once(signal.SIG_DFL):  # its block goes to another worker
        done = work(job_folder, session=session, server=address, number=number, parent=parent)
    print(f"{done} blocks predicted.")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"--server {text} must be as in host:12345.")
    return host.strip("[]"), int(port)
