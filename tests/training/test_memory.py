"""How much memory a step takes, beside what it is estimated to take."""

from __future__ import annotations

import pytest
import torch

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.architectures.out_of_memory import is_out_of_memory
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.tasks import AffinitiesTaskConfig, HotDistanceTaskConfig, OneHotTaskConfig
from napari_dacapo_tasks.training.learner import Learner
from napari_dacapo_tasks.training.loader import Batch
from napari_dacapo_tasks.training.memory import memory_estimate
from napari_dacapo_tasks.training.world import World

TASKS = [
    AffinitiesTaskConfig(name="a", neighborhood=[(1, 0, 0), (0, 1, 0)], lsds=True),
    HotDistanceTaskConfig(
        name="h", channels=["x"], scale_factor=24, clip_distance=80, tol_distance=16
    ),
    OneHotTaskConfig(name="o", classes=["background", "first"]),
]
WIDE = CNNectomeUNet(
    input_shape=(44, 44, 44),
    num_fmaps=12,
    fmaps_out=12,
    fmap_inc_factor=3,
    downsample_factors=[(2, 2, 2)],
)


def most_allocated(work):
    """Give the most bytes that torch held at a time on the CPU, above what there was before."""
    with torch.profiler.profile(profile_memory=True) as profiled:
        work()
    held = most = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def measured(task, net, config):
    """Do two steps, and give what the second one takes with all that lasts."""
    built = task.task_type(task)
    model = built.create_model(net)
    learner = Learner(model, built.loss, config, "cpu", World.alone())
    crops = config.batch_size * config.optimizer.accumulation
    target = torch.zeros(crops, model.num_out_channels, *model.output_shape)
    raw = torch.randn(crops, model.num_in_channels, *model.input_shape)
    batch = Batch(raw, target, torch.ones_like(target), None)
    learner.learn(batch, 1e-4, 1)
    tensors = [*learner.state()["model"].values(), *learner.state().get("ema", {}).values()]
    for state in learner.optimizer.state_dict()["state"].values():
        tensors += [one for one in state.values() if isinstance(one, torch.Tensor)]
    lasting = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    batches = 2 * 4 * (raw.numel() + 2 * target.numel())
    return lasting + batches + most_allocated(lambda: learner.learn(batch, 1e-4, 2))


class TestEstimate:
    @pytest.mark.parametrize(
        ("task", "net", "trainer"),
        [
            (TASKS[0], WIDE, {}),
            (TASKS[0], WIDE, {"batch_size": 2, "optimizer": {"accumulation": 3}}),
            (TASKS[0], WIDE, {"execution": {"precision": "bfloat16"}}),
            (TASKS[1], WIDE.model_copy(update={"use_attention": True}), {}),
            (
                TASKS[2],
                WIDE.model_copy(update={"batch_norm": True}),
                {"optimizer": {"name": "SGD"}},
            ),
        ],
        ids=["plain", "batches", "bfloat16", "attention", "batch norm"],
    )
    def test_is_near_what_is_taken(self, task, net, trainer):
        config = TrainerConfig(**trainer)
        estimated, taken = memory_estimate(net, task, config), measured(task, net, config)
        assert taken / 1.5 < estimated < taken * 1.5, f"{estimated / taken:.2f} of it"

    def test_weights_of_a_wide_net_count_with_all_their_copies(self, small_net):
        net = small_net.model_copy(update={"num_fmaps": 128, "fmap_inc_factor": 4})
        task, config = TASKS[2], TrainerConfig(optimizer={"ema_decay": 0.9})
        estimated, taken = memory_estimate(net, task, config), measured(task, net, config)
        assert taken / 1.5 < estimated < taken * 1.5, f"{estimated / taken:.2f} of it"
        without = memory_estimate(net, task, TrainerConfig())
        model = task.task_type(task).create_model(net)
        assert estimated - without == 4 * sum(p.numel() for p in model.parameters())

    def test_takes_none_and_draws_no_random_numbers(self):
        state = torch.get_rng_state()
        huge = WIDE.model_copy(update={"num_fmaps": 2000, "input_shape": WIDE.input_shape * 10})
        assert memory_estimate(huge, TASKS[0], TrainerConfig()) > 10**12
        assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, is_it):
    assert is_out_of_memory(error) == is_it
