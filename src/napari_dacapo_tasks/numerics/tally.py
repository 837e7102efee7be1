"""Counting pairs of ids in a hash table, as a compiled loop.

Ids may be anything of 64 bits: the table grows with the number of different pairs, not with the
ids. Neighbouring voxels mostly have the same pair, and then the table is not even looked at.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dacapo_tasks.numerics.compiled import compiled

Ids = NDArray[np.uint64]
Amounts = NDArray[np.int64]

_FIRST_BITS = 10
# Odd numbers whose bits are spread evenly (those of MurmurHash3's last step), so that ids that
# differ in a few bits, low or high, go to places far from each other.
_SPREAD = np.uint64(0xFF51AFD7ED558CCD)
_SPREAD_AGAIN = np.uint64(0xC4CEB9FE1A85EC53)
_HALF_OF_BITS = np.uint64(32)
_BITS = 64


@compiled()
def _slot_of(one: Any, other: Any, slots: Amounts, bits: int, firsts: Ids, seconds: Ids) -> Any:
    """Find where a pair stands in the table, or the free slot where it belongs."""
    spread = (one * _SPREAD + other) * _SPREAD_AGAIN
    spread = (spread ^ (spread >> _HALF_OF_BITS)) * _SPREAD
    slot = np.int64(spread >> np.uint64(_BITS - bits))
    while True:
        entry = slots[slot]
        if entry < 0 or (firsts[entry] == one and seconds[entry] == other):
            return slot
        slot = (slot + 1) & (len(slots) - 1)


@compiled()
def _fill(
    first: Ids,
    second: Ids,
    amounts: Amounts,
    begin: int,
    bits: int,
    slots: Amounts,
    firsts: Ids,
    seconds: Ids,
    sums: Amounts,
    found: int,
    numbers: Amounts,
) -> Any:
    """Add amounts from ``begin`` on; return where the table was full, and the pairs in it."""
    entry = -1
    for index in range(begin, len(amounts)):
        amount = amounts[index]
        if amount == 0:
            numbers[index] = -1
            continue
        one = first[index]
        other = second[index]
        if entry < 0 or firsts[entry] != one or seconds[entry] != other:
            slot = _slot_of(one, other, slots, bits, firsts, seconds)
            entry = slots[slot]
            if entry < 0:
                if found == len(sums):
                    return index, found
                entry = found
                slots[slot] = entry
                firsts[entry] = one
                seconds[entry] = other
                sums[entry] = 0
                found += 1
        sums[entry] += amount
        numbers[index] = entry
    return len(amounts), found


@compiled()
def _twice(values: Any) -> Any:
    larger = np.empty(2 * len(values), values.dtype)
    larger[: len(values)] = values
    return larger


@compiled("Tuple((u8[::1],u8[::1],i8[::1],i8[::1]))(u8[::1],u8[::1],i8[::1])")
def tally(first: Ids, second: Ids, amounts: Amounts) -> tuple[Ids, Ids, Amounts, Amounts]:
    """Add up amounts by pairs of ids.

    An amount of 0 is passed over. Returns both ids and the sum of each different pair, in the
    order in which they first come, and for each amount the number of its pair (-1 for 0).
    """
    bits = _FIRST_BITS
    firsts = np.empty(1 << (bits - 1), np.uint64)
    seconds = np.empty(1 << (bits - 1), np.uint64)
    sums = np.empty(1 << (bits - 1), np.int64)
    numbers = np.empty(len(amounts), np.int64)
    index = 0
    found = 0
    while True:
        slots = np.full(1 << bits, -1, np.int64)  # at most half of them are taken
        for entry in range(found):
            slot = _slot_of(firsts[entry], seconds[entry], slots, bits, firsts, seconds)
            slots[slot] = entry
        index, found = _fill(
            first, second, amounts, index, bits, slots, firsts, seconds, sums, found, numbers
        )
        if index == len(amounts):
            return firsts[:found].copy(), seconds[:found].copy(), sums[:found].copy(), numbers
        bits += 1
        firsts = _twice(firsts)
        seconds = _twice(seconds)
        sums = _twice(sums)
