from typing import Annotated, ClassVar, Literal, Self

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QSlider

from napari_dacapo_tasks.architectures.cnnectome_unet import CNNectomeUNet
from napari_dacapo_tasks.tasks import TASKS, Measured
from napari_dacapo_tasks.tasks.task import WORLD
from napari_dacapo_tasks.widgets.field_kinds import read_numbers, write_numbers
from napari_dacapo_tasks.widgets.form import ConfigForm


class Recipe(BaseModel):
    """One field of every kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sections: ClassVar[dict[str, tuple[str, ...]]] = {"Shapes": ("shape", "factors", "kernels")}

    name: str = Field(default="a", min_length=1, title="Name")
    count: int = Field(default=3, ge=1, title="Count", description="How many there are.")
    rate: float = Field(default=1e-4, gt=0, title="Rate")
    length: float = Field(default=40, gt=0, title="Length", json_schema_extra=WORLD)
    least: float = Field(default=0.1, title="Lowest share")
    most: float = Field(default=0.9, title="Highest share")
    on: bool = Field(default=True, title="Switch")
    mode: Literal["valid", "same"] = Field(default="valid", title="Mode")
    names: list[str] = Field(default=["x"], title="Names")
    limit: int | None = Field(default=None, title="Limit")
    shape: Annotated[tuple[int, ...], AfterValidator(tuple)] = Field(default=(8, 8), title="Shape")
    factors: tuple[tuple[int, ...], ...] = Field(default=((2, 2),), title="Factors")
    kernels: list[list[tuple[int, ...]]] | None = Field(default=None, title="Kernels")
    secret: int = Field(default=7)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least >= self.most:
            raise ValueError(f"least {self.least:g} must be below most {self.most:g}")
        return self


@pytest.fixture
def form(qtbot):
    form = ConfigForm(Recipe, hidden=["secret"])
    qtbot.addWidget(form)
    form.show()
    return form


def type_into(qtbot, form, name, text, kind=QLineEdit):
    line = form.editor(name).findChild(kind)
    line.selectAll()
    qtbot.keyClicks(line, text)
    qtbot.keyClick(line, Qt.Key.Key_Return)


def said(form):
    return [label.text() for label in form.findChildren(QLabel) if label.property("refusal")]


def test_the_form_gives_back_every_value_that_it_shows(form):
    recipe = Recipe(
        name="b",
        count=9,
        rate=3.25e-7,
        length=123.456,
        least=0.25,
        most=0.5,
        on=False,
        mode="same",
        names=["mito", "er"],
        limit=5,
        shape=(4, 5, 6),
        factors=((1, 2, 2), (2, 2, 2)),
        kernels=[[(3, 3), (1, 3)], [(3, 3)]],
        secret=8,
    )
    form.setValue(recipe)
    assert form.value() == recipe


def test_defaults_come_from_the_config(form):
    form.setValue(Recipe())
    assert form.value() == Recipe()


def test_a_learning_rate_is_typed_with_an_exponent(form, qtbot):
    form.setValue(Recipe())
    with qtbot.waitSignal(form.valueChanged) as signal:
        type_into(qtbot, form, "rate", "5e-5", QDoubleSpinBox)
    assert signal.args[0].rate == 5e-5


def test_a_decimal_comma_is_understood(form, qtbot):
    form.setValue(Recipe())
    type_into(qtbot, form, "most", "0,75", QDoubleSpinBox)
    assert form.value().most == 0.75


def test_a_number_that_was_not_left_with_enter_counts(form, qtbot):
    form.setValue(Recipe())
    box = form.editor("rate").findChild(QDoubleSpinBox)
    box.selectAll()
    qtbot.keyClicks(box, "0.5")
    assert form.value().rate == 0.5


def test_a_refused_value_is_red_with_its_reason_until_mended(form, qtbot):
    form.setValue(Recipe())
    with qtbot.waitSignal(form.valueChanged) as signal:
        type_into(qtbot, form, "rate", "-1", QDoubleSpinBox)
    assert signal.args == [None]
    assert form.value() is None
    assert form.refusals == {"rate": "must be greater than 0"}
    assert "Must be greater than 0" in said(form)
    assert form.editor("rate").findChild(QDoubleSpinBox).property("refused")
    type_into(qtbot, form, "rate", "1", QDoubleSpinBox)
    assert form.value().rate == 1
    assert not any(said(form))
    assert not form.editor("rate").findChild(QDoubleSpinBox).property("refused")


def test_a_rule_over_two_fields_is_said_with_their_titles(form, qtbot):
    form.setValue(Recipe())
    type_into(qtbot, form, "most", "0.05", QDoubleSpinBox)
    assert form.value() is None
    assert "'Lowest share' 0.1 must be below 'Highest share' 0.05" in said(form)
    for name in ("least", "most"):
        assert form.editor(name).findChild(QDoubleSpinBox).property("refused")


def test_text_that_is_no_numbers_is_refused_with_the_part_that_is_wrong(form, qtbot):
    form.setValue(Recipe())
    type_into(qtbot, form, "shape", "8, x, 8")
    assert form.refusals == {
        "shape": "'x' is no whole number: give whole numbers with commas between them"
    }


def test_arrows_stop_at_the_bounds(form, qtbot):
    form.setValue(Recipe(count=1))
    form.editor("count").spin.stepDown()
    assert form.value().count == 1
    form.editor("count").spin.stepUp()
    assert form.value().count == 2


def test_none_is_an_empty_line_or_an_unchecked_box(form, qtbot):
    form.setValue(Recipe(limit=4, kernels=[[(3, 3)]]))
    form.editor("limit").findChild(QCheckBox).click()
    type_into(qtbot, form, "kernels", " ")
    assert form.value().limit is None
    assert form.value().kernels is None


def test_clicks_change_switches_and_choices(form, qtbot):
    form.setValue(Recipe())
    form.editor("on").findChild(QCheckBox).click()
    qtbot.keyClick(form.editor("mode").findChild(QComboBox), Qt.Key.Key_Down)
    assert (form.value().on, form.value().mode) == (False, "same")


def test_lengths_have_the_unit_in_their_label_and_a_slider_with_decades(form, qtbot):
    labels = [label.text() for label in form.findChildren(QLabel)]
    assert "Length (nm)" in labels
    form.setUnit("voxels")
    assert "Length (voxels)" in [label.text() for label in form.findChildren(QLabel)]
    form.setProposal(Recipe(length=40))
    form.setValue(Recipe(length=40))
    slider = form.editor("length").findChild(QSlider)
    with qtbot.waitSignal(form.valueChanged) as signal:
        slider.setValue(slider.maximum())
    assert signal.args[0].length == 400
    slider.setValue(slider.minimum())
    assert form.value().length == 4
    form.setProposal(Recipe(length=40), least=8)
    slider.setValue(1)
    slider.setValue(slider.minimum())
    assert form.value().length == 8
    assert form.editor("rate").findChild(QSlider) is None


def test_help_is_a_tooltip(form):
    assert "How many there are." in form.editor("count").toolTip()


def test_hidden_fields_keep_what_they_were_given(form):
    form.setValue(Recipe(secret=9))
    assert form.value().secret == 9
    form.setHiddenValues(secret=10)
    assert form.value().secret == 10


def test_showing_the_same_config_again_says_nothing(form, qtbot):
    form.setValue(Recipe())
    with qtbot.assertNotEmitted(form.valueChanged):
        form.setValue(Recipe())


def test_the_wheel_over_a_field_scrolls_the_dock_instead_of_changing_it(form, qtbot):
    from qtpy.QtCore import QPoint, QPointF
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    form.setValue(Recipe())
    spin = form.editor("count").spin
    spin.clearFocus()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, 120),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(spin, event)
    assert form.value().count == 3


@pytest.mark.parametrize("config", TASKS)
def test_every_task_has_a_form(qtbot, config):
    form = ConfigForm(config, hidden=["channels"])
    qtbot.addWidget(form)
    proposal = config.propose(["mito", "er"], Measured((8.0, 8.0, 8.0), 60.0))
    form.setValue(proposal)
    assert form.value() == proposal


def test_the_networks_config_has_a_form_that_offers_the_nearest_shapes(qtbot):
    form = ConfigForm(CNNectomeUNet)
    qtbot.addWidget(form)
    form.show()
    network = CNNectomeUNet(kernel_size_down=[[(3, 3, 3)] * 2] * 3)
    form.setValue(network)
    assert form.value() == network
    type_into(qtbot, form, "input_shape", "93, 92, 92")
    assert form.value() is None
    assert "(92, 92, 92)" in form.refusals["input_shape"]


@pytest.mark.parametrize(
    ("text", "depth", "value"),
    [
        ("1, 2, 2", 1, [1, 2, 2]),
        ("-1,0", 1, [-1, 0]),
        ("", 1, []),
        ("1, 2; 3, 4", 2, [[1, 2], [3, 4]]),
        ("3, 3; 1, 1 | 3, 3", 3, [[[3, 3], [1, 1]], [[3, 3]]]),
    ],
)
def test_numbers_are_read_as_written(text, depth, value):
    assert read_numbers(text, depth) == value
    assert read_numbers(write_numbers(value, depth), depth) == value


@pytest.mark.parametrize("text", ["1,, 2", "1, 2,", "1.5", "one"])
def test_other_texts_are_no_numbers(text):
    with pytest.raises(ValueError, match="give whole numbers"):
        read_numbers(text)
