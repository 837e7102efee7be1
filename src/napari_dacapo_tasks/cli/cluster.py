"""The verb ``cluster``."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_dacapo_tasks.cli.common import AsJson, RunPath, print_json, returned
from napari_dacapo_tasks.terminal import ProgressLine


def cluster(
    run_folder: RunPath,
    gpus: Annotated[
        int | None, typer.Option(metavar="N", help="Graphics cards; 0 for none.")
    ] = None,
    cpus: Annotated[int | None, typer.Option(metavar="N", help="Processor cores.")] = None,
    memory: Annotated[int | None, typer.Option(metavar="GB", help="In gigabytes.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="At most, as in 24:00:00 or 2-12.")
    ] = None,
    partition: Annotated[
        str | None, typer.Option(metavar="NAME", help="Queue of the cluster.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Who pays.")] = None,
    setup: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help='Shell command to run first, as "source ~/env/bin/activate".',
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a run ready for a cluster.

    All its data is copied into it, and a script for Slurm is written there.
    """
    from napari_dacapo_tasks.runs.cluster import ClusterConfig, take_to_cluster
    from napari_dacapo_tasks.runs.run_folder import RunFolder
    from napari_dacapo_tasks.tasks.values import validated

    given = {
        "gpus": gpus,
        "cpus": cpus,
        "memory": memory,
        "time": time,
        "partition": partition,
        "account": account,
        "setup": setup,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    config = validated(ClusterConfig, wanted, "cluster")
    run = RunFolder.open(run_folder)
    with ProgressLine() as line:
        script = returned(take_to_cluster(run, config), line, "Copying what it needs")
    if as_json:
        print_json({"run": str(run.path), "script": str(script)})
    else:
        print(f"Wrote {script}, which says how to copy and to start it.")
