import numpy as np
import pytest

from napari_dacapo_tasks.errors import ConfigError
from napari_dacapo_tasks.evaluation.ranges import (
    MOST_VALUES,
    SweepRanges,
    format_values,
    parse_values,
)
from napari_dacapo_tasks.tasks.post_processors.argmax import ArgmaxPostProcessor
from napari_dacapo_tasks.tasks.post_processors.mutex_watershed import MutexWatershedPostProcessor
from napari_dacapo_tasks.tasks.post_processors.threshold import ThresholdPostProcessor
from napari_dacapo_tasks.tasks.post_processors.watershed import WatershedPostProcessor

SHORT = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
LONG = [*SHORT, (5, 0, 0)]
PROCESSORS = [
    ThresholdPostProcessor(["a"]),
    WatershedPostProcessor(["a"]),
    MutexWatershedPostProcessor(SHORT),
    MutexWatershedPostProcessor(LONG),
]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_proposed_ranges_are_those_of_the_post_processor(processor):
    ranges = SweepRanges.of(processor)
    tried = [
        processor.default.model_copy(update=ranges.with_followers(one))
        for one in ranges.combinations()
    ]
    assert len(tried) == ranges.number
    assert set(tried) == set(processor.enumerate_parameters())
    ranges.require_for(processor, "M")


def test_a_bias_that_nothing_tells_from_the_other_follows_it():
    short, long = (SweepRanges.of(MutexWatershedPostProcessor(n)) for n in (SHORT, LONG))
    assert list(short.values) == ["bias"]
    assert short.follows == {"long_bias": "bias"}
    assert list(long.values) == ["bias", "long_bias"]
    assert not long.follows
    both = short.with_values({"long_bias": (0.2,), "bias": (0.5, 0.6)})
    assert both.number == 2
    assert [both.with_followers(one) for one in both.combinations()] == [
        {"bias": 0.5, "long_bias": 0.2},
        {"bias": 0.6, "long_bias": 0.2},
    ]


def test_the_last_parameter_changes_first():
    ranges = SweepRanges({"threshold": (0.1, 0.2), "min_size": (1, 2)})
    assert ranges.number == 4
    assert [tuple(one.values()) for one in ranges.combinations()] == [
        (0.1, 1),
        (0.1, 2),
        (0.2, 1),
        (0.2, 2),
    ]
    fewer = ranges.with_values({"min_size": ()})
    assert fewer.number == 2


def test_nothing_to_sweep_is_refused():
    argmax, threshold = ArgmaxPostProcessor(), ThresholdPostProcessor(["a"])
    assert SweepRanges.of(argmax).number == 0
    assert list(SweepRanges.of(argmax).combinations()) == []
    with pytest.raises(ConfigError, match="nothing to sweep: the method M has no parameters"):
        SweepRanges.of(argmax).require_for(argmax, "M")
    with pytest.raises(ConfigError, match="nothing to sweep: give values of threshold"):
        SweepRanges({}).require_for(threshold, "M")
    with pytest.raises(ConfigError, match="nothing to sweep: threshold has no value"):
        SweepRanges({"threshold": ()}).require_for(threshold, "M")


def test_what_the_method_does_not_have_is_refused():
    threshold = ThresholdPostProcessor(["a"])
    with pytest.raises(ConfigError, match=r"no parameter treshold; did you mean threshold\?$"):
        SweepRanges({"treshold": (1,)}).require_for(threshold, "M")
    many = SweepRanges({"threshold": tuple(range(1000)), "fill_holes": tuple(range(1000))})
    with pytest.raises(ConfigError, match="There are 1000000 combinations"):
        many.require_for(threshold, "M")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5", (0.5,)),
        ("0, 0.1,0.2", (0, 0.1, 0.2)),
        ("0:0.3:0.1", (0.0, 0.1, 0.2, 0.3)),
        ("-0.2:0.2:0.05", (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)),
        ("0.3:0:-0.1", (0.3, 0.2, 0.1, 0.0)),
        ("0:0.25:0.1", (0.0, 0.1, 0.2)),
        ("0:10:5", (0, 5, 10)),
        ("7:7:1", (7,)),
        ("0, 1:3:1, 2", (0, 1, 2, 3)),
        ("1e-3, -2", (0.001, -2)),
        ("true, False", (True, False)),
        ("a, b c", ("a", "b c")),
    ],
)
def test_values_as_people_write_them(text, values):
    found = parse_values(text)
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]
    assert parse_values(format_values(found)) == found


def test_a_script_gives_values_of_any_kind():
    ranges = SweepRanges({"threshold": np.linspace(0, 1, 3), "min_size": 5, "way": "a b"})
    ranges = ranges.with_values({"fill_holes": np.arange(2)})
    assert ranges.values == {
        "threshold": (0.0, 0.5, 1.0),
        "min_size": (5,),
        "way": ("a b",),
        "fill_holes": (0, 1),
    }
    assert {type(one) for many in ranges.values.values() for one in many} == {float, int, str}
    assert "threshold" not in ranges.with_values({"threshold": np.empty(0)}).values


@pytest.mark.parametrize("text", ["", "0,,1", "0, ", ",", "   "])
def test_gaps_between_values(text):
    with pytest.raises(ConfigError, match="has no value where one should be"):
        parse_values(text)


@pytest.mark.parametrize(
    "text",
    ["0:1", "0:1:a", "0:1:0", "0:1:-1", "1:0:1", "0:inf:1", "0:1:2:3", ":", f"0:{'9' * 400}:1"],
)
def test_ranges_that_are_none(text):
    with pytest.raises(ConfigError, match="is no range"):
        parse_values(text)


def test_a_slip_of_the_keyboard_does_not_take_for_ever():
    with pytest.raises(ConfigError, match=f"more than {MOST_VALUES} values"):
        parse_values("0:1:1e-9")
    with pytest.raises(ConfigError, match=f"more than {MOST_VALUES} values"):
        parse_values("0:600:1, 1000:1600:1")
