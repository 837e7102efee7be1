"""The verb ``predict``."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from funlib.geometry import Coordinate, Roi

from napari_dacapo_tasks.arrays import Array
from napari_dacapo_tasks.arrays.open import open_array
from napari_dacapo_tasks.cli.common import AsJson, print_json
from napari_dacapo_tasks.cli.trained import (
    STOPPED,
    CheckpointOption,
    Overwrite,
    Resume,
    RunOrFile,
    array_values,
    checkpoint_of,
    exists_of,
    options_named,
)
from napari_dacapo_tasks.terminal import ProgressLine, interrupted_softly

if TYPE_CHECKING:
    from napari_dacapo_tasks.arrays.growing_image import Exists
    from napari_dacapo_tasks.prediction.config import PredictionConfig
    from napari_dacapo_tasks.prediction.events import PredictionEvent
    from napari_dacapo_tasks.prediction.prediction import Prediction

Edges = Literal["mirror", "leave-out"]


def predict(
    run: RunOrFile,
    raw: Annotated[str, typer.Argument(metavar="RAW", help="Path of the image.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.zarr", help="Folder to write.")],
    roi: Annotated[
        str | None,
        typer.Option(
            metavar="Z0:Z1,Y0:Y1,X0:X1", help="Part of the image, in its voxels; all of it else."
        ),
    ] = None,
    checkpoint: CheckpointOption = "best",
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="cpu, cuda:0, mps or auto.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="float32, bfloat16 or float16, on a graphics card."),
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(
            metavar="Z,Y,X", help="Voxels that the network sees at once; what fits memory else."
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Average over all mirrored views: 8 times the work.")
    ] = False,
    edges: Annotated[
        Edges | None,
        typer.Option(
            metavar="EDGES", help="At those of the image: mirror, or leave-out what is too near."
        ),
    ] = None,
    resample: Annotated[
        bool,
        typer.Option("--resample", help="Bring an image of another voxel size to the network's."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Predict block by block, in so many processes."),
    ] = None,
    worker_command: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help='How a worker is started elsewhere, as in "srun --gpus 1 {command}".',
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Predict an image with a trained network.

    The image may be of any size; OUT.zarr becomes an OME-Zarr image. Ctrl-C stops it, with exit
    code 1: what is there then can be opened, and --resume goes on.
    """
    from napari_dacapo_tasks.prediction.config import PredictionConfig
    from napari_dacapo_tasks.tasks.values import validated

    exists = exists_of(overwrite, resume)
    which = checkpoint_of(checkpoint)
    given = {
        "device": device,
        "precision": precision,
        "tile_shape": None if tile is None else _numbers(tile),
        "mirror": mirror or None,
        "edges": None if edges is None else edges.replace("-", " "),
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    config = validated(PredictionConfig, wanted, "predict")
    slices = None if roi is None else _parsed(roi)
    image = open_array(raw)
    region = None if slices is None else region_of(image, slices)
    if workers is None and worker_command is None:
        steps = _in_this_process(run, which, image, out, region, config, resample, exists)
    else:
        from napari_dacapo_tasks.prediction.large.blockwise import BlockwiseJob, predict_blockwise

        job = BlockwiseJob(
            trained=run,
            raw=raw,
            out=out,
            checkpoint=which,
            roi=region,
            config=config,
            workers=workers or 1,
            command=worker_command,
            resample=resample,
        )
        steps = predict_blockwise(job, exists=exists)
    with options_named():
        seen = _followed(steps)
    _tell(seen, out, as_json)
    if seen.result is None:
        raise typer.Exit(STOPPED)


def region_of(image: Array, slices: tuple[slice, ...]) -> Roi:
    """Give a block in voxels of an image as a region, in grid steps.

    Ends that are left out are those of the image, and negative ones count from its end.
    """
    if len(slices) != image.dims:
        raise typer.BadParameter(
            f"--roi has {len(slices)} ranges, but the image {image.dims} axes: give one for each."
        )
    begin, end = [], []
    for part, size in zip(slices, image.shape, strict=True):
        first = 0 if part.start is None else part.start
        last = size if part.stop is None else part.stop
        begin.append(first + size if first < 0 else first)
        end.append(last + size if last < 0 else last)
    if any(b >= e for b, e in zip(begin, end, strict=True)):
        raise typer.BadParameter("--roi is empty: each range must end after it begins.")
    voxel = image.voxel_size
    shape = Coordinate(end) - Coordinate(begin)
    return Roi(image.roi.begin + Coordinate(begin) * voxel, shape * voxel)


def _in_this_process(
    run: Path,
    checkpoint: Any,
    image: Array,
    out: Path,
    region: Roi | None,
    config: PredictionConfig,
    resample: bool,
    exists: Exists,
) -> Generator[PredictionEvent, None, Prediction]:
    from napari_dacapo_tasks.prediction.events import Notice
    from napari_dacapo_tasks.prediction.fit import plan_prediction
    from napari_dacapo_tasks.prediction.predict import predict as predicted
    from napari_dacapo_tasks.prediction.trained import open_trained

    trained = open_trained(run, checkpoint)
    plan = plan_prediction(trained, image, region, config=config, resample=resample)
    for notice in (*trained.notices, *plan.notices):
        yield Notice(notice)
    return (yield from predicted(plan, config, out, exists=exists))


@dataclass
class _Seen:
    """What predicting said that its result needs."""

    notices: list[str] = field(default_factory=list)
    device: str = ""
    share: float = 0.0
    voxels_per_second: float = 0.0
    seconds: float = 0.0
    result: Prediction | None = None


def _followed(steps: Generator[PredictionEvent, None, Prediction]) -> _Seen:
    """Go through all steps, or until Ctrl-C, and show how far it is."""
    from napari_dacapo_tasks.prediction.events import Filled, Notice, Opened

    seen = _Seen()
    begun = perf_counter()
    with ProgressLine() as line, interrupted_softly() as interrupted:
        while not interrupted():
            try:
                event = next(steps)
            except StopIteration as end:
                seen.result = end.value
                break
            match event:
                case Opened():
                    seen.device = event.device
                    line.say(f"Predicting on {event.device}.")
                case Filled():
                    seen.share, seen.voxels_per_second = event.share, event.voxels_per_second
                    line.show(_standing(event.share, event.voxels_per_second), event.share)
                case Notice():
                    seen.notices.append(event.text)
                    line.say(event.text)
        steps.close()
    seen.seconds = perf_counter() - begun
    return seen


def _standing(share: float, speed: float) -> str:
    fast = f", {speed / 1e6:.3g} million voxels per second" if speed else ""
    return f"predicted {share:.0%}{fast}"


def _tell(seen: _Seen, out: Path, as_json: bool) -> None:
    result = seen.result
    if as_json:
        known: dict[str, Any] = {} if result is None else array_values(result.array)
        task = None if result is None else result.task
        print_json(
            {
                "path": str(out.absolute()),
                "finished": result is not None,
                "share": 1.0 if result is not None else seen.share,
                "task": None if task is None else task.name,
                "names": None if task is None else list(task.task_type(task).channels),
                **known,
                "device": seen.device,
                "seconds": seen.seconds,
                "voxels_per_second": seen.voxels_per_second,
                "notices": seen.notices,
            }
        )
    elif result is not None:
        print(f"Wrote {result.array.describe()} to {out}.")
    else:
        print(f"Stopped at {seen.share:.0%}; the same command with --resume goes on in {out}.")


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        raise typer.BadParameter(f"--tile {text} must be whole numbers, as in 96,96,96.") from None


def _parsed(text: str) -> tuple[slice, ...]:
    from napari_dacapo_tasks.runs.data_config import parsed_block

    try:
        return parsed_block(text)
    except ValueError as error:
        raise typer.BadParameter(f"--roi: {error}.") from None
