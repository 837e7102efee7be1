"""The verb ``new``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dacapo_tasks.cli.common import (
    AsJson,
    Channels,
    IgnoreLabel,
    Sets,
    ZeroIsUnlabelled,
    labels_of,
    overrides_of,
    print_json,
    returned,
)
from napari_dacapo_tasks.runs.augmentation import Preset
from napari_dacapo_tasks.tasks.files import load_task
from napari_dacapo_tasks.terminal import ProgressLine

if TYPE_CHECKING:
    from napari_dacapo_tasks.runs.data_config import CropConfig

ALL, NONE = "all", "none"
"""What ``--validate-on`` takes in place of a block."""

SAMPLING = "data.sampling."


def new(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Folder to make.")],
    task: Annotated[Path, typer.Option(metavar="TASK.yaml", help="Task file.")],
    raw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Path of raw data. Once for all crops, or once for each, in the order of --gt.",
        ),
    ] = None,
    gt: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Path of the labels of a crop. Once for each crop."),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Path of an array that is nonzero where labels are known. Once for each crop, "
            "in the order of --gt.",
        ),
    ] = None,
    validate_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BLOCK",
            help="What of a crop validates instead of training: a block such as 120:160,:,: in "
            "voxels of its labels, all, or none. Once for each crop, in the order of --gt.",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="SPLIT.csv",
            help="A data split of DaCapo, or a table with the columns use, raw, gt, mask, share, "
            "validation_block and name.",
        ),
    ] = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    channel: Channels = None,
    augment: Annotated[
        Preset | None,
        typer.Option(
            metavar="PRESET", help="How crops are varied: none, light (if left out), em or strong."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN_OR_CHECKPOINT",
            help="Begin with trained weights: the best of a run, with its network, or those in a "
            "file.",
        ),
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="With --from: begin anew with the last layer.")
    ] = False,
    changes: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Make a run: a folder with all that training needs.

    The network is proposed from the data; --set architecture.NAME=VALUE changes it.
    """
    from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
    from napari_dacapo_tasks.runs.create import create_run
    from napari_dacapo_tasks.runs.data_config import SamplingConfig
    from napari_dacapo_tasks.runs.datasplit import open_rows, read_datasplit
    from napari_dacapo_tasks.runs.overrides import overridden
    from napari_dacapo_tasks.runs.proposal import propose_for_rows
    from napari_dacapo_tasks.runs.trainer_config import TrainerConfig

    overrides = {
        f"sampling.{name.removeprefix(SAMPLING)}" if name.startswith(SAMPLING) else name: value
        for name, value in overrides_of(changes).items()
    }
    of_task = {name: overrides.pop(name) for name in [*overrides] if name.startswith("task.")}
    config: Any = overridden({"task": load_task(task)}, of_task)["task"]  # it names the channels
    crops = _crops(raw or [], gt or [], mask or [], validate_on or [])
    crops += read_datasplit(table) if table is not None else []
    if not crops:
        raise typer.BadParameter("give --raw and --gt, or --csv.")
    labels = labels_of(config, channel, zero_is_unlabelled, ignore_label)
    if new_head and source is None:
        raise typer.BadParameter("--new-head needs --from.")
    architecture = None
    if source is not None:
        from napari_dacapo_tasks.runs.warm_start import begin_with, open_start

        architecture = open_start(source).architecture
        config = begin_with(source, config, new_head=new_head)
    rows = open_rows(crops)
    trainer = TrainerConfig()
    if augment is not None:
        of = next((row.raw for row in rows if row.use == "train"), rows[0].raw)
        size = [length / of.unit.steps for length in of.voxel_size]
        varied = AugmentationConfig.preset(augment, size)
        trainer = trainer.model_copy(update={"augmentation": varied})
    if architecture is None:
        device = overrides.get("trainer.device", "")
        architecture = propose_for_rows(rows, task=config, labels=labels, device=device)
    proposed = {"architecture": architecture, "trainer": trainer, "sampling": SamplingConfig()}
    parts: dict[str, Any] = overridden(proposed, overrides)
    with ProgressLine() as line:
        steps = create_run(run_folder, task=config, rows=rows, labels=labels, **parts)
        made = returned(steps, line, "Making the run").config
    shape = list(made.architecture.input_shape)
    if as_json:
        found = {"task": made.task.name, "input_shape": shape, "crops": len(crops)}
        print_json({"run": str(run_folder.absolute()), **found})
    else:
        count = f"{len(crops)} crops" if len(crops) > 1 else "1 crop"
        print(
            f"Made {run_folder.absolute()} of {count} for {made.task.name}, with an input of "
            f"{shape} voxels."
        )
        print(f"Train it: napari-dacapo-tasks train {quote(str(run_folder))}")


def _crops(
    raw: Sequence[str], gt: Sequence[str], mask: Sequence[str], validate_on: Sequence[str]
) -> list[CropConfig]:
    """Put together what belongs to each crop."""
    from napari_dacapo_tasks.runs.data_config import CropConfig
    from napari_dacapo_tasks.tasks.values import validated

    for name, given, fewest in (
        ("raw", raw, 1),
        ("mask", mask, 0),
        ("validate-on", validate_on, 0),
    ):
        if len(given) not in ({fewest, len(gt)} if gt else {0}):
            once = "once for all, or " if fewest else ""
            raise typer.BadParameter(
                f"--{name} stands {len(given)} times and --gt {len(gt)} times: give it {once}once "
                "for each --gt."
            )
    crops = []
    for number, labels in enumerate(gt):
        values: dict[str, Any] = {"raw": raw[number % len(raw)], "gt": labels}
        if mask:
            values["mask"] = mask[number]
        block = validate_on[number] if validate_on else NONE
        if block == ALL:
            values["use"] = "validate"
        elif block != NONE:
            values["validation_block"] = block
        crops.append(validated(CropConfig, values, f"crop {number + 1}"))
    return crops
