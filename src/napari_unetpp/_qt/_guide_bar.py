"""Where to label next: two buttons and a line of text."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)


class GuideBar(QWidget):  # type: ignore[misc]
    """Leads to the next place to label, and accepts what is predicted in view.

    Attributes
    ----------
    next_button, accept_button : QPushButton
        To be enabled while there is a network that predicts.
    """

    next_place = Signal()
    accept = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.next_button = QPushButton("Next place to label")
        self.next_button.setToolTip(
            "Go to where the heads of the network disagree most and nothing is labelled"
            "\nyet: a stroke there helps most. Camera and sliders move."
        )
        self.next_button.clicked.connect(self.next_place)
        self.accept_button = QPushButton("Accept here")
        self.accept_button.setToolTip(
            "Write the prediction that is in view to the labels, where nothing is"
            "\nlabelled yet. One step to undo (Ctrl+Z with the labels selected)."
            "\nLook at it first: what is accepted is learnt as the truth."
        )
        self.accept_button.clicked.connect(self.accept)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.MinimumExpanding)
        buttons = QHBoxLayout()
        buttons.addWidget(self.next_button, 1)
        buttons.addWidget(self.accept_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.text)
        self.say("")

    def say(self, text: str) -> None:
        """Show something about the guidance; an empty text takes no room."""
        self.text.setText(text)
        self.text.setVisible(bool(text))
