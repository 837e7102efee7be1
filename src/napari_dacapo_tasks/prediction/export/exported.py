"""What an export has made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """What an export has made.

    Attributes
    ----------
    path
        File or folder.
    notices
        What a person should know of it, a sentence each.
    """

    path: Path
    notices: tuple[str, ...] = ()
