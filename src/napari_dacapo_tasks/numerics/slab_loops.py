"""The compiled loops of `regions`: a slab of planes is labelled by itself, then slabs are joined.

A voxel gets the label of a neighbour before it along x, y or z, or else a new one. Two labels that
meet are noted as one region where they meet first (union by the smaller label), so a label's
parent is never larger than itself. Importing this module compiles or loads the loops.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Labels = NDArray[np.uint32]
Sizes = NDArray[np.int64]

_MASK = "Array(b1, 3, 'C', True)"


@compiled()
def _root(parents: Labels, label: np.uint32) -> np.uint32:
    while parents[label] != label:
        parents[label] = parents[parents[label]]
        label = parents[label]
    return label


@compiled()
def _join(parents: Labels, one: np.uint32, other: np.uint32) -> None:
    one, other = _root(parents, one), _root(parents, other)
    if one < other:
        parents[other] = one
    else:
        parents[one] = other


@compiled(f"i8({_MASK})")
def count_runs(inside: NDArray[np.bool_]) -> int:
    """Count what follows each other along x in a slab ``(z, y, x)``: as many labels at most."""
    depth, height, width = inside.shape
    found = 0
    for z in range(depth):
        for y in range(height):
            row = inside[z, y]
            begun = np.uint32(width > 0 and row[0])
            for x in range(1, width):
                begun += np.uint32(row[x] & (not row[x - 1]))
            found += int(begun)
    return found


@compiled(f"i8({_MASK}, u4[:,:,::1], u4[::1], i8[::1])")
def label_slab(inside: NDArray[np.bool_], labels: Labels, parents: Labels, sizes: Sizes) -> int:
    """Label the voxels of a slab ``(z, y, x)`` from 1 on.

    Parameters
    ----------
    inside
        Which voxels belong to a region.
    labels
        Comes as anything; 0 outside of every region on return.
    parents, sizes
        Of each label from 0 on, with room for one more than there are runs; come as anything, and
        hold the parents and the voxels of labels on return.

    Returns
    -------
    The largest label.
    """
    depth, height, width = inside.shape
    none = np.zeros(width, np.uint32)
    used = np.uint32(0)
    parents[0] = sizes[0] = 0
    for z in range(depth):
        for y in range(height):
            here, made = inside[z, y], labels[z, y]
            above = labels[z, y - 1] if y > 0 else none
            behind = labels[z - 1, y] if z > 0 else none
            label, label_above, label_behind = np.uint32(0), np.uint32(0), np.uint32(0)
            start = 0
            for x in range(width):
                if not here[x]:
                    if label != 0:
                        sizes[label] += x - start
                    label = label_above = label_behind = np.uint32(0)
                    made[x] = 0
                    continue
                # The voxels before these, along x; where those are labelled, too, it is known
                # already that they are of one region with this run.
                last_above, last_behind = label_above, label_behind
                label_above, label_behind = above[x], behind[x]
                if label != 0:
                    if label_above != 0 and last_above == 0 and label_above != label:
                        _join(parents, label, label_above)
                    if label_behind != 0 and last_behind == 0 and label_behind != label:
                        _join(parents, label, label_behind)
                else:
                    start = x
                    if label_above != 0:
                        label = label_above
                        if label_behind != 0 and label_behind != label:
                            _join(parents, label, label_behind)
                    elif label_behind != 0:
                        label = label_behind
                    else:
                        used += np.uint32(1)
                        label = used
                        parents[label] = label
                        sizes[label] = 0
                made[x] = label
            if label != 0:
                sizes[label] += width - start
    return int(used)


@compiled("void(u4[::1], u4[:,::1], u4[:,::1], u4, u4)")
def join_planes(
    parents: Labels, before: Labels, here: Labels, first_before: Any, first: Any
) -> None:
    """Note which labels of two neighbouring planes are one region.

    ``first_before`` and ``first`` are what is added to a label of either slab to find its place
    in ``parents``.
    """
    height, width = here.shape
    for y in range(height):
        last, last_before = np.uint32(0), np.uint32(0)
        for x in range(width):
            label, label_before = here[y, x], before[y, x]
            if label == last and label_before == last_before:
                continue
            last, last_before = label, label_before
            if label != 0 and label_before != 0:
                _join(parents, label_before + first_before, label + first)


@compiled("i8(u4[::1], i8[::1], i8[::1], i8, i8)")
def number_regions(parents: Labels, voxels: Sizes, sizes: Sizes, first: int, number: int) -> int:
    """Number the regions of the labels of a slab, in the order of their smallest labels.

    Parameters
    ----------
    parents
        Of all labels from 0 on; the numbers of their regions where this was called before, and on
        return those of this slab, too.
    voxels
        Of each label of the slab, from 0 on.
    sizes
        For each region its voxels in earlier slabs; those of this slab are added.
    first
        What is added to a label of the slab to find its place in ``parents``.
    number
        How many regions there are in earlier slabs.

    Returns
    -------
    How many regions there are then.
    """
    for own in range(1, len(voxels)):
        label = first + own
        # The parent came before, and has the number of its region instead of a parent.
        if parents[label] == label:
            number += 1
            parents[label] = number
        else:
            parents[label] = parents[parents[label]]
        sizes[parents[label]] += voxels[own]
    return number


@compiled("void(u4[::1], u4[::1])")
def rename(labels: Labels, names: Labels) -> None:
    """Replace each label by ``names[label]``."""
    for voxel in range(len(labels)):
        labels[voxel] = names[labels[voxel]]
