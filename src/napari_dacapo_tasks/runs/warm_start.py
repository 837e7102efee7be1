"""Beginning with what another run, or DaCapo, has learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.errors import ConfigError, RunError
from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.tasks import PretrainedTaskConfig, TaskConfig
from napari_dacapo_tasks.tasks.values import shown

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures.weights import Weights

SHAPING = (
    "fmaps_in",
    "num_fmaps",
    "fmap_inc_factor",
    "fmaps_out",
    "downsample_factors",
    "kernel_size_down",
    "kernel_size_up",
    "upsample_factors",
    "constant_upsample",
    "use_attention",
    "batch_norm",
)
"""Fields of an architecture that decide which tensors there are, and of which shapes."""


@dataclass(frozen=True)
class Start:
    """Trained weights to begin with, and what is known of them.

    Attributes
    ----------
    weights
        By the names that they have in the chain of a model; where training kept an average of
        them, that.
    checkpoint
        The file that they stand in.
    architecture, task
        Those of the run that they are of; None for a file alone.
    """

    weights: Weights
    checkpoint: Path
    architecture: CNNectomeUNet | None = None
    task: TaskConfig | None = None

    def check(self, task: TaskConfig, architecture: CNNectomeUNet, new_head: bool) -> None:
        """Raise ConfigError where they are those of another network than a task's.

        Parameters
        ----------
        task, architecture
            What is to be trained.
        new_head
            Whether the last layer may be another one.
        """
        import torch

        from napari_dacapo_tasks.architectures.weights import check_weights

        with torch.device("meta"):  # shapes only: no memory, and no random numbers
            model = task.task_type(task).predictor.create_model(architecture)
        try:
            check_weights(model, self.weights, new_head, f"The checkpoint {self.checkpoint}")
        except ConfigError as error:
            others = self._other_than(architecture)
            if not others:
                raise
            raise ConfigError(
                f"The run of {self.checkpoint} was trained with another network: "
                f"{', '.join(others)}; choose the same values to begin with its weights."
            ) from error

    def _other_than(self, architecture: CNNectomeUNet) -> list[str]:
        if self.architecture is None:
            return []
        pairs = [
            (name, getattr(self.architecture, name), getattr(architecture, name))
            for name in SHAPING
        ]
        return [
            f"{name} is {shown(there)} there and {shown(here)} here"
            for name, there, here in pairs
            if there != here
        ]


def open_start(source: str | Path) -> Start:
    """Read the weights that a new run is to begin with.

    Parameters
    ----------
    source
        A run folder, whose best checkpoint it is, or the last where none has a score; or a
        checkpoint of a run or of DaCapo. Nothing in it is executed.

    Raises
    ------
    DataError
        Where the file cannot be read, is damaged or holds more than tensors and plain values.
    RunError, ConfigError
        Where the folder is no run, or has no checkpoint yet.
    """
    from napari_dacapo_tasks.architectures.weights import read_checkpoint, weights_to_predict

    source = Path(source).absolute()
    if not source.is_dir():
        content = read_checkpoint(source)
        run = _run_around(source)
    else:
        run = RunFolder.open(source)
        best = run.best_checkpoint() or run.latest_checkpoint()
        content = run.load_checkpoint(best)
        assert best is not None, "there was one to load"
        source = best
    weights = weights_to_predict(content, f"The checkpoint {source}")
    if run is None:
        return Start(weights, source)
    return Start(weights, source, run.config.architecture, run.config.task)


def begin_with(
    source: str | Path, task: TaskConfig, *, new_head: bool = False
) -> PretrainedTaskConfig:
    """Give a task that begins with trained weights.

    Parameters
    ----------
    source
        A run folder or a checkpoint, as of `open_start`; it is read when a run is made of the
        task, which then keeps the weights.
    task
        What is to be learned; of one that begins with other weights, the task inside of it.
    new_head
        Leave out the last layer, for a task that answers something else.
    """
    inner = task.sub_task_config if isinstance(task, PretrainedTaskConfig) else task
    return PretrainedTaskConfig(
        name=task.name,
        sub_task_config=inner,
        weights=str(Path(source).absolute()),
        new_head=new_head,
    )


def _run_around(checkpoint: Path) -> RunFolder | None:
    """Give the run that a checkpoint lies in, None for one that lies elsewhere."""
    try:
        return RunFolder.open(checkpoint.parent.parent)
    except (RunError, ConfigError):
        return None
