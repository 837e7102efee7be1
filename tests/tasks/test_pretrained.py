"""The pretrained task: all of another one, and weights to begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_dacapo_tasks.architectures import CNNectomeUNet
from napari_dacapo_tasks.arrays import NumpyArray
from napari_dacapo_tasks.errors import ConfigError, DataError
from napari_dacapo_tasks.tasks import (
    KINDS,
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    Measured,
    OneHotTaskConfig,
    PretrainedTask,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.units import WorldUnit

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = GOLDEN / "unet2d_transposed_checkpoint.pt"
NET = CNNectomeUNet(
    input_shape=(92, 92),
    num_fmaps=2,
    fmaps_out=6,
    fmap_inc_factor=2,
    downsample_factors=[(2, 2), (2, 2)],
    constant_upsample=False,
)
"""That of the checkpoint, which answers with one channel."""

DISTANCE = DistanceTaskConfig(
    name="d", channels=["a"], scale_factor=50, clip_distance=200, tol_distance=40
)
CLASSES = OneHotTaskConfig(name="c", classes=["background", "a", "b"])


def config(sub_task=DISTANCE, weights=CHECKPOINT, **more):
    return PretrainedTaskConfig(name="p", sub_task_config=sub_task, weights=weights, **more)


def task(*arguments, **more):
    made = config(*arguments, **more)
    return made.task_type(made)


def tensors(model):
    return model.chain.state_dict()


@pytest.fixture
def checkpoint():
    return torch.load(CHECKPOINT, weights_only=True)["model"]


class TestDelegation:
    @pytest.mark.parametrize("kind", [*KINDS, DummyTaskConfig])
    def test_all_but_the_weights_is_that_of_the_sub_task(self, kind):
        inner = kind.propose(["mito"], Measured((8.0, 8.0), 80.0))
        ours, theirs = task(inner), inner.task_type(inner)
        assert isinstance(ours, PretrainedTask)
        assert type(ours.predictor) is type(theirs.predictor)
        assert type(ours.loss) is type(theirs.loss)
        assert ours.channels == theirs.channels == ours.predictor.target_channels
        assert [one.title for one in ours.methods] == [one.title for one in theirs.methods]
        if theirs.methods:
            assert type(ours.post_processor) is type(theirs.post_processor)
            assert type(ours.evaluator) is type(theirs.evaluator)
            assert ours.parameters == theirs.parameters
        gt = NumpyArray(np.arange(400).reshape(20, 20) // 133, axes="yx", voxel_size=(8, 8))
        np.testing.assert_array_equal(
            ours.predictor.create_target(gt).data, theirs.predictor.create_target(gt).data
        )
        assert config(inner).ground_truth_channels == inner.ground_truth_channels
        assert config(inner).has_channels() == inner.has_channels()
        assert config(inner).verify() == inner.verify()

    def test_channels_are_those_of_the_sub_task(self):
        changed = config().with_channels(["x", "y"])
        assert changed.sub_task_config == DISTANCE.with_channels(["x", "y"])
        assert changed.ground_truth_channels == ["x", "y"]
        assert config(CLASSES).with_channels(["x", "y"]) == config(CLASSES)

    def test_lengths_of_the_sub_task_go_onto_the_grid(self):
        fine = config().on_grid(WorldUnit("nm", 10))
        assert fine.sub_task_config == DISTANCE.on_grid(WorldUnit("nm", 10))
        assert fine.sub_task_config.scale_factor == 500
        assert task(fine.sub_task_config).predictor.scale_factor == 500
        assert fine.weights == str(CHECKPOINT)

    def test_a_proposal_fits_the_data_and_waits_for_weights(self):
        proposed = PretrainedTaskConfig.propose(["mito"], Measured((8.0, 8.0, 8.0), 80.0))
        assert proposed.sub_task_config.scale_factor == 40
        assert proposed.ground_truth_channels == ["mito"]
        ok, reason = proposed.verify()
        assert not ok
        assert "no weights to begin with: choose a checkpoint" in reason

    def test_what_is_no_sub_task_is_refused(self):
        with pytest.raises(ValidationError, match="cannot be inside of another"):
            config(config())
        with pytest.raises(ValidationError, match="these must be named values"):
            config("distance")
        with pytest.raises(ValidationError, match="frozen"):
            config().weights = "other"

    def test_forms_have_a_title_and_a_help_text_for_all(self):
        for name, field in PretrainedTaskConfig.model_fields.items():
            assert field.title, name
            assert field.description, name


class TestWeights:
    def test_all_are_those_of_the_checkpoint(self, checkpoint):
        made = task()
        model = made.create_model(NET)
        assert all(torch.equal(tensor, checkpoint[name]) for name, tensor in tensors(model).items())
        assert made.notices == ()

    def test_dacapos_checkpoint_answers_as_there(self):
        io = np.load(GOLDEN / "unet2d_transposed_io.npz")
        model = task().create_model(NET).eval()
        with torch.no_grad():
            answer = model(torch.from_numpy(io["x"])).numpy()
        np.testing.assert_allclose(answer, io["y_eval"], atol=1e-5)

    @pytest.mark.parametrize("inner", [DISTANCE, CLASSES])
    def test_a_new_head_is_that_of_the_sub_task_and_said(self, checkpoint, inner):
        """Of any width: what another task has learnt there does not help this one."""
        made = task(inner, new_head=True)
        torch.manual_seed(3)
        fresh = tensors(inner.task_type(inner).create_model(NET))
        torch.manual_seed(3)
        found = tensors(made.create_model(NET))
        for name, tensor in found.items():
            wanted = fresh if name.startswith("1.") else checkpoint
            assert torch.equal(tensor, wanted[name]), name
        (notice,) = made.notices
        assert notice == (
            "The head of the network starts anew (1.weight, 1.bias), all else with the weights "
            f"of {CHECKPOINT}."
        )

    def test_the_head_of_another_task_is_refused(self):
        with pytest.raises(ConfigError) as refused:
            task(CLASSES).create_model(NET)
        said = str(refused.value)
        assert "1.weight is (1, 6, 1, 1) and should be (3, 6, 1, 1)" in said
        assert "1.bias is (1,) and should be (3,)" in said
        assert said.endswith(
            "Choose the parameters that it was trained with, or start the head anew."
        )

    @pytest.mark.parametrize("new_head", [False, True])
    def test_another_architecture_is_refused_with_layers_and_shapes(self, new_head):
        other = NET.model_copy(update={"num_fmaps": 3})
        with pytest.raises(ConfigError) as refused:
            task(new_head=new_head).create_model(other)
        said = str(refused.value)
        assert (
            "0.unet.l_conv.0.conv_pass.0.weight is (2, 1, 3, 3) and should be (3, 1, 3, 3)" in said
        )
        assert said.endswith("Choose the parameters that it was trained with.")
        assert "\n" not in said


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestBadFiles:
    @pytest.fixture
    def refused(self, tmp_path):
        def sentence(kind, content=None, name="weights.pt"):
            if content is not None:
                (tmp_path / name).write_bytes(content)
            with pytest.raises(kind) as error:
                task(weights=tmp_path / name).create_model(NET)
            assert "\n" not in str(error.value)
            return str(error.value)

        return sentence

    def test_no_path(self):
        with pytest.raises(ConfigError, match="no weights to begin with: choose a checkpoint"):
            task(weights="").create_model(NET)

    def test_no_file(self, refused, tmp_path):
        assert "cannot be read: No such file" in refused(DataError)
        assert "cannot be read: Is a directory" in refused(DataError, name=".")

    def test_no_checkpoint(self, refused):
        assert "is no whole checkpoint of PyTorch" in refused(DataError, b"notes\n" * 50)
        assert "is no whole checkpoint of PyTorch" in refused(DataError, b"")

    @pytest.mark.parametrize("kept", [0.2, 0.7, 0.99])
    def test_a_file_that_was_cut_short(self, refused, kept):
        whole = CHECKPOINT.read_bytes()
        said = refused(DataError, whole[: int(kept * len(whole))])
        assert "it is damaged, cut short, or another file" in said

    def test_code_is_never_run(self, refused, checkpoint, tmp_path):
        sprung = tmp_path / "sprung"
        for content in (
            Trap(sprung),
            {"model": Trap(sprung)},
            {"model": checkpoint, "more": [Trap(sprung)]},
        ):
            torch.save(content, tmp_path / "weights.pt")
            assert "holds more than tensors and plain values" in refused(DataError)
            assert not sprung.exists()

    def test_weights_that_are_not_finite(self, refused, checkpoint, tmp_path):
        checkpoint["1.bias"][0] = float("nan")
        torch.save({"model": checkpoint}, tmp_path / "weights.pt")
        assert "holds weights that are NaN or infinite (1.bias)" in refused(DataError)


def test_offsets_of_other_axes_than_the_network():
    inner = AffinitiesTaskConfig(name="a", neighborhood=[(1, 0, 0)])
    with pytest.raises(ConfigError, match="offsets of 3 axes, but the network works on 2"):
        task(inner).create_model(NET)
