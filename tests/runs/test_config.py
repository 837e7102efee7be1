"""What run.yaml holds, and what is refused in it."""

from __future__ import annotations

import pytest
import yaml

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.runs.augmentation import AugmentationConfig
from napari_dacapo_tasks.runs.config import RunConfig
from napari_dacapo_tasks.runs.data_config import (
    CropConfig,
    DataConfig,
    SamplingConfig,
    parsed_block,
)
from napari_dacapo_tasks.runs.overrides import with_overrides
from napari_dacapo_tasks.runs.trainer_config import (
    ExecutionConfig,
    OptimizerConfig,
    TrainerConfig,
    ValidationConfig,
)
from napari_dacapo_tasks.tasks import (
    AffinitiesTaskConfig,
    DummyTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.files import task_to_dict


@pytest.fixture
def config(small_task, small_net):
    data = DataConfig(
        crops=[CropConfig(raw="/data/raw.zarr", gt="data/labels.ome.zarr")],
        intensity_range=(0, 255),
    )
    return RunConfig(task=small_task, architecture=small_net, data=data)


def test_yaml_gives_the_same_config_back(tmp_path, config):
    config.save(tmp_path / "run.yaml")
    assert RunConfig.load(tmp_path / "run.yaml") == config


LENGTHS = {"scale_factor": 24, "clip_distance": 80, "tol_distance": 16}
INNER = InnerDistanceTaskConfig(name="inner", channels=["a"], **LENGTHS)
OFFSETS = AffinitiesTaskConfig(name="offsets", neighborhood=[(1, 0, 0), (0, -9, 0)], lsds=True)


@pytest.mark.parametrize(
    "task",
    [
        INNER,
        HotDistanceTaskConfig(name="hot", channels=["a", "b"], **LENGTHS, kernel_size=3),
        OneHotTaskConfig(name="classes", classes=["background", "a"]),
        OFFSETS,
        PretrainedTaskConfig(name="again", sub_task_config=OFFSETS, weights="w.pt", new_head=True),
        DummyTaskConfig(name="dummy", embedding_dims=2, detection_threshold=0.5),
    ],
    ids=lambda task: task.title,
)
def test_every_kind_of_task_comes_back(tmp_path, config, task):
    config = config.model_copy(update={"task": task})
    config.save(tmp_path / "run.yaml")
    assert RunConfig.load(tmp_path / "run.yaml") == config
    assert yaml.safe_load((tmp_path / "run.yaml").read_text())["task"] == task_to_dict(task)


def test_the_yaml_is_plain_and_names_dacapo_s_types(tmp_path, config):
    config.save(tmp_path / "run.yaml")
    values = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert values["task"]["__type__"] == "DistanceTaskConfig"
    assert values["architecture"]["__type__"] == "CNNectomeUNetConfig"
    assert values["architecture"]["input_shape"] == [24, 24, 24]
    assert values["data"]["crops"] == [
        {
            "raw": "/data/raw.zarr",
            "gt": "data/labels.ome.zarr",
            "mask": None,
            "use": "train",
            "share": 1.0,
            "validation_block": None,
            "name": "",
        }
    ]
    assert values["trainer"]["iterations"] == 2000


@pytest.mark.parametrize(
    ("section", "change", "sentence"),
    [
        ("trainer", {"iteration": 3}, r"the field iteration .* did you mean iterations\?"),
        ("trainer", {"iterations": 0}, r"iterations: .*greater than or equal to 1 \(got 0\)"),
        ("trainer", {"device": "gpu"}, r'called "auto", "cpu", "mps" or as "cuda:0" \(got \'gpu\''),
        ("trainer", {"learning_rate": -1}, r"learning_rate: .*greater than 0"),
        ("task", {"__type__": "DistanceTask"}, "did you mean DistanceTaskConfig"),
        ("task", {"scale": 3}, "scale is not known; did you mean scale_factor"),
        ("architecture", {"__type__": "UNet"}, "UNet: it must be one of CNNectomeUNetConfig"),
        ("architecture", {"input_shape": [25, 24, 24]}, "does not fit this U-Net"),
        ("data", {"intensity_range": [3, 3]}, "the lower one first"),
        ("data", {"crops": []}, "no crop trains: set the use of at least one to train"),
        ("data", {"crops": [{"raw": "a", "gt": "b", "use": "off"}]}, "no crop trains"),
        ("data", {"crops": [{"raw": "a", "gt": "b", "use": "on"}]}, "use: .*'train', 'validate'"),
        ("data", {"crops": [{"raw": "a", "gt": "b", "share": 0}]}, "share: .*greater than 0"),
        (
            "data",
            {"crops": [{"raw": "a", "gt": "b", "validation_block": "120-160"}]},
            "'120-160' is no block: write a range of voxels for each axis, as in 120:160,:,:",
        ),
        ("data", {"sampling": {"rare_labels": 2}}, "rare_labels: .*less than or equal to 1"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path, config, section, change, sentence):
    config.save(tmp_path / "run.yaml")
    values = yaml.safe_load((tmp_path / "run.yaml").read_text())
    values[section] |= change
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=rf"run\.yaml, {section}.*{sentence}"):
        RunConfig.load(tmp_path / "run.yaml")


def test_a_bad_section_is_refused(tmp_path, config):
    config.save(tmp_path / "run.yaml")
    values = yaml.safe_load((tmp_path / "run.yaml").read_text())
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**values, "trainr": {}}))
    with pytest.raises(ConfigError, match="trainr is not known; did you mean trainer"):
        RunConfig.load(tmp_path / "run.yaml")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**values, "trainer": 3}))
    with pytest.raises(ConfigError, match="trainer: these must be named values, not 3"):
        RunConfig.load(tmp_path / "run.yaml")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"task": values["task"]}))
    with pytest.raises(ConfigError, match="architecture is missing"):
        RunConfig.load(tmp_path / "run.yaml")


