"""The verb ``worker``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
    """Help with a prediction that another program has begun with `predict --workers`.

    It gets its blocks from there, over the network, and writes them into the same folder.
    """
    from napari_dacapo_tasks.prediction.large.block_worker import work

    done = work(
        job_folder,
        session=session,
        server=None if server is None else _address(server),
        number=number,
        parent=parent,
    )
    print(f"{done} blocks predicted.")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"--server {text} must be as in host:12345.")
    return host.strip("[]"), int(port)
