import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_dacapo_tasks.architectures import CNNectomeUNet, Model, load_weights
from napari_dacapo_tasks.architectures.weights import check_weights, read_checkpoint
from napari_dacapo_tasks.errors import ConfigError, DataError

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = GOLDEN / "unet2d_transposed_checkpoint.pt"


def model(channels=1, **changes):
    values = {
        "input_shape": (92, 92),
        "num_fmaps": 2,
        "fmaps_out": 6,
        "fmap_inc_factor": 2,
        "downsample_factors": [(2, 2), (2, 2)],
        "constant_upsample": False,
    }
    unet = CNNectomeUNet(**{**values, **changes})
    return Model(unet, nn.Conv2d(unet.fmaps_out, channels, 1))


def state(of):
    return {name: tensor.clone() for name, tensor in of.chain.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in second)


def test_all_forms_of_a_checkpoint_load(tmp_path):
    wanted = read_checkpoint(CHECKPOINT)["model"]
    donor = model()
    assert load_weights(donor, CHECKPOINT) == []
    assert same(state(donor), wanted)
    torch.save(donor.state_dict(), tmp_path / "model.pt")
    torch.save(wanted, tmp_path / "chain.pt")
    for source in (
        str(CHECKPOINT),
        {"model": wanted},
        tmp_path / "model.pt",
        tmp_path / "chain.pt",
    ):
        fresh = model()
        load_weights(fresh, source)
        assert same(state(fresh), wanted)


def test_another_network_is_refused_by_layer_and_shape_and_left_unchanged():
    other = model(num_fmaps=3)
    before = state(other)
    with pytest.raises(ConfigError) as refusal:
        load_weights(other, CHECKPOINT)
    sentence = str(refusal.value)
    assert (
        "0.unet.l_conv.0.conv_pass.0.weight is (2, 1, 3, 3) and should be (3, 1, 3, 3)" in sentence
    )
    assert "more" in sentence
    assert str(CHECKPOINT) in sentence
    assert same(state(other), before)


def test_missing_and_surplus_layers_are_named():
    with pytest.raises(ConfigError, match=r"it has no 0\.unet\.l_conv\.3\.conv_pass\.0\.weight"):
        load_weights(model(input_shape=(100, 100), downsample_factors=[(2, 2)] * 3), CHECKPOINT)
    weights = read_checkpoint(CHECKPOINT)["model"]
    with pytest.raises(ConfigError, match=r"The checkpoint .* it has 2\.bias \(1,\), which"):
        load_weights(model(), {"model": {**weights, "2.bias": torch.zeros(1)}})


@pytest.mark.parametrize("channels", [1, 4])
def test_a_new_head_stays_fresh_and_is_said(channels):
    """Whatever its width: the head of another task may have just as many channels."""
    made = model(channels)
    before, wanted = state(made), read_checkpoint(CHECKPOINT)["model"]
    assert load_weights(made, CHECKPOINT, new_head=True) == ["1.weight", "1.bias"]
    for name, tensor in state(made).items():
        assert torch.equal(tensor, (before if name.startswith("1.") else wanted)[name]), name


def test_a_head_that_does_not_fit_is_refused_with_what_to_do():
    with pytest.raises(
        ConfigError,
        match=r"1\.weight is \(1, 6, 1, 1\) and should be \(4, 6, 1, 1\); 1\.bias .* Choose the "
        r"parameters that it was trained with, or start the head anew\.$",
    ):
        load_weights(model(channels=4), CHECKPOINT)


def test_a_head_of_more_layers_is_left_out_too():
    weights = {**read_checkpoint(CHECKPOINT)["model"], "1.0.weight": torch.zeros(3)}
    assert load_weights(model(), {"model": weights}, new_head=True) == ["1.weight", "1.bias"]


def test_a_new_head_is_no_excuse_for_another_body():
    with pytest.raises(ConfigError, match="l_conv"):
        load_weights(model(channels=4, num_fmaps=3), CHECKPOINT, new_head=True)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("place", ["model", "optimizer"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, place):
    sprung = tmp_path / "sprung"
    content = {**read_checkpoint(CHECKPOINT), place: Trap(sprung)}
    torch.save(content, tmp_path / "trap.pt")
    with pytest.raises(DataError, match="could run code"):
        load_weights(model(), tmp_path / "trap.pt")
    assert not sprung.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_is_not_run_either(tmp_path):
    sprung = tmp_path / "sprung"
    (tmp_path / "trap.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(DataError):
        load_weights(model(), tmp_path / "trap.pkl")
    assert not sprung.exists()


@pytest.mark.parametrize("kept", [0, 1, 10, 1000, 0.5, 0.99, -1])
def test_a_file_that_was_cut_short_is_said_to_be(tmp_path, kept):
    whole = CHECKPOINT.read_bytes()
    end = int(kept * len(whole)) if isinstance(kept, float) else kept
    (tmp_path / "cut.pt").write_bytes(whole[:end])
    untouched = model()
    before = state(untouched)
    with pytest.raises(DataError, match=r"cut\.pt is no whole checkpoint of PyTorch"):
        load_weights(untouched, tmp_path / "cut.pt")
    assert same(state(untouched), before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_with_the_layer(value):
    weights = read_checkpoint(CHECKPOINT)["model"]
    weights["1.bias"] = torch.full_like(weights["1.bias"], value)
    untouched = model()
    before = state(untouched)
    with pytest.raises(DataError, match=r"weights that are NaN or infinite \(1\.bias\)"):
        load_weights(untouched, {"model": weights})
    assert same(state(untouched), before)


@pytest.mark.parametrize("odd", [torch.zeros(1).to_sparse(), torch.zeros(1, dtype=torch.cfloat)])
def test_odd_tensors_are_refused_with_the_layer(odd):
    weights = {**read_checkpoint(CHECKPOINT)["model"], "1.bias": odd}
    with pytest.raises(DataError, match=r"holds 1\.bias in a form that is no plain array"):
        load_weights(model(), {"model": weights})


def test_a_check_loads_nothing_and_needs_no_memory():
    with torch.device("meta"):
        shapes = model()
    found = check_weights(shapes, CHECKPOINT)
    assert same(found, read_checkpoint(CHECKPOINT)["model"])
    assert all(tensor.is_meta for tensor in shapes.parameters())
    with torch.device("meta"):
        other = model(num_fmaps=3)
    with pytest.raises(ConfigError, match=r"l_conv\.0\.conv_pass\.0\.weight is \(2, 1, 3, 3\)"):
        check_weights(other, CHECKPOINT)
    with pytest.raises(ConfigError, match="or start the head anew"):
        check_weights(model(channels=4), CHECKPOINT)
    check_weights(model(channels=4), CHECKPOINT, new_head=True)


def test_other_files_are_no_checkpoints(tmp_path):
    (tmp_path / "notes.pt").write_text("scale_factor: 50\n" * 100)
    torch.save([1, 2, 3], tmp_path / "list.pt")
    torch.save({"iteration": 3}, tmp_path / "numbers.pt")
    torch.save({"model": {}}, tmp_path / "empty.pt")
    (tmp_path / "folder.pt").mkdir()
    for name, sentence in {
        "notes.pt": "no whole checkpoint",
        "list.pt": "no state dict but a list",
        "numbers.pt": "iteration is a int",
        "empty.pt": "holds no weights",
        "folder.pt": "cannot be read",
        "nothing.pt": "No such file",
    }.items():
        with pytest.raises(DataError, match=sentence) as refusal:
            load_weights(model(), tmp_path / name)
        assert "\n" not in str(refusal.value)