def test_overrides_change_any_section(config):
    changed = with_overrides(
        config,
        {
            "trainer.iterations": "500",
            "trainer.learning_rate": "1e-3",
            "task.mask_distances": "false",
            "architecture.input_shape": "[28, 28, 28]",
            "architecture.kernel_size_up": "null",
            "data.intensity_range": "[10, 200.5]",
        },
    )
    assert changed.trainer == TrainerConfig(iterations=500, learning_rate=1e-3)
    assert changed.task == config.task.model_copy(update={"mask_distances": False})
    assert tuple(changed.architecture.input_shape) == (28, 28, 28)
    assert changed.data.intensity_range == (10, 200.5)
    assert config.trainer == TrainerConfig()


def test_overrides_reach_configs_inside_of_others(config):
    pretrained = PretrainedTaskConfig(name="again", sub_task_config=INNER, weights="w.pt")
    config = config.model_copy(update={"task": pretrained})
    changed = with_overrides(
        config,
        {
            "task.sub_task_config.scale_factor": "32",
            "task.sub_task_config.channels": "[a, b]",
            "task.new_head": "true",
            "data.labels.zero_is_unlabelled": "true",
        },
    )
    inner = INNER.model_copy(update={"scale_factor": 32, "channels": ["a", "b"]})
    assert changed.task == pretrained.model_copy(
        update={"sub_task_config": inner, "new_head": True}
    )
    assert changed.data.labels.zero_is_unlabelled
    assert config.task.sub_task_config == INNER
    whole = "{__type__: AffinitiesTaskConfig, name: offsets, neighborhood: [[0, 1]]}"
    other = with_overrides(config, {"task.sub_task_config": whole}).task.sub_task_config
    assert other == AffinitiesTaskConfig(name="offsets", neighborhood=[(0, 1)])


