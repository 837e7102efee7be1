"""A run goes on at a cluster: everything in its folder, and a script for Slurm beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator
from pathlib import Path
from string import Template
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from napari_dacapo_tasks.errors import RunError
from napari_dacapo_tasks.runs.create import make_self_contained
from napari_dacapo_tasks.runs.files import whole_file
from napari_dacapo_tasks.runs.run_folder import RunFolder

SCRIPT = "train.slurm"
"""The script's name in the run folder."""

SECONDS_TO_SAVE = 300
"""Before the time is over, in which training ends its step or validation and saves."""


def _time(text: str) -> str:
    if not re.fullmatch(r"\d+(:\d\d){0,2}|\d+-\d+(:\d\d){0,2}", text):
        raise ValueError(f'"{text}" is no time as Slurm writes it, such as 90:00, 24:00:00 or 2-12')
    return text


def _name(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[\w.,@:+-]+", text):
        raise ValueError(f'"{text}" is no name that Slurm knows')
    return text


Name = Annotated[str | None, AfterValidator(_name)]


class ClusterConfig(BaseModel):
    """What a job may use, on one machine of the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: int = Field(
        default=1,
        ge=0,
        le=64,
        title="Graphics cards",
        description="A process trains on each, with the batch size of the run; 0 trains on the "
        "processor.",
    )
    cpus: int = Field(
        default=8,
        ge=1,
        le=1024,
        title="Processor cores",
        description="For all processes together; they prepare the crops.",
    )
    memory: int = Field(
        default=32, ge=1, le=65536, title="Memory", description="In gigabytes, of the machine."
    )
    time: Annotated[str, AfterValidator(_time)] = Field(
        default="24:00:00",
        title="Time",
        description="At most, as Slurm writes it: 24:00:00 is a day, and so is 1-00. The job saves "
        f"{SECONDS_TO_SAVE // 60} minutes before that and is queued again.",
    )
    partition: Name = Field(
        default=None,
        title="Partition",
        description="Queue of the cluster; left out, its usual one.",
    )
    account: Name = Field(
        default=None,
        title="Account",
        description="Who pays, where the cluster wants to know.",
    )
    setup: str | None = Field(
        default=None,
        title="Before it begins",
        description="Shell command that makes napari-dacapo-tasks available there, such as "
        '"source ~/env/bin/activate" or "module load miniforge && conda activate dacapo".',
    )


def slurm_script(run: RunFolder, config: ClusterConfig | None = None) -> str:
    """Write a script for ``sbatch`` that trains a run, in the folder in which it lies.

    It saves before its time is over and has itself queued again, until the run is finished.

    Parameters
    ----------
    run
        The run; the script works wherever its folder is copied to.
    config
        What the job may use.
    """
    config = config or ClusterConfig()
    name = re.sub(r"[^\w.-]+", "_", run.path.name).strip("_") or "run"
    processes = max(1, config.gpus)
    wanted = {
        "job-name": name,
        "nodes": 1,
        "ntasks": 1,
        "gres": f"gpu:{config.gpus}" if config.gpus else None,
        "cpus-per-task": config.cpus,
        "mem": f"{config.memory}G",
        "time": config.time,
        "partition": config.partition,
        "account": config.account,
        "signal": f"B:USR1@{SECONDS_TO_SAVE}",
        "output": "slurm-%j.out",
        "open-mode": "append",
    }
    options = [f"#SBATCH --{key}={value}" for key, value in wanted.items() if value is not None]
    return SLURM.substitute(
        options="\n".join([*options, "#SBATCH --requeue"]),
        folder=_in_comment(str(run.path)),
        there=_in_comment(f"CLUSTER:{run.path.name}"),
        name=_in_comment(run.path.name),
        script=SCRIPT,
        setup=config.setup or ": # nothing to set up",
        threads=max(1, config.cpus // processes),
        processes=processes,
        device="cuda" if config.gpus else "cpu",
    )


def take_to_cluster(
    run: RunFolder, config: ClusterConfig | None = None
) -> Generator[float, None, Path]:
    """Make a run ready to be copied to a cluster: all its data inside, and the script.

    Parameters
    ----------
    run
        The run.
    config
        What the job may use.

    Yields
    ------
    float
        Share that is done.

    Returns
    -------
    Path
        The script, which says at its beginning how it is used.

    Raises
    ------
    RunError
        Where the run is being trained: half of it would be copied before a step, half after.
    """
    if run.is_training():
        raise RunError(f"The run {run.path} is being trained: stop that first.")
    yield from make_self_contained(run)
    with whole_file(run.path, SCRIPT) as file:
        file.write(slurm_script(run, config).encode())
    return run.path / SCRIPT


def _in_comment(text: str) -> str:
    """Quote a path for a shell, on one line."""
    return shlex.quote(re.sub(r"[\r\n]", "?", text))


SLURM = Template(
    """#!/bin/bash
$options

# Trains a run of napari-dacapo-tasks on a cluster with Slurm.
#
# 1. Copy the folder:   rsync -a --exclude .lock $folder/ $there/
# 2. On the cluster:    cd $name && sbatch $script
# 3. Follow it there:   squeue --me; tail -f slurm-*.out; napari-dacapo-tasks runs .
# 4. End it early:      napari-dacapo-tasks stop .    (it saves; sbatch $script goes on)
# 5. Bring it back:     rsync -a $there/ $folder/

cd "$${SLURM_SUBMIT_DIR:-$$(dirname "$$0")}" || exit 1
$setup
export OMP_NUM_THREADS=$threads

# Shortly before the time is over training is asked to save, and the job is queued again.
out_of_time=0
save() {
    out_of_time=1
    napari-dacapo-tasks stop . || kill -TERM "$$training"
}
trap save USR1
trap : TERM # training gets it, too, and saves

torchrun --standalone --nproc-per-node $processes \\
    -m napari_dacapo_tasks train . --set trainer.device=$device &
training=$$!
while :; do
    wait "$$training" # a signal ends the waiting, too
    code=$$?
    kill -0 "$$training" 2> /dev/null || break
done

if [ "$$out_of_time" = 1 ]; then
    scontrol requeue "$$SLURM_JOB_ID"
fi
exit "$$code"
"""
)
