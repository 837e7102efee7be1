"""Task files: DaCapo's and ours, and what is refused in them."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.tasks import (
    ALL,
    KINDS,
    TASKS,
    AffinitiesTaskConfig,
    DistanceTaskConfig,
    DummyTaskConfig,
    HotDistanceTaskConfig,
    InnerDistanceTaskConfig,
    Measured,
    OneHotTaskConfig,
    PretrainedTaskConfig,
)
from napari_dacapo_tasks.tasks.files import load_task, save_task, task_from_dict, task_to_dict

DISTANCE = """\
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

INNER = """\
__type__: InnerDistanceTaskConfig
channels: [mito]
clip_distance: 200.0
name: mito_inner
scale_factor: 50.0
tol_distance: 40.0
"""

HOT = """\
__type__: HotDistanceTaskConfig
channels: [mito]
clip_distance: 200.0
kernel_size: null
mask_distances: false
name: mito_hot
scale_factor: 50.0
tol_distance: 40.0
"""

ONE_HOT = """\
__type__: OneHotTaskConfig
classes: [background, mito, er]
kernel_size: 3
name: organelles
"""

AFFINITIES = """\
__type__: AffinitiesTaskConfig
affs_weight_clipmax: 0.95
affs_weight_clipmin: 0.05
background_as_object: false
downsample_lsds: 1
lsd_weight_clipmax: 0.95
lsd_weight_clipmin: 0.05
lsds: true
lsds_to_affs_weight_ratio: 1.0
name: neuron_affs
neighborhood:
- [1, 0, 0]
- [0, 1, 0]
- [0, 0, 1]
num_lsd_voxels: 10
"""

PRETRAINED = """\
__type__: PretrainedTaskConfig
name: mito_again
sub_task_config:
  __type__: InnerDistanceTaskConfig
  channels: [mito]
  clip_distance: 200.0
  name: mito_inner
  scale_factor: 50.0
  tol_distance: 40.0
weights: /data/mito/checkpoints/100000
"""

DUMMY = """\
__type__: DummyTaskConfig
detection_threshold: 0.5
embedding_dims: 2
name: nothing
"""

_LENGTHS = {"scale_factor": 50, "clip_distance": 200, "tol_distance": 40}
_INNER = InnerDistanceTaskConfig(name="mito_inner", channels=["mito"], **_LENGTHS)

CONFIGS = {
    DISTANCE: DistanceTaskConfig(name="mito_dist", channels=["mito", "er"], **_LENGTHS),
    INNER: _INNER,
    HOT: HotDistanceTaskConfig(name="mito_hot", channels=["mito"], **_LENGTHS),
    ONE_HOT: OneHotTaskConfig(
        name="organelles", classes=["background", "mito", "er"], kernel_size=3
    ),
    AFFINITIES: AffinitiesTaskConfig(
        name="neuron_affs", neighborhood=[(1, 0, 0), (0, 1, 0), (0, 0, 1)], lsds=True
    ),
    PRETRAINED: PretrainedTaskConfig(
        name="mito_again", sub_task_config=_INNER, weights="/data/mito/checkpoints/100000"
    ),
    DUMMY: DummyTaskConfig(name="nothing", embedding_dims=2, detection_threshold=0.5),
}

EVERY_FILE = pytest.mark.parametrize(
    "text", CONFIGS, ids=lambda text: text.split()[1].removesuffix("TaskConfig")
)


@pytest.fixture
def load(tmp_path):
    """Load a task file of a text."""

    def read(text):
        (tmp_path / "task.yaml").write_text(text, encoding="utf-8")
        return load_task(tmp_path / "task.yaml")

    return read


@pytest.fixture
def refused(load, tmp_path):
    """Give the sentence with which a file of a text is refused."""

    def sentence(text):
        with pytest.raises(ConfigError) as error:
            load(text)
        said = str(error.value)
        assert said.startswith(str(tmp_path / "task.yaml"))
        assert said[-1] in ".?"
        assert "\n" not in said
        assert len(said) < 700
        return said

    return sentence


