"""The planted wrong theory that a cross-check has to reject: one overlap is off."""

import numpy as np

#: The planted wrong theory has one overlap larger by this factor.
PLANTED = 1.05


def planted_overlap(c, v):
    """The overlap that the planted error is put into, and the wrong mixture.

    The largest of n with m or with an input that is on; of those with an input, times its amplitude v (S,).
    """
    found = next(wrong_overlaps(c, v), None)
    if found is None:
        raise ValueError("no overlap of n that matters can be changed alone: pass planted=False")
    return found


def wrong_overlaps(c, v):
    """Each overlap of n that matters, the largest first, with the mixture in which it is larger by PLANTED."""
    rows = c.names[c.slice("n")]
    columns = c.names[c.slice("m")] + c.names[c.slice("I")]
    size = np.abs(np.hstack([c.overlap("n", "m"), c.overlap("n", "I") * v]))
    for place in np.argsort(-size, axis=None)[: np.count_nonzero(size)]:
        i, j = np.unravel_index(place, size.shape)
        try:
            yield (rows[i], columns[j]), c.scale_overlap(rows[i], columns[j], PLANTED)
        except ValueError:  # loadings that depend on each other: another overlap then
            continue
