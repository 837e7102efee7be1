"""Write docs/parameters.md: every parameter with default, bounds and help, from the configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.prediction.config import PredictionConfig
from napari_dacapo_tasks.runs.data_config import DataConfig
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import TASKS, AffinitiesTaskConfig, DistanceTaskConfig
from napari_dacapo_tasks.tasks.task import Measured, is_length

PAGE = Path(__file__).with_name("parameters.md")

HEAD = """\
# Parameters

Made by `make docs` from the configs themselves. Lengths are in nanometres, or in voxels for data
without a physical unit.
"""

BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def page() -> str:
    """Give the whole page."""
    sections = [(f"Task: {config.title} (`{config.__name__}`)", config) for config in TASKS]
    sections += [("Architecture (`CNNectomeUNet`)", CNNectomeUNet)]
    sections += _nested("Trainer (`trainer`)", "trainer", TrainerConfig)
    sections += _nested("Data (`data`)", "data", DataConfig)
    sections += [("Prediction", PredictionConfig)]
    for kind in DistanceTaskConfig, AffinitiesTaskConfig:
        config = kind.propose(["objects"], Measured((1.0, 1.0, 1.0)))
        for method in kind.task_type(config).methods:
            title = f"Segmentation: {method.title} ({kind.title})"
            sections += [(title, type(method.post_processor.default))]
    tables = [f"## {title}\n\n{_table(config)}" for title, config in sections]
    return "\n".join([HEAD, *tables])


def _nested(title: str, name: str, config: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    """Give a config and those inside of it, each under its own heading."""
    found = [(title, config)]
    for field_name, field in config.model_fields.items():
        if _is_config(field.annotation):
            inner = f"{name}.{field_name}"
            found += _nested(f"{field.title} (`{inner}`)", inner, field.annotation)
    return found


def _is_config(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _table(config: type[BaseModel]) -> str:
    rows = ["| parameter | default | bounds | what it does |", "|---|---|---|---|"]
    for name, field in config.model_fields.items():
        if _is_config(field.annotation):
            continue  # it has a table of its own
        unit = " (length)" if is_length(field) else ""
        bounds = " and ".join(
            f"{word} {getattr(rule, key):g}"
            for rule in field.metadata
            for key, word in BOUNDS.items()
            if getattr(rule, key, None) is not None
        )
        help_text = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(
            f"| `{name}`{unit} | {_default(field.get_default())} | {bounds} | {help_text} |"
        )
    return "\n".join(rows) + "\n"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    return "none" if value is None else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
