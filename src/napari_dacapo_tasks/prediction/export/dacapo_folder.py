"""Folders that DaCapo reads."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dacapo_tasks.arrays.ome_zarr import refuse_taken
from napari_dacapo_tasks.prediction.export.description import (
    DESCRIPTION,
    WEIGHTS,
    ModelDescription,
)
from napari_dacapo_tasks.prediction.export.exported import Exported
from napari_dacapo_tasks.prediction.export.files import whole_folder
from napari_dacapo_tasks.runs.config import architecture_to_dict
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    HotDistanceTaskConfig,
    OneHotTaskConfig,
    TaskConfig,
)
from napari_dacapo_tasks.tasks.files import save_task, write_yaml

if TYPE_CHECKING:
    from napari_dacapo_tasks.architectures import CNNectomeUNet
    from napari_dacapo_tasks.prediction.trained import TrainedModel

TASK, ARCHITECTURE = "task.yaml", "architecture.yaml"

README = """\
# {name} for DaCapo

`{task}` and `{architecture}` are configs of DaCapo, and `{weights}` is a checkpoint with the
weights under `model`, as `PretrainedTaskConfig(weights=...)` takes it, or:

```python
import torch, yaml
from dacapo.experiments.architectures import ArchitectureConfig
from dacapo.experiments.tasks import TaskConfig
from dacapo.store.converter import converter

task_config = converter.structure(yaml.safe_load(open("{task}")), TaskConfig)
config = converter.structure(yaml.safe_load(open("{architecture}")), ArchitectureConfig)
model = task_config.task_type(task_config).create_model(config.architecture_type(config))
model.chain.load_state_dict(torch.load("{weights}", weights_only=True)["model"])
model.eval()
```

The network sees raw values of {low:g} as -1 and of {high:g} as 1, others in proportion.{size}
{notices}"""


def export_dacapo(trained: TrainedModel, folder: str | Path) -> Generator[float, None, Exported]:
    """Write a folder with task and architecture as DaCapo's YAML, and a checkpoint.

    This program reads it back, too: see `read_exported`.

    Parameters
    ----------
    trained
        Any.
    folder
        It must not exist, or be empty.

    Yields
    ------
    float
        Share that is done. To cancel, leave the generator.

    Raises
    ------
    DataError
        Where the folder is taken or cannot be written.
    """
    refuse_taken(folder)
    yield 0.0
    from napari_dacapo_tasks.architectures.weights import write_checkpoint

    description = ModelDescription.of(trained)
    notices = _differences(description)
    with whole_folder(folder) as partial:
        save_task(task_for_dacapo(description.task), partial / TASK)
        write_yaml(architecture_for_dacapo(description.architecture), partial / ARCHITECTURE)
        write_yaml(description.to_values(), partial / DESCRIPTION)
        (partial / "README.md").write_text(_readme(description, notices), encoding="utf-8")
        yield 0.1
        with open(partial / WEIGHTS, "wb") as file:
            # DaCapo looks for an optimizer's state, too, where it goes on with a run.
            write_checkpoint({"model": dict(trained.weights), "optimizer": {}}, file)
    return Exported(Path(folder).absolute(), notices)


def task_for_dacapo(task: TaskConfig) -> TaskConfig:
    """Give a task that means the same there: a kernel size left out is 3 in DaCapo 0.3.5."""
    if isinstance(task, (HotDistanceTaskConfig, OneHotTaskConfig)) and task.kernel_size is None:
        return task.model_copy(update={"kernel_size": 1})
    return task


def architecture_for_dacapo(architecture: CNNectomeUNet) -> dict[str, Any]:
    """Give the plain values that DaCapo reads: one name has an underscore there."""
    values = architecture_to_dict(architecture)
    values["_eval_shape_increase"] = values.pop("eval_shape_increase")
    values["upsample_factors"] = values["upsample_factors"] or None
    return values


def _differences(description: ModelDescription) -> tuple[str, ...]:
    """Say where DaCapo would do something else with the same weights."""
    task, architecture = description.task, description.architecture
    notices = []
    if isinstance(task, AffinitiesTaskConfig) and task.lsds:
        notices.append(
            "DaCapo's affinities task has no head for the descriptors: there the weights of its "
            "CNNectomeUNet fit, and the head must be made by hand."
        )
    if isinstance(task, HotDistanceTaskConfig):
        notices.append(
            "DaCapo's hot distance has no sigmoid in prediction: apply it to the first half of "
            "the channels."
        )
    if isinstance(task, OneHotTaskConfig):
        notices.append("DaCapo's one-hot has no softmax in prediction: apply it to the channels.")
    kernel = getattr(task, "kernel_size", None) or 1
    if kernel > 1:
        notices.append(
            f"DaCapo's head does not pad what it sees: there it answers for {kernel - 1} voxels "
            "less along each axis."
        )
    if architecture.padding == "same":
        notices.append(
            "DaCapo crops what a network with the padding same answers: there it answers for "
            "fewer voxels."
        )
    return tuple(notices)


def _readme(description: ModelDescription, notices: tuple[str, ...]) -> str:
    low, high = description.intensity_range
    size = " x ".join(f"{one:g}" for one in description.voxel_size)
    return README.format(
        name=description.name,
        task=TASK,
        architecture=ARCHITECTURE,
        weights=WEIGHTS,
        low=low,
        high=high,
        size=f" It was trained on voxels of {size} {description.unit}." if size else "",
        notices="".join(f"\n{notice}\n" for notice in notices),
    )
