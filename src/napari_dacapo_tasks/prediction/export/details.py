"""What a person says of a network that is given away."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

DOI = r"10\.\d{4,9}/\S+"
"""What the name of a publication looks like."""

ADDRESS = r"https?://\S+"


class PackageDetails(BaseModel):
    """What a person says of a network that is given away; all of it may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="",
        max_length=128,
        title="Name",
        description="What others shall call the network. Left out: its name here.",
    )
    description: str = Field(
        default="",
        max_length=1024,
        title="Description",
        description="What it was trained on, and what it is good for. Left out: what its task "
        "says.",
    )
    authors: tuple[str, ...] = Field(
        default=(),
        title="Authors",
        description="Who made it. The collection of bioimage.io asks for at least one.",
    )
    license: str = Field(
        default="",
        title="Licence",
        description="What others may do with it, by its SPDX name such as CC-BY-4.0. The "
        "collection of bioimage.io asks for one.",
    )
    citation: str = Field(
        default="",
        title="Citation",
        description="What others should cite: a text with a DOI, or with an address that begins "
        "with https.",
    )

    @field_validator("authors")
    @classmethod
    def _names(cls, authors: tuple[str, ...]) -> tuple[str, ...]:
        for name in authors:
            if not name.strip() or "/" in name or "\\" in name:
                raise ValueError(f"{name!r} is no name of an author: give a name without slashes")
        return authors

    @field_validator("citation")
    @classmethod
    def _leads_somewhere(cls, citation: str) -> str:
        if citation and not re.search(f"{DOI}|{ADDRESS}", citation):
            raise ValueError("a citation needs a DOI, such as 10.1000/182, or an address")
        return citation
