from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.widgets.settings import RECENT_KEPT, Settings, SettingsFile


def test_what_was_chosen_is_there_the_next_time(settings_path: Path) -> None:
    assert SettingsFile.of_user().value == Settings()
    trainer = TrainerConfig(iterations=123, device="cuda:1")
    SettingsFile.of_user().change(trainer=trainer, own_process=True, score="voi")
    again = SettingsFile.of_user().value
    assert again == Settings(trainer=trainer, own_process=True, score="voi")
    assert [path.name for path in settings_path.parent.iterdir()] == [settings_path.name]


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '{"trainer": {"iterations": 1', "\0"])
def test_a_damaged_file_counts_as_none_and_is_mended(settings_path: Path, text: str) -> None:
    settings_path.parent.mkdir(parents=True)
    settings_path.write_text(text)
    settings = SettingsFile.of_user()
    assert settings.value == Settings()
    settings.change(log_scale=True)
    assert SettingsFile.of_user().value == Settings(log_scale=True)


def test_one_value_that_is_refused_does_not_take_the_others_along(settings_path: Path) -> None:
    settings_path.parent.mkdir(parents=True)
    values = {
        "trainer": {"iterations": -3},
        "own_process": "perhaps",
        "score": "voi",
        "of another version": 3,
    }
    settings_path.write_text(json.dumps(values))
    assert SettingsFile.of_user().value == Settings(score="voi")


def test_bytes_that_are_no_text_count_as_none(settings_path: Path) -> None:
    settings_path.parent.mkdir(parents=True)
    settings_path.write_bytes(b"\xff\xfe\x00{")
    assert SettingsFile.of_user().value == Settings()


def test_what_another_window_has_changed_stays(settings_path: Path) -> None:
    one, other = SettingsFile.of_user(), SettingsFile.of_user()
    one.change(log_scale=True)
    other.change(own_process=True)
    assert SettingsFile.of_user().value == Settings(log_scale=True, own_process=True)


def test_a_file_that_cannot_be_written_bothers_nobody(settings_path: Path) -> None:
    settings_path.parent.write_text("a file where the folder would be")
    settings = SettingsFile.of_user()
    settings.change(own_process=True)
    assert settings.value.own_process
    assert not SettingsFile.of_user().value.own_process


def test_a_demonstration_leaves_no_trace(settings_path: Path) -> None:
    SettingsFile.of_user().change(own_process=True)
    settings = SettingsFile.of_user()
    settings.forget()
    assert settings.value == Settings()
    settings.change(log_scale=True)
    assert SettingsFile.of_user().value == Settings(own_process=True)


def test_recent_runs_are_few_and_each_is_there_once(settings_path: Path) -> None:
    settings = SettingsFile.of_user()
    for number in [*range(20), 18]:
        settings.add_recent(Path(f"/runs/{number}"))
    recent = SettingsFile.of_user().value.recent
    assert recent[:3] == ("/runs/18", "/runs/19", "/runs/17")
    assert len(recent) == len(set(recent)) == RECENT_KEPT