class TestEveryKind:
    def test_there_is_an_example_of_each(self):
        assert [type(config) for config in CONFIGS.values()] == [
            *KINDS,
            PretrainedTaskConfig,
            DummyTaskConfig,
        ]
        assert [*TASKS, DummyTaskConfig] == ALL
        assert [kind.title for kind in TASKS] == [
            "Signed distance",
            "Inner distance",
            "Hot distance",
            "One-hot classes",
            "Affinities",
            "Pretrained",
        ]

    @EVERY_FILE
    def test_is_read_and_written_the_same(self, load, tmp_path, text):
        config = load(text)
        assert config == CONFIGS[text]
        assert type(config) is type(CONFIGS[text])
        save_task(config, tmp_path / "again.yaml")
        assert (tmp_path / "again.yaml").read_text() == text

    @EVERY_FILE
    def test_is_written_as_plain_yaml(self, tmp_path, text):
        save_task(CONFIGS[text], tmp_path / "task.yaml")
        assert yaml.safe_load((tmp_path / "task.yaml").read_text()) == yaml.safe_load(text)

    @EVERY_FILE
    def test_lists_that_dacapo_writes_as_tuples_are_the_same(self, load, text):
        def tagged(values):
            if isinstance(values, list):
                return tuple(map(tagged, values))
            return {k: tagged(v) for k, v in values.items()} if isinstance(values, dict) else values

        dumped = yaml.dump(tagged(yaml.safe_load(text)))
        assert ("!!python/tuple" in dumped) == (text != DUMMY)
        assert load(dumped) == CONFIGS[text]

    @pytest.mark.parametrize("kind", TASKS)
    def test_what_a_form_begins_with_can_be_saved(self, load, tmp_path, kind):
        config = kind.propose(["mito"], Measured((40.0, 4.0, 4.0), 100.0))
        save_task(config, tmp_path / "proposed.yaml")
        assert load_task(tmp_path / "proposed.yaml") == config

    def test_missing_fields_have_dacapos_defaults(self, load):
        distance = load(
            "{__type__: DistanceTaskConfig, name: d, channels: [a], clip_distance: 2, "
            "tol_distance: 1}"
        )
        assert (distance.scale_factor, distance.mask_distances) == (1, True)
        assert (distance.clipmin, distance.clipmax) == (0.05, 0.95)
        hot = load(
            "{__type__: HotDistanceTaskConfig, name: d, channels: [a], clip_distance: 2, "
            "tol_distance: 1}"
        )
        assert (hot.scale_factor, hot.mask_distances, hot.kernel_size) == (1, False, None)
        assert load("{__type__: OneHotTaskConfig, name: o, classes: [a, b]}").kernel_size is None
        affinities = load("{__type__: AffinitiesTaskConfig, name: a, neighborhood: [[1, 0]]}")
        assert affinities == AffinitiesTaskConfig(
            name="a",
            neighborhood=[(1, 0)],
            lsds=False,
            num_lsd_voxels=10,
            downsample_lsds=1,
            lsds_to_affs_weight_ratio=1,
            affs_weight_clipmin=0.05,
            affs_weight_clipmax=0.95,
            lsd_weight_clipmin=0.05,
            lsd_weight_clipmax=0.95,
            background_as_object=False,
        )


class TestPretrained:
    def test_what_dacapo_does_not_know_is_written_only_when_it_says_something(self, load):
        config = CONFIGS[PRETRAINED].model_copy(update={"new_head": True})
        assert "new_head" not in task_to_dict(CONFIGS[PRETRAINED])
        assert task_to_dict(config)["new_head"] is True
        assert load(PRETRAINED + "new_head: true\n") == config
        assert task_from_dict(task_to_dict(config)) == config

    @pytest.mark.parametrize("text", [DISTANCE, INNER, HOT, ONE_HOT, AFFINITIES, DUMMY])
    def test_every_kind_is_read_inside_of_it(self, load, tmp_path, text):
        values = {**yaml.safe_load(PRETRAINED), "sub_task_config": yaml.safe_load(text)}
        config = load(yaml.safe_dump(values))
        assert config.sub_task_config == CONFIGS[text]
        assert task_to_dict(config) == values

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (
                ("  scale_factor", "  scale_facter"),
                "sub_task_config: the field scale_facter is not known; did you mean scale_factor?",
            ),
            (
                ("InnerDistanceTaskConfig", "InerDistanceTask"),
                "sub_task_config: it is of the unknown type InerDistanceTask; did you mean "
                "InnerDistanceTaskConfig?",
            ),
            (
                ("  __type__: InnerDistanceTaskConfig\n", ""),
                "sub_task_config: it has no __type__: it must be one of DistanceTaskConfig",
            ),
            (
                ("  clip_distance: 200.0\n", ""),
                "sub_task_config: the field clip_distance is missing.",
            ),
            (("50.0", "-3"), "sub_task_config: scale_factor: Input should be greater than 0"),
            (
                ("InnerDistanceTaskConfig", "PretrainedTaskConfig"),
                "sub_task_config: a pretrained task cannot be inside of another",
            ),
            (("sub_task_config", "subtask_config"), "did you mean sub_task_config?"),
            (("weights: /data/mito/checkpoints/100000\n", ""), "the field weights is missing."),
            (("/data/mito/checkpoints/100000", "[a]"), "weights: Input should be a valid string."),
            (("/data/mito/checkpoints/100000", "null"), "valid string (got None)."),
        ],
    )
    def test_what_is_wrong_inside_is_said_with_its_place(self, refused, change, sentence):
        assert change[0] in PRETRAINED
        assert sentence in refused(PRETRAINED.replace(*change, 1))

    @pytest.mark.parametrize("given", ["[1, 2]", "distance", "true", "", "3"])
    def test_a_sub_task_that_is_no_mapping(self, refused, given):
        text = f"__type__: PretrainedTaskConfig\nname: p\nweights: w\nsub_task_config: {given}\n"
        assert "sub_task_config: these must be named values, such as '__type__" in refused(text)


