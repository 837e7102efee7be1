"""Whether task files go to DaCapo and come from it unchanged; not a figure, but it needs DaCapo.

    python benchmarks/dacapo_files.py [--dacapo PYTHON]

DaCapo's own store (``--dacapo``, or the interpreter in ``DACAPO_PYTHON``) writes every kind of
task config, and we read it; we write them, and its store reads them. Prints a line for each, and
fails where one is another afterwards.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

LENGTHS = {"clip_distance": 200.0, "tol_distance": 40.0, "scale_factor": 50.0}
DISTANCE = {"name": "distance", "channels": ["mito", "er"], **LENGTHS}
INNER = {"name": "inner", "channels": ["mito"], **LENGTHS}
HOT = {"name": "hot", "channels": ["mito"], **LENGTHS, "kernel_size": 3}
ONE_HOT = {"name": "classes", "classes": ["background", "mito", "er: rough"]}
AFFINITIES = {
    "name": "affinities",
    "neighborhood": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-3, 0, 27]],
    "lsds": True,
    "num_lsd_voxels": 12,
    "background_as_object": True,
}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Distance": ("DistanceTaskConfig", {**DISTANCE, "mask_distances": False, "clipmin": 1e-5}),
    "InnerDistance": ("InnerDistanceTaskConfig", INNER),
    "HotDistance": ("HotDistanceTaskConfig", {**HOT, "mask_distances": True}),
    "OneHot": ("OneHotTaskConfig", ONE_HOT),
    "Affinities": ("AffinitiesTaskConfig", AFFINITIES),
    "Affinities in 2D": ("AffinitiesTaskConfig", {"name": "flat", "neighborhood": [[0, 1]]}),
    "Dummy": ("DummyTaskConfig", {"name": "d", "embedding_dims": 2, "detection_threshold": 0.5}),
}
for _title, (_kind, _fields) in list(CASES.items()):
    CASES[f"Pretrained of {_title}"] = (
        "PretrainedTaskConfig",
        {
            "name": f"{_fields['name']}_again",
            "sub_task_config": {"__type__": _kind, **_fields},
            "weights": "/data/mito setup/checkpoints/100000",
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dacapo", default=os.environ.get("DACAPO_PYTHON"), metavar="PYTHON")
    parser.add_argument("--dacapos-side", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.dacapos_side:
        dacapos_side(arguments.dacapos_side)
    elif arguments.dacapo:
        our_side(arguments.dacapo)
    else:
        parser.error("name DaCapo's interpreter with --dacapo, or in DACAPO_PYTHON")


def our_side(dacapo: str) -> None:
    """Write our files, let DaCapo read them and write its own, and read those."""
    from napari_dacapo_tasks.tasks.files import load_task, save_task, task_from_dict

    configs = {
        title: task_from_dict({"__type__": kind, **fields})
        for title, (kind, fields) in CASES.items()
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ours/tasks").mkdir(parents=True)
        for config in configs.values():
            save_task(config, folder / f"ours/tasks/{config.name}.yaml")
        extended = configs["Pretrained of OneHot"].model_copy(
            update={"new_head": True, "name": "extended"}
        )
        save_task(extended, folder / "ours/tasks/extended.yaml")
        if subprocess.run([dacapo, __file__, "--dacapos-side", folder]).returncode:
            raise SystemExit("FAILED  DaCapo's side, which says above what it was")
        tagged = 0
        for title, config in configs.items():
            path = folder / f"theirs/tasks/{config.name}.yaml"
            tagged += "!!python/tuple" in path.read_text()
            report(f"DaCapo writes, we read: {title}", load_task(path) == config)
        report("DaCapo's files hold the tag !!python/tuple", tagged == 4)


def dacapos_side(folder: Path) -> None:
    """Write and read the same configs with DaCapo's store for files."""
    from contextlib import redirect_stdout
    from importlib.metadata import version

    with open(os.devnull, "w") as silence, redirect_stdout(silence):
        from dacapo.experiments import tasks
        from dacapo.store.file_config_store import FileConfigStore
        from funlib.geometry import Coordinate
        from upath import UPath

        theirs, ours = FileConfigStore(folder / "theirs"), FileConfigStore(folder / "ours")

    def built(kind: str, fields: dict[str, Any]) -> Any:
        """Make a config as a script of DaCapo does."""
        values = dict(fields)
        if "neighborhood" in values:
            values["neighborhood"] = [Coordinate(offset) for offset in values["neighborhood"]]
        if "sub_task_config" in values:
            inner = dict(values["sub_task_config"])
            values["sub_task_config"] = built(inner.pop("__type__"), inner)
            values["weights"] = UPath(values["weights"])
        return getattr(tasks, kind)(**values)

    for title, (kind, fields) in CASES.items():
        config = built(kind, fields)  # it is equal only to one of its own type
        theirs.store_task_config(config)
        found = ours.retrieve_task_config(config.name)
        report(f"We write, DaCapo reads: {title}", found == config)
    kind, fields = CASES["Pretrained of OneHot"]
    wanted = built(kind, {**fields, "name": "extended"})
    found = ours.retrieve_task_config("extended")
    report("We write, DaCapo reads: a new head, which it does not know", found == wanted)
    print(f"(dacapo-ml {version('dacapo-ml')})", flush=True)


def report(what: str, is_right: bool) -> None:
    if not is_right:
        raise SystemExit(f"FAILED  {what}")
    print(f"OK  {what}", flush=True)


if __name__ == "__main__":
    main()
