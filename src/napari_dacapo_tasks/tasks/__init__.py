"""The tasks; importing them imports no torch."""

from napari_dacapo_tasks.tasks.affinities import AffinitiesTask, AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.distance import DistanceTask, DistanceTaskConfig
from napari_dacapo_tasks.tasks.dummy import DummyTask, DummyTaskConfig
from napari_dacapo_tasks.tasks.hot_distance import HotDistanceTask, HotDistanceTaskConfig
from napari_dacapo_tasks.tasks.inner_distance import InnerDistanceTask, InnerDistanceTaskConfig
from napari_dacapo_tasks.tasks.kinds import KINDS
from napari_dacapo_tasks.tasks.one_hot import OneHotTask, OneHotTaskConfig
from napari_dacapo_tasks.tasks.pretrained import PretrainedTask, PretrainedTaskConfig
from napari_dacapo_tasks.tasks.task import Measured, Task, TaskConfig

TASKS: list[type[TaskConfig]] = [*KINDS, PretrainedTaskConfig]
"""Every kind of task that forms offer, in the order in which they are offered."""

ALL: list[type[TaskConfig]] = [*TASKS, DummyTaskConfig]
"""Every kind of task that files may hold."""

__all__ = [
    "ALL",
    "KINDS",
    "TASKS",
    "AffinitiesTask",
    "AffinitiesTaskConfig",
    "DistanceTask",
    "DistanceTaskConfig",
    "DummyTask",
    "DummyTaskConfig",
    "HotDistanceTask",
    "HotDistanceTaskConfig",
    "InnerDistanceTask",
    "InnerDistanceTaskConfig",
    "Measured",
    "OneHotTask",
    "OneHotTaskConfig",
    "PretrainedTask",
    "PretrainedTaskConfig",
    "Task",
    "TaskConfig",
]
