"""The list of all kinds of tasks that a network learns: a new one is a line here."""

from __future__ import annotations

from napari_dacapo_tasks.tasks.affinities import AffinitiesTaskConfig
from napari_dacapo_tasks.tasks.distance import DistanceTaskConfig
from napari_dacapo_tasks.tasks.hot_distance import HotDistanceTaskConfig
from napari_dacapo_tasks.tasks.inner_distance import InnerDistanceTaskConfig
from napari_dacapo_tasks.tasks.one_hot import OneHotTaskConfig
from napari_dacapo_tasks.tasks.task import TaskConfig

KINDS: list[type[TaskConfig]] = [
    DistanceTaskConfig,
    InnerDistanceTaskConfig,
    HotDistanceTaskConfig,
    OneHotTaskConfig,
    AffinitiesTaskConfig,
]
"""In the order in which they are offered; those that wrap another task are not among them."""
