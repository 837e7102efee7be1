"""The tasks; importing them imports no torch."""

from napari_dacapo_tasks.tasks.distance import DistanceTask, DistanceTaskConfig
from napari_dacapo_tasks.tasks.task import Measured, Task, TaskConfig

TASKS: list[type[TaskConfig]] = [DistanceTaskConfig]
"""Every kind of task that forms and files offer, in the order in which they are offered."""

__all__ = ["TASKS", "DistanceTask", "DistanceTaskConfig", "Measured", "Task", "TaskConfig"]
