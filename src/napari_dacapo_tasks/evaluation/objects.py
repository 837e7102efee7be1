"""Which objects of a ground truth were found, and which were not: a table of findings.

With ``T`` an object of the truth, ``S`` a segment (an object of the segmentation), both as far as
they lie in known voxels of the scored region, and sizes in voxels:

- ``T`` and ``S`` *match* where their intersection over union is above `MATCH`, as the instance
  evaluator counts it.
- ``S`` *holds* ``T`` where it has more than `MOST` of the voxels of ``T``. So at most one does.
- ``T`` *contains* ``S`` where it has more than `MOST` of the voxels of ``S``.

A row is one of these findings:

=========  ========  ===============================================================================
kind       id of     what was found
=========  ========  ===============================================================================
matched    truth     It and a segment match.
missed     truth     It does not match, is not split, and no segment that holds others holds it.
split      truth     More than `MOST` of it is in segments, and either none of them holds it, or
                     more than `PART` of it is in others that it contains.
merged     segment   It holds two objects or more.
false      segment   It does not match, holds no two objects, and is no partner of a split one.
=========  ========  ===============================================================================

An object may be matched and split (a tenth is cut off of it), and its segment matched and merged
(it has a small object beside a large one): then there is a row of each. So the rows that are
matched are as many as the matches of the instance evaluator, and all objects and all segments are
named by some row, be it as a partner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.contingency import Counts, Ids, Overlaps
from napari_dacapo_tasks.numerics.locations import Locations

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

MATCH = 0.5
"""Intersection over union above which an object and a segment match: no other one can then."""

MOST = 0.5
"""Share of an object or a segment above which one of the other kind has most of it."""

PART = 0.1
"""Share of an object above which a part of it counts as cut off: less is a rough edge."""

Kind = Literal["matched", "missed", "split", "merged", "false"]

KINDS: tuple[Kind, ...] = ("matched", "missed", "split", "merged", "false")
"""All kinds of findings, in the order in which they are listed."""

Place = tuple[float, ...]


@dataclass(frozen=True)
class ObjectRow:
    """A finding about an object.

    Attributes
    ----------
    channel
        Name of the channel, as in the scores.
    id
        Label in the ground truth, or, where `of_segment` says so, in the segmentation.
    kind
        What was found; see this module.
    iou
        Intersection over union with the partner that is most alike, 0 without any.
    voxels
        Its size, where the ground truth is known.
    partners
        Labels of the other kind that it has to do with, the largest intersection first: the segment
        that matches; those that a split object is in; the objects that a merged segment holds;
        those with any voxel in common of a missed object and of a false segment.
    voxel
        The voxel of it that is nearest to its centre of mass, as an index into the scored region
        (into `Evaluation.mistakes`, without the channel).
    centre
        Where that voxel lies in the world, in nanometres (voxels without a unit), as a layer's
        ``translate`` counts: that of the first voxel is the begin of the region.
    box
        Begin and end of the smallest box around it, in the same way; the end is that of a region.
    """

    channel: str
    id: int
    kind: Kind
    iou: float
    voxels: int
    partners: tuple[int, ...]
    voxel: tuple[int, ...]
    centre: Place
    box: tuple[Place, Place]

    @property
    def of_segment(self) -> bool:
        """Whether `id` is one of the segmentation, and the partners are of the truth."""
        return self.kind in ("merged", "false")


@dataclass(frozen=True)
class Side:
    """The objects of one of the two labelings that meet.

    Attributes
    ----------
    labels
        Of each object, in order.
    sizes
        Voxels of each, where anything is known.
    entries
        For each entry of the overlaps the place of its object here, -1 for background.
    """

    labels: Ids
    sizes: Counts
    entries: Index

    @classmethod
    def of(cls, labels: Ids, voxels: Counts) -> Side:
        """Gather the objects of one column of overlaps."""
        different, places = np.unique(labels, return_inverse=True)
        sizes = np.bincount(places, voxels, minlength=len(different)).astype(np.int64)
        background = int(len(different) > 0 and different[0] == 0)
        return cls(different[background:], sizes[background:], places - background)

    def __len__(self) -> int:
        return len(self.labels)


class Findings:
    """What is found of the objects of a truth and the segments of a segmentation.

    Parameters
    ----------
    overlaps
        Of the truth, first, and the segmentation; 0 is background.

    Attributes
    ----------
    truth, segments
        The objects of each.
    main_segments, main_objects
        For each of these the place of the other kind with which it has most voxels in common, the
        first of equal ones; -1 for none.
    """

    def __init__(self, overlaps: Overlaps) -> None:
        self.truth = Side.of(overlaps.first, overlaps.voxels)
        self.segments = Side.of(overlaps.second, overlaps.voxels)
        both = (self.truth.entries >= 0) & (self.segments.entries >= 0)
        # A row here for each pair of an object and a segment that have voxels in common.
        self._object, self._segment = self.truth.entries[both], self.segments.entries[both]
        self._common = common = overlaps.voxels[both]
        of_object = self.truth.sizes[self._object]
        of_segment = self.segments.sizes[self._segment]
        self._iou = common / (of_object + of_segment - common)
        self.main_segments = _largest(self._object, self._segment, common, len(self.truth))
        self.main_objects = _largest(self._segment, self._object, common, len(self.segments))

        self._matches = self._iou > MATCH
        holds, contained = common > MOST * of_object, common > MOST * of_segment
        is_main = self.main_segments[self._object] == self._segment
        covered = self._sum(common)
        cut_off = self._sum(common * (contained & ~is_main))
        whole = self._any(holds)
        self._split = (covered > MOST * self.truth.sizes) & (
            ~whole | (cut_off > PART * self.truth.sizes)
        )
        held = np.bincount(self._segment[holds], minlength=len(self.segments))
        self._merged = held > 1
        self._in_merged = holds & self._merged[self._segment]
        self._pieces = self._split[self._object] & (
            is_main | contained | (common > PART * of_object)
        )
        self._missed = ~(self._any(self._matches) | self._split | self._any(self._in_merged))
        named = np.zeros(len(self.segments), np.bool_)
        named[self._segment[self._matches | self._pieces]] = True
        self._false = ~(named | self._merged)

    def found(self) -> Iterator[tuple[Kind, int, float, list[int]]]:
        """Give each finding: its kind, the place of the object or segment, IoU and partners.

        Partners are places of the other kind, the largest intersection first.
        """
        every = np.ones(len(self._common), np.bool_)
        is_split, is_merged = self._pieces, self._in_merged
        matched = np.unique(self._object[self._matches])
        by_object, by_segment = (self._object, self._segment), (self._segment, self._object)
        yield from self._rows("matched", matched, by_object, self._matches)
        yield from self._rows("missed", np.flatnonzero(self._missed), by_object, every)
        yield from self._rows("split", np.flatnonzero(self._split), by_object, is_split)
        yield from self._rows("merged", np.flatnonzero(self._merged), by_segment, is_merged)
        yield from self._rows("false", np.flatnonzero(self._false), by_segment, every)

    def _rows(
        self, kind: Kind, places: Index, columns: tuple[Index, Index], chosen: Flags
    ) -> Iterator[tuple[Kind, int, float, list[int]]]:
        owners, others = columns
        if not len(places):
            return
        best = np.zeros(max(len(self.truth), len(self.segments)))
        np.maximum.at(best, owners, self._iou)
        pairs = np.flatnonzero(chosen)
        pairs = pairs[np.lexsort((others[pairs], -self._common[pairs], owners[pairs]))]
        sorted_owners, partners = owners[pairs], others[pairs].tolist()
        begins = np.searchsorted(sorted_owners, places).tolist()
        ends = np.searchsorted(sorted_owners, places, side="right").tolist()
        for place, begin, end in zip(places.tolist(), begins, ends, strict=True):
            yield kind, place, float(best[place]), partners[begin:end]

    def _sum(self, voxels: Counts) -> Counts:
        """Add up voxels of the pairs of each object."""
        return np.bincount(self._object, voxels, minlength=len(self.truth)).astype(np.int64)

    def _any(self, flags: Flags) -> Flags:
        """Say which objects have a pair that is chosen."""
        chosen = np.zeros(len(self.truth), np.bool_)
        chosen[self._object[flags]] = True
        return chosen


def _largest(owners: Index, others: Index, voxels: Counts, number: int) -> Index:
    """Give for each owner the other one of its largest pair, the first of equal ones."""
    main = np.full(number, -1, np.intp)
    order = np.lexsort((-others, voxels, owners))
    main[owners[order]] = others[order]  # the last one of each owner stays
    return main


def object_rows(
    channel: str,
    located: Locations,
    findings: Findings,
    ids: tuple[NDArray[Any], NDArray[Any]],
    begin: Sequence[float],
    voxel_size: Sequence[float],
) -> list[ObjectRow]:
    """Make the table of a channel, by kind and then by size, the largest first.

    Parameters
    ----------
    located
        `Locations` that the findings are of.
    ids
        For each label of the truth, and for each of the segmentation, its id.
    begin, voxel_size
        Of the region, in the unit of the table.
    """
    sides = findings.truth, findings.segments
    names = [
        of_side[side.labels.astype(np.intp)].tolist()
        for side, of_side in zip(sides, ids, strict=True)
    ]
    voxels, centres, boxes = [], [], []
    for side in sides:
        places = located.places_of(side.entries, len(side))
        nearest = located.nearest_voxels(side.entries, places.centres, voxel_size)
        voxels.append(_tuples(nearest))
        centres.append(_in_world(nearest, begin, voxel_size))
        boxes.append(
            (_in_world(places.begins, begin, voxel_size), _in_world(places.ends, begin, voxel_size))
        )
    rows = []
    for kind, place, iou, partners in findings.found():
        own = int(kind in ("merged", "false"))
        rows.append(
            ObjectRow(
                channel=channel,
                id=names[own][place],
                kind=kind,
                iou=iou,
                voxels=int(sides[own].sizes[place]),
                # Of an id that does not hang together several parts may be partners.
                partners=tuple(dict.fromkeys([names[1 - own][one] for one in partners])),
                voxel=voxels[own][place],
                centre=centres[own][place],
                box=(boxes[own][0][place], boxes[own][1][place]),
            )
        )
    return sorted(rows, key=lambda row: (KINDS.index(row.kind), -row.voxels, row.id))


def _in_world(
    indices: NDArray[Any], begin: Sequence[float], voxel_size: Sequence[float]
) -> list[Place]:
    placed = np.asarray(begin) + indices * np.asarray(voxel_size)
    return _tuples(placed)


def _tuples(rows: NDArray[Any]) -> list[tuple[Any, ...]]:
    """Give each row as a tuple, without a list for each in between: there may be very many."""
    return list(zip(*rows.T.tolist(), strict=True))