def test_lists_of_lists_are_written_as_in_yaml(config):
    config = config.model_copy(update={"task": OFFSETS})
    changed = with_overrides(config, {"task.neighborhood": "[[1,0,0],[0, 1, 0]]"})
    assert changed.task.neighborhood == [(1, 0, 0), (0, 1, 0)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task.sub_task_config.scale": "3"}, r"did you mean task\.sub_task_config\.scale_factor"),
        ({"task.sub_task_config.scale_factor": "-3"}, "task: sub_task_config: scale_factor: Input"),
        ({"task.sub_task_config": "[1]"}, "task: sub_task_config: these must be named values"),
        (
            {"task.sub_task_config": "x", "task.sub_task_config.name": "y"},
            r"task\.sub_task_config\.name cannot be set beside task\.sub_task_config",
        ),
        (
            {"task.sub_task_config": "[!!python/object/apply:os.abort []]"},
            "is no list that can be read",
        ),
    ],
)
def test_overrides_inside_of_others_that_are_refused(config, changes, sentence):
    pretrained = PretrainedTaskConfig(name="again", sub_task_config=INNER, weights="w.pt")
    with pytest.raises(ConfigError, match=sentence):
        with_overrides(config.model_copy(update={"task": pretrained}), changes)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("trainer.iteration", "5", r"There is no parameter trainer\.iteration; did you mean"),
        ("trainr.iterations", "5", r"did you mean trainer\.iterations\?"),
        ("iterations", "5", r"did you mean trainer\.iterations\?"),
        ("zzz", "5", r"begins with task\. or architecture\. or data\. or trainer\."),
        ("trainer.iterations", "many", r"trainer: iterations: .*\(got 'many'\)"),
        ("architecture.input_shape", "[24, 24", "is no list that can be read"),
        ("architecture.input_shape", "[23, 24, 24]", "does not fit this U-Net"),
    ],
)
def test_overrides_that_are_refused_say_why(config, name, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        with_overrides(config, {name: value})


FORMS = (
    TrainerConfig,
    OptimizerConfig,
    AugmentationConfig,
    ValidationConfig,
    ExecutionConfig,
    DataConfig,
    CropConfig,
    SamplingConfig,
)


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
def test_every_field_of_the_form_has_a_title_and_a_help_text(kind):
    for name, field in kind.model_fields.items():
        assert field.title, name
        assert field.description or field.annotation in FORMS, name


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("120:160,:,:", (slice(120, 160), slice(None), slice(None))),
        (" -40: , :20,5:-5", (slice(-40, None), slice(None, 20), slice(5, -5))),
        (":", (slice(None),)),
    ],
)
def test_blocks_are_read_as_python_reads_slices(text, ranges):
    assert parsed_block(text) == ranges


@pytest.mark.parametrize("text", ["", "5", "1:2:3", "a:b", "1-2,:", "1:2,", "1.5:2", "[1:2]"])
def test_other_blocks_are_refused(text):
    with pytest.raises(ValueError, match="is no block: write a range of voxels for each axis"):
        parsed_block(text)


def test_several_crops_come_back(tmp_path, config):
    crops = (
        CropConfig(raw="a", gt="b", mask="c", share=2.5, validation_block="120:160,:,:", name="A"),
        CropConfig(raw="a", gt="d", use="validate"),
        CropConfig(raw="e", gt="f", use="off"),
    )
    sampling = SamplingConfig(rare_labels=0.5, least_known=0.1)
    data = config.data.model_copy(update={"crops": crops, "sampling": sampling})
    config = config.model_copy(update={"data": data})
    config.save(tmp_path / "run.yaml")
    assert RunConfig.load(tmp_path / "run.yaml") == config


def test_overrides_reach_configs_of_the_trainer(config):
    changed = with_overrides(
        config,
        {
            "trainer.optimizer.schedule": "cosine",
            "trainer.augmentation.mirror": "false",
            "trainer.validation.interval": "null",
            "data.sampling.rare_labels": "0.25",
        },
    )
    assert changed.trainer.optimizer == OptimizerConfig(schedule="cosine")
    assert changed.trainer.augmentation == AugmentationConfig(mirror=False)
    assert changed.trainer.validation == ValidationConfig(interval=None)
    assert changed.data.sampling.rare_labels == 0.25
    with pytest.raises(ConfigError, match=r"did you mean trainer\.optimizer\.schedule\?"):
        with_overrides(config, {"trainer.optimizer.shedule": "cosine"})