class TestNothingRuns:
    @EVERY_FILE
    @pytest.mark.parametrize(
        "code",
        [
            "!!python/object/apply:os.mkdir ['{bait}']",
            "!!python/object/new:os.mkdir ['{bait}']",
            "!!python/object:pathlib.Path {{}}",
            "!!python/object/apply:subprocess.check_call [['mkdir', '{bait}']]",
            "!!python/tuple [!!python/object/apply:os.mkdir ['{bait}']]",
            "!!python/name:os.mkdir ''",
            "!!python/module:os ''",
            "!mine x",
        ],
    )
    def test_of_a_file_with_another_tag(self, refused, tmp_path, text, code):
        bait = tmp_path / "ran"
        name = CONFIGS[text].name
        for spoilt in (
            text.replace(f"name: {name}", "name: " + code.format(bait=bait)),
            text + "more: " + code.format(bait=bait),
            code.format(bait=bait),
        ):
            assert spoilt != text
            assert "is no valid YAML of plain values" in refused(spoilt)
            assert not bait.exists()

    def test_of_a_nested_task_with_another_tag(self, refused, tmp_path):
        bait = tmp_path / "ran"
        tag = f"sub_task_config: !!python/object/apply:os.mkdir ['{bait}']\nx:"
        assert "python/object/apply" in refused(PRETRAINED.replace("sub_task_config:", tag))
        assert not bait.exists()


