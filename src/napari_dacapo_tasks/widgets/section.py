"""What a dock is made of: headings that open and close what stands beneath them."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget


class Section(QWidget):
    """Shows a widget under a heading with an arrow."""

    def __init__(
        self, title: str, content: QWidget, *, opened: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setCheckable(True)
        self.heading.setChecked(opened)
        self.heading.setAutoRaise(True)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.heading.setStyleSheet(
            "QToolButton, QToolButton:checked, QToolButton:hover {"
            " background: transparent; border: none; padding: 2px 0; font-weight: 600; }"
        )
        self.content = content
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.heading)
        layout.addWidget(content)
        self.heading.toggled.connect(self._open)
        self._open(opened)

    def _open(self, opened: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.heading.setArrowType(arrow)
        self.content.setVisible(opened)


def set_editable(widget: QWidget, editable: bool) -> None:
    """Allow or forbid to change what a widget holds; its sections open and close in any case."""
    parts = widget.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    if isinstance(widget, Section):
        parts = [widget.content]
    elif not widget.findChildren(Section):
        widget.setEnabled(editable)
        return
    for part in parts:
        set_editable(part, editable)


def scrolled(*sections: Section) -> QScrollArea:
    """Put sections beneath each other, to be scrolled where a dock is too low for them."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(8, 4, 8, 8)
    column.setSpacing(6)
    for section in sections:
        column.addWidget(section)
    column.addStretch(1)
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(content)
    return scroll
