"""The Train dock: train the task of the Task dock, and watch it learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_dacapo_tasks.runs.run_folder import RunFolder
from napari_dacapo_tasks.runs.run_list import RunState
from napari_dacapo_tasks.runs.trainer_config import TrainerConfig
from napari_dacapo_tasks.training.events import (
    Notice,
    Request,
    Started,
    Stepped,
    Validated,
    Validating,
)
from napari_dacapo_tasks.widgets.closing import EndOnClose
from napari_dacapo_tasks.widgets.histories import RunHistory
from napari_dacapo_tasks.widgets.result_layers import Anchor
from napari_dacapo_tasks.widgets.run_controller import RunController
from napari_dacapo_tasks.widgets.run_controls import State
from napari_dacapo_tasks.widgets.run_events import (
    Followed,
    FoundRun,
    Logged,
    Opened,
    RunEvent,
    SoFar,
    Work,
)
from napari_dacapo_tasks.widgets.run_view import RunView
from napari_dacapo_tasks.widgets.seen_snapshot import SeenSnapshot
from napari_dacapo_tasks.widgets.settings import SettingsFile
from napari_dacapo_tasks.widgets.shared_room import SharedRoom
from napari_dacapo_tasks.widgets.snapshot_layers import SnapshotLayers
from napari_dacapo_tasks.widgets.train_forms import TrainForms
from napari_dacapo_tasks.widgets.train_work import follow_run, go_on, make_and_train

WIDTH = 360


class TrainDock(QWidget):
    """Puts the panels together: what is to be trained above, the run itself below."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # Docks get the viewer behind a proxy whose layers are other objects each time.
        self._viewer: Any = getattr(viewer, "__wrapped__", viewer)
        self._found: FoundRun | None = None
        self._reveal = False
        self._anchor: Anchor | None = None
        self._starts_when_found = False
        self._not_to_follow: Path | None = None
        self._refused: tuple[str, Path | None] = "", None

        self.settings = SettingsFile.of_user()
        self.forms = TrainForms(self._viewer)
        self.data, self.architecture = self.forms.data, self.forms.architecture
        self.trainer, self.folder = self.forms.trainer, self.forms.folder
        self.view = RunView(self._viewer, self.settings)
        self.notice, self.controls = self.view.notice, self.view.controls
        self.plot, self.log, self.runs = self.view.curves, self.view.log, self.view.runs
        self._room = SharedRoom(self.forms, self.view)
        self.snapshots = SnapshotLayers(self._viewer, self)
        self.controller = RunController(self)
        self._end_on_close = EndOnClose(self, self._end_all)
        self._lay_out()
        self._remembered()
        self._connect()
        self._update()

    @property
    def state(self) -> State:
        """What goes on."""
        return self.controller.state

    def sizeHint(self) -> Any:
        """Give a width at which every label can be read."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    def forget(self) -> None:
        """Begin as for a new user, and remember nothing, as a demonstration does."""
        self.settings.forget()
        self.trainer.setValue(TrainerConfig())
        self.view.show_settings()
        self._remembered()

    # Start, stop, follow

    def start(self) -> None:
        """Train a new run, or go on with the one in the folder."""
        self.notice.clear()
        try:
            work = self._work()
        except Exception as error:  # every failure is shown here
            self.notice.show_error(error)
            self._refused = self.notice.text, self.folder.path()
            return
        self._begin(work, self.view.apart)

    def ask_for_snapshot(self) -> None:
        """Show what the network predicts after the present step."""
        self._reveal = True
        self.controller.ask_for(Request.SNAPSHOT)

    def _begin(self, work: Callable[[], Work], apart: bool) -> None:
        self._reveal, self._not_to_follow = True, None
        self._end_on_close.watch_window()
        self.controller.start(work, apart)

    def _follow(self, found: FoundRun) -> None:
        """Follow a run that another process trains."""
        self._anchor = self.forms.anchor()
        self._begin(partial(follow_run, found.run), apart=True)

    def _work(self) -> Callable[[], Work]:
        """Take everything that a run needs out of the widgets; raises UserError."""
        found, apart = self.folder.found, self.view.apart
        if found is not None:
            trainer, network = self.forms.changes(found)
            work = partial(go_on, found.run, trainer, network, apart)
        else:
            work = partial(make_and_train, self.forms.new_run(), apart)
        self._anchor = self.forms.anchor()
        return work

    # What comes from the run

    def _on_event(self, event: RunEvent) -> None:
        match event:
            case float():
                self.controls.showShare(event)
            case Opened():
                self._on_opened(event.run)
            case Started():
                self.controls.showRun(event.iteration, event.iterations, f"on {event.device}")
                self.architecture.setParameters(event.parameters)
            case Followed():
                self.controls.showRun(event.iteration, event.iterations, "in its own process")
            case SoFar():
                self.plot.set_present(event.history)
                if event.log is not None:
                    self.log.set_lines(event.log)
            case Logged():
                self.log.add(event.lines)
            case Stepped():
                self.plot.add(event.iteration, event.loss)
                self.controls.step(event.iteration, event.seconds)
            case SeenSnapshot():
                self.snapshots.show(event, self._anchor)
                if self._reveal:  # not each time: a person may want to look elsewhere
                    self.snapshots.reveal()
                    self._reveal = False
            case Validating():
                self.controls.showValidating(event.share)
            case Validated():
                self.plot.add_score(event.score)
                self.controls.showValidating(None)
            case Notice():
                self.notice.show_info(event.text)

    def _on_opened(self, run: RunFolder) -> None:
        if self._found is None:
            self.log.clear()
        self.folder.showTraining()
        self.settings.add_recent(run.path)
        if self.controller.apart:
            self.settings.change(followed=str(run.path))
        self._show_present(run.path)

    def _on_ended(self, said: str) -> None:
        self.notice.show_info(said)
        self._look_anew()

    def _on_failed(self, error: Exception) -> None:
        self._not_to_follow = self.folder.path()
        self.notice.show_error(error)
        self._look_anew()

    def _look_anew(self) -> None:
        self.plot.redraw()
        self.folder.look()
        self.runs.refresh()

    # What is chosen

    def _on_change(self, _value: object = None) -> None:
        """Say no more why a run could not be started: something is another now."""
        if self.notice.text == self._refused[0]:
            self.notice.clear()

    def _on_folder(self) -> None:
        self._update()
        if self.folder.path() != self._refused[1]:
            self._on_change()
        if self.folder.busy or self.state is not State.IDLE:
            return
        self._found = self.folder.found
        if self._found is not None:
            self._show_found(self._found)
        elif self.view.present is not None:
            self._show_new()
        self._update()
        starts, self._starts_when_found = self._starts_when_found, False
        if self._found is None:
            return
        path = self._found.run.path
        if self._found.is_training and path != self._not_to_follow:
            self._follow(self._found)
        elif starts:
            self.start()

    def _show_found(self, found: FoundRun) -> None:
        self.forms.show_found(found)
        self.plot.set_present(found.history)
        self.log.set_lines(found.log)
        self._show_present(found.run.path)
        self.controls.showRun(found.iteration or 0, found.run.config.trainer.iterations)

    def _show_new(self) -> None:
        present = self.view.present
        if not self.notice.is_error and present is not None and present.exists():
            self.notice.clear()  # but not that the folder was deleted
        self.forms.show_new()
        self.plot.set_present(RunHistory())
        self.log.clear()
        self._show_present(None)
        self.controls.showRun(0, 0)

    def _show_present(self, path: Path | None) -> None:
        self.view.show_present(path)
        self._room.setWatched(path is not None)

    def _on_iterations(self, iterations: int) -> None:
        if self._found is not None:
            self.controls.showRun(self._found.iteration or 0, iterations)

    def _open(self, path: Path) -> None:
        """Show a run of the list: its curves, its parameters."""
        if self.state is State.IDLE:
            self._not_to_follow = None
            self.folder.setPath(path)
            self.view.show_curves()
        else:
            self.notice.show_info("A run is being trained here: stop it to open another one.")

    def _go_on(self, path: Path) -> None:
        """Open a run and start it, or follow it where it is being trained."""
        self._starts_when_found = self.state is State.IDLE
        self._open(path)

    def _on_runs_managed(self) -> None:
        """Show no longer a run that was deleted."""
        if (
            self.state is State.IDLE
            and self._found is not None
            and not self._found.run.path.exists()
        ):
            self.folder.look()

    def _on_runs(self) -> None:
        """Find again what was left in a process of its own when napari was closed."""
        followed = self.settings.value.followed
        if followed is None or self.controller.apart or self._found is not None:
            return
        run = self.runs.runs.get(Path(followed))
        if run is not None and run.state is RunState.TRAINING and self.state is State.IDLE:
            self._open(run.path)

    # Settings and states

    def _remembered(self) -> None:
        settings = self.settings.value
        self.folder.setHome(Path(settings.runs_home) if settings.runs_home else None)
        self.view.setHome(self.folder.home)
        if settings.trainer is not None:
            self.trainer.setValue(settings.trainer)

    def _on_trainer(self, trainer: TrainerConfig) -> None:
        self.settings.change(trainer=trainer)

    def _on_home(self, home: Path) -> None:
        self.settings.change(runs_home=str(home))
        self.folder.setHome(home)
        self.view.setHome(home)

    def _on_state(self, state: State) -> None:
        self.controls.setState(state)
        self.controls.setApart(self.controller.apart and state is not State.IDLE)
        self._update()

    def _update(self) -> None:
        """Let only that be changed which would have an effect."""
        self.forms.setIdle(self.state is State.IDLE)
        self.controls.setReady(not self.folder.busy, goes_on=self._has_steps())

    def _has_steps(self) -> bool:
        return self._found is not None and bool(self._found.iteration)

    def _end_all(self) -> None:
        self.forms.end()
        self.view.end()
        self.controller.end()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._room)

    def _connect(self) -> None:
        self.forms.failed.connect(self.notice.show_error)
        for changed in (
            self.data.changed,
            self.architecture.valueChanged,
            self.trainer.valueChanged,
        ):
            changed.connect(self._on_change)
        self.forms.trainerChanged.connect(self._on_trainer)
        self.forms.iterationsChanged.connect(self._on_iterations)
        self.folder.looked.connect(self._on_folder)
        self.view.opens.connect(self._open)
        self.view.continues.connect(self._go_on)
        self.view.homeChosen.connect(self._on_home)
        self.runs.looked.connect(self._on_runs)
        self.view.actions.changed.connect(self._on_runs_managed)
        self.controls.start.connect(self.start)
        self.controls.pause.connect(self.controller.pause)
        self.controls.resume.connect(self.controller.resume)
        self.controls.stop.connect(self.controller.stop)
        self.controls.snapshot.connect(self.ask_for_snapshot)
        self.controls.validate.connect(partial(self.controller.ask_for, Request.VALIDATE))
        self.controller.stateChanged.connect(self._on_state)
        self.controller.happened.connect(self._on_event)
        self.controller.ended.connect(self._on_ended)
        self.controller.failed.connect(self._on_failed)