class TestValues:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (
                ("scale_factor:", "scale_facter:"),
                "scale_facter is not known; did you mean scale_factor",
            ),
            (("DistanceTaskConfig", "DistancTask"), "DistancTask; did you mean DistanceTaskConfig"),
            (("DistanceTaskConfig", "[1, 2]"), "of the unknown type [1, 2]; known are"),
            (("__type__: DistanceTaskConfig\n", ""), "has no __type__"),
            (("clip_distance: 200.0\n", ""), "the field clip_distance is missing"),
            (("50.0", "-3"), "scale_factor: Input should be greater than 0 (got -3)"),
            (("50.0", "wide"), "scale_factor: Input should be a valid number"),
            (("[mito, er]", "[mito, mito]"), "two channels are named mito"),
            (("[mito, er]", "[]"), "channels: List should have at least 1 item"),
            (("[mito, er]", "mito"), "channels: Input should be a valid list (got 'mito')"),
            (("[mito, er]", "[[mito]]"), "channels.0: Input should be a valid string."),
            (("[mito, er]", "{mito: 1}"), "channels: Input should be a valid list."),
            (("mito_dist", "2020-01-01"), "name: Input should be a valid string (got datetime"),
            (("mito_dist", "2020-99-99"), "holds a value that cannot be read: month must be"),
            (("0.05", "0.96"), "clipmin 0.96 must be below clipmax 0.95"),
            (("name: mito_dist", "clipmin: 0.1"), "clipmin stands there twice"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(self, refused, change, sentence):
        assert sentence in refused(DISTANCE.replace(*change, 1))

    @pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e999", "1" + "0" * 400])
    @pytest.mark.parametrize(
        ("text", "field"),
        [
            (DISTANCE, "scale_factor: 50.0"),
            (INNER, "tol_distance: 40.0"),
            (HOT, "clip_distance: 200.0"),
            (AFFINITIES, "lsds_to_affs_weight_ratio: 1.0"),
            (PRETRAINED, "scale_factor: 50.0"),
            (DUMMY, "detection_threshold: 0.5"),
        ],
    )
    def test_numbers_that_are_not_finite(self, refused, text, field, number):
        name = field.split(":")[0]
        said = refused(text.replace(field, f"{name}: {number}"))
        assert f"{name}: Input should be" in said

    @pytest.mark.parametrize(
        ("text", "field", "number"),
        [
            (DISTANCE, "scale_factor: 50.0", "1.0e+30"),
            (HOT, "kernel_size: null", "1" + "0" * 40),
            (AFFINITIES, "num_lsd_voxels: 10", "1" + "0" * 400),
            (AFFINITIES, "downsample_lsds: 1", "2000000000000"),
            (PRETRAINED, "clip_distance: 200.0", "1.0e+307"),
            (DUMMY, "embedding_dims: 2", "1" + "0" * 15),
            (DUMMY, "detection_threshold: 0.5", "-1.0e+40"),
        ],
    )
    def test_numbers_beyond_all_data(self, refused, text, field, number):
        name = field.split(":")[0]
        assert f"{name} is beyond 1e+12" in refused(text.replace(field, f"{name}: {number}"))

    @pytest.mark.parametrize("digits", ["1" + "0" * 5000, "0x1" + "0" * 6000])
    def test_numbers_that_python_does_not_write(self, refused, digits):
        refused(DISTANCE.replace("50.0", digits))

    @pytest.mark.parametrize(
        ("offsets", "sentence"),
        [
            ("[]", "neighborhood: there is no offset"),
            ("[[1, 0, 0], [0, 1]]", "have 3 and 2 axes"),
            ("[[1, 0, 0.5]]", "neighborhood.0.2: Input should be a valid integer"),
            ("[1, 0, 0]", "neighborhood.0: Input should be a valid tuple (got 1)"),
            ("1", "neighborhood: Input should be a valid list (got 1)"),
            ("[[1, 0, .nan]]", "neighborhood.0.2: Input should be"),
        ],
    )
    def test_offsets_that_are_none(self, refused, offsets, sentence):
        text = f"__type__: AffinitiesTaskConfig\nname: a\nneighborhood: {offsets}\n"
        assert sentence in refused(text)

    @pytest.mark.parametrize("field", ["__type__", "channels", "scale_factor", "name"])
    def test_lists_that_would_fill_all_memory_as_text(self, refused, field):
        lists = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lists += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 15)]
        lines = [
            f"{field}: *a14" if line.startswith(f"{field}:") else line
            for line in DISTANCE.splitlines()
        ]
        refused("\n".join([*lists, *lines]))

    @pytest.mark.parametrize("value", ["&a [*a]", "&a !!python/tuple [*a]", "&a {b: *a}"])
    def test_lists_that_hold_themselves(self, refused, value):
        refused(DISTANCE.replace("[mito, er]", value))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[1, 2]", "just words", "3", "null", "a: [1", "\ttab: 1", "a: b\n---\nc: d"),
        *("? [1]\n: 2", "&a {<<: *a}", "[" * 100_000, "%YAML 9.9\n---\na: b", "\x00"),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_files_that_are_no_task(refused, text):
    refused(text)


def test_files_that_cannot_be_read_or_written(load, tmp_path):
    config = load(DISTANCE)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_task(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="is no text file"):
        load_task(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        save_task(config, tmp_path / "no" / "folder.yaml")


def test_plain_values_without_a_file():
    assert task_from_dict(task_to_dict(CONFIGS[DISTANCE])) == CONFIGS[DISTANCE]
    with pytest.raises(ConfigError, match=r"^The task: it has no __type__"):
        task_from_dict({})


NAMES = st.text(min_size=1).filter(str.strip)
DIFFERENT = st.lists(NAMES, min_size=2, max_size=4, unique=True)
LENGTHS = st.floats(0, 1e12, exclude_min=True)
SHARES = {"clipmin": st.floats(0.001, 0.4), "clipmax": st.floats(0.5, 1)}
COMMON = {"name": NAMES}
DISTANCES = {
    **COMMON,
    "channels": DIFFERENT,
    "scale_factor": LENGTHS,
    "clip_distance": LENGTHS,
    "tol_distance": LENGTHS,
}
KERNELS = st.none() | st.integers(1, 9)
OFFSETS = st.lists(
    st.tuples(*[st.integers(-(2**70), 2**70)] * 3).filter(any), min_size=1, max_size=9, unique=True
)
PLAIN = st.one_of(
    st.builds(DistanceTaskConfig, **DISTANCES, **SHARES, mask_distances=st.booleans()),
    st.builds(InnerDistanceTaskConfig, **DISTANCES),
    st.builds(HotDistanceTaskConfig, **DISTANCES, kernel_size=KERNELS),
    st.builds(OneHotTaskConfig, **COMMON, classes=DIFFERENT, kernel_size=KERNELS),
    st.builds(
        AffinitiesTaskConfig,
        **COMMON,
        neighborhood=OFFSETS,
        lsds=st.booleans(),
        num_lsd_voxels=st.integers(1, 10**12),
        affs_weight_clipmin=SHARES["clipmin"],
        lsd_weight_clipmax=SHARES["clipmax"],
        background_as_object=st.booleans(),
    ),
    st.builds(
        DummyTaskConfig,
        **COMMON,
        embedding_dims=st.integers(1, 10**12),
        detection_threshold=st.floats(-1e12, 1e12),
    ),
)


@given(
    PLAIN
    | st.builds(
        PretrainedTaskConfig,
        **COMMON,
        sub_task_config=PLAIN,
        weights=st.text(),
        new_head=st.booleans(),
    )
)
def test_any_config_comes_back_from_its_file(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    save_task(config, path)
    again = load_task(path)
    assert again == config
    assert task_to_dict(again) == task_to_dict(config)
