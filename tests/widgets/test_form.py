from typing import Annotated, ClassVar, Literal, Self

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QSlider

from napari_dacapo_tasks.architectures.cnnectome_unet import CNNectomeUNet
from napari_dacapo_tasks.tasks import Measured, OneHotTaskConfig
from napari_dacapo_tasks.tasks.kinds import KINDS
from napari_dacapo_tasks.tasks.task import NEEDS, WORLD
from napari_dacapo_tasks.widgets.field_kinds import read_numbers, write_numbers
from napari_dacapo_tasks.widgets.form import ConfigForm
from napari_dacapo_tasks.widgets.task_form import TaskForm


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
    reach: float = Field(
        default=20, gt=0, title="Reach", json_schema_extra={**WORLD, NEEDS: "on", "other": 1}
    )
    odd: int | None = Field(default=None, ge=1, title="Odd", json_schema_extra={"editor": "none"})
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
        reach=7.5,
        odd=3,
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


def test_a_field_that_needs_another_one_is_grey_while_that_is_off(form, qtbot):
    form.setValue(Recipe())
    reach, switch = form.editor("reach"), form.editor("on").findChild(QCheckBox)
    label = next(one for one in form.findChildren(QLabel) if one.text() == "Reach (nm)")
    assert reach.isEnabled()
    switch.click()
    assert not reach.isEnabled()
    assert not label.isEnabled()
    assert form.editor("length").isEnabled()
    switch.click()
    assert reach.isEnabled()
    type_into(qtbot, form, "reach", "-1", QDoubleSpinBox)
    switch.click()
    assert form.refusals == {"reach": "must be greater than 0"}
    assert reach.isEnabled(), "what is red must be in reach to be mended"
    type_into(qtbot, form, "reach", "1", QDoubleSpinBox)
    assert not reach.isEnabled()
    assert form.value().reach == 1


def test_a_length_may_say_more_of_itself(form):
    assert form.editor("reach").findChild(QSlider) is not None


def test_a_number_that_may_be_none_starts_at_one_that_is_allowed(form):
    form.setValue(Recipe())
    form.editor("odd").findChild(QCheckBox).click()
    assert form.value().odd == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("voxel_size", [(8.0, 8.0, 8.0), (40.0, 4.0, 4.0), (4.0, 4.0)])
def test_every_task_has_a_form(qtbot, kind, voxel_size):
    form = TaskForm(kind)
    qtbot.addWidget(form)
    measured = Measured(voxel_size, 60.0)
    form.setMeasured(measured)
    proposal = form.proposal(["mito", "er"], measured)
    form.setProposal(proposal, 4.0)
    form.setValue(proposal)
    assert form.value() == proposal
    assert not any(said(form))


def test_classes_are_shown_with_the_labels_that_they_stand_for(qtbot):
    form = TaskForm(OneHotTaskConfig)
    qtbot.addWidget(form)
    form.show()
    form.setValue(OneHotTaskConfig(name="organelles", classes=["background", "mito"]))
    echo = form.editor("classes").echo_label
    assert echo.text().replace("\xa0", " ") == "0 background · 1 mito"
    type_into(qtbot, form, "classes", "outside, mito, er")
    assert echo.text().replace("\xa0", " ") == "0 outside · 1 mito · 2 er"
    assert form.value().classes == ["outside", "mito", "er"]
    type_into(qtbot, form, "classes", "mito, mito")
    assert form.value() is None
    assert "Two classes are named mito: give each its own name" in said(form)


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
