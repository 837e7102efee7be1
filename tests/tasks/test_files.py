import pytest
import yaml

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks import DistanceTaskConfig
from napari_dacapo_tasks.tasks.files import load_task, save_task

DACAPO = """\
__type__: DistanceTaskConfig
channels: [mito, er]
clip_distance: 200.0
clipmax: 0.95
clipmin: 0.05
mask_distances: true
name: mito_dist
scale_factor: 50.0
tol_distance: 40.0
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_dacapo_is_read_and_written_the_same(tmp_path):
    config = load_task(write(tmp_path / "task.yaml", DACAPO))
    assert config == DistanceTaskConfig(
        name="mito_dist",
        channels=["mito", "er"],
        scale_factor=50,
        clip_distance=200,
        tol_distance=40,
    )
    save_task(config, tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_text() == DACAPO


def test_missing_fields_have_dacapos_defaults(tmp_path):
    text = (
        "{__type__: DistanceTaskConfig, name: d, channels: [a], clip_distance: 2, tol_distance: 1}"
    )
    config = load_task(write(tmp_path / "task.yaml", text))
    assert (config.scale_factor, config.mask_distances) == (1, True)
    assert (config.clipmin, config.clipmax) == (0.05, 0.95)


def test_dacapos_tuples_are_read_as_lists(tmp_path):
    text = DACAPO.replace("[mito, er]", "!!python/tuple [mito, er]")
    assert load_task(write(tmp_path / "task.yaml", text)).channels == ["mito", "er"]


def test_no_other_tag_is_known_and_nothing_runs(tmp_path):
    bait = tmp_path / "ran"
    text = DACAPO.replace("mito_dist", f"!!python/object/apply:os.mkdir ['{bait}']")
    with pytest.raises(ConfigError, match=r"no valid YAML of plain values: .*python/object/apply"):
        load_task(write(tmp_path / "task.yaml", text))
    assert not bait.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("scale_factor:", "scale_facter:"),
            "scale_facter is not known; did you mean scale_factor",
        ),
        (("DistanceTaskConfig", "DistancTask"), "DistancTask; did you mean DistanceTaskConfig"),
        (("__type__: DistanceTaskConfig\n", ""), "has no __type__"),
        (("clip_distance: 200.0\n", ""), "the field clip_distance is missing"),
        (("50.0", "-3"), "scale_factor: Input should be greater than 0 (got -3)"),
        (("50.0", "wide"), "scale_factor: Input should be a valid number"),
        (("[mito, er]", "[mito, mito]"), "two channels are named mito"),
        (("[mito, er]", "[]"), "channels: List should have at least 1 item"),
        (("0.05", "0.96"), "clipmin 0.96 must be below clipmax 0.95"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, change, sentence):
    path = write(tmp_path / "task.yaml", DACAPO.replace(*change))
    with pytest.raises(ConfigError) as refused:
        load_task(path)
    said = str(refused.value)
    assert sentence in said
    assert said.startswith(str(path))
    assert "\n" not in said


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "", "a: [1", "\ttab: 1"])
def test_files_that_are_no_task(tmp_path, text):
    with pytest.raises(ConfigError):
        load_task(write(tmp_path / "task.yaml", text))


def test_files_that_cannot_be_read_or_written(tmp_path):
    config = load_task(write(tmp_path / "task.yaml", DACAPO))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_task(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="is no text file"):
        load_task(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        save_task(config, tmp_path / "no" / "folder.yaml")


def test_what_is_written_is_plain_yaml(tmp_path):
    config = load_task(write(tmp_path / "task.yaml", DACAPO))
    save_task(config, tmp_path / "again.yaml")
    assert yaml.safe_load((tmp_path / "again.yaml").read_text())["channels"] == ["mito", "er"]
