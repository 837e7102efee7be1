"""Run by the Python of a DaCapo installation: what DaCapo's networks answer for what we wrote.

Usage: dacapo_answers.py FOLDER ...; in each ``raw.npy`` becomes ``answer.npy``.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from dacapo.experiments.architectures import ArchitectureConfig
from dacapo.experiments.tasks import TaskConfig
from dacapo.store.converter import converter


def answer(folder):
    def structured(name, kind):
        return converter.structure(yaml.safe_load((folder / name).read_text()), kind)

    task_config = structured("task.yaml", TaskConfig)
    config = structured("architecture.yaml", ArchitectureConfig)
    architecture = config.architecture_type(config)
    model = task_config.task_type(task_config).create_model(architecture)
    weights = torch.load(folder / "weights.pt", weights_only=True)["model"]
    if folder.name == "descriptors":  # DaCapo has no head for them: its U-Net alone
        body = {name[2:]: value for name, value in weights.items() if name.startswith("0.")}
        architecture.load_state_dict(body)
        model = architecture
    else:
        model.chain.load_state_dict(weights)
    raw = torch.from_numpy(np.load(folder / "raw.npy"))
    with torch.no_grad():
        np.save(folder / "answer.npy", model.eval()(raw).numpy())


for argument in sys.argv[1:]:
    answer(Path(argument))
