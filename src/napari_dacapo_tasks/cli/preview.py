"""The verb ``preview``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dacapo_tasks.arrays.ome_zarr import refuse_taken, write_ome_zarr_group
from napari_dacapo_tasks.cli.common import (
    AsJson,
    Channels,
    GtPath,
    IgnoreLabel,
    Mask,
    TaskPath,
    ZeroIsUnlabelled,
    followed,
    ground_truth,
    print_json,
)
from napari_dacapo_tasks.tasks.files import load_task
from napari_dacapo_tasks.terminal import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_dacapo_tasks.arrays import GroundTruth
    from napari_dacapo_tasks.tasks import TaskConfig
    from napari_dacapo_tasks.tasks.preview import ChannelStatistics, Preview


def preview(
    task: TaskPath,
    gt: GtPath,
    out: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="Folder to write.")],
    mask: Mask = None,
    zero_is_unlabelled: ZeroIsUnlabelled = False,
    ignore_label: IgnoreLabel = None,
    channel: Channels = None,
    as_json: AsJson = False,
) -> None:
    """Write what a task makes of labels.

    That is the target, the weight and, of some tasks, the distance mask: each an OME-Zarr image in
    OUT.zarr.
    """
    refuse_taken(out)
    config = load_task(task)
    truth = ground_truth(config, gt, mask, channel, zero_is_unlabelled, ignore_label)
    with ProgressLine() as line:
        result, images = followed(_written(config, truth, out), line.show)
    if as_json:
        channels = [
            {**asdict(one), "histogram": one.histogram.tolist()} for one in result.statistics
        ]
        print_json({"path": str(out.absolute()), "images": images, "channels": channels})
    else:
        for one in result.statistics:
            print(_sentence(one))
        for notice in result.notices:
            print(notice)
        print(f"Wrote {', '.join(images)} to {out}.")


def _written(
    config: TaskConfig, truth: GroundTruth, out: Path
) -> Generator[str, None, tuple[Preview, list[str]]]:
    """Make and write a preview; yields what is being done, gives the names of the images, too."""
    from napari_dacapo_tasks.tasks.preview import PreviewProgress
    from napari_dacapo_tasks.tasks.preview import preview as previewed

    result: Preview | None = None
    for event in previewed(config, truth):
        if isinstance(event, PreviewProgress):
            yield event.doing
        else:
            result = event
    assert result is not None, "a preview ends with its result"
    images = {"target": result.target, "weight": result.weight}
    for name, made in result.masks.items():
        images[name.replace(" ", "_")] = made
    for share in write_ome_zarr_group(out, images):
        yield f"Writing {share:.0%}"
    return result, list(images)


def _sentence(one: ChannelStatistics) -> str:
    text = (
        f"{one.channel}: {one.foreground:.1%} foreground, {one.unknown:.1%} unknown, "
        f"{one.dropped:.1%} left out"
    )
    if one.weight_range is not None:
        text += ", weights {:.3g} to {:.3g}".format(*one.weight_range)
    return text
