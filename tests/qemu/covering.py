# SPDX-License-Identifier: Apache-2.0
"""Pairwise combinations of things that are on or off."""
import itertools
import math


def covering_array(n):
    """Rows of n bits in which any two columns take all four values together.

    Kleitman and Spencer's construction (Families of k-independent sets, 1973),
    than which none is shorter.  The first row is all zeroes; each column has
    its ones in another choice of half of all rows (rounded up) from the others.
    Two such choices differ, and are too large not to meet.
    """
    n_rows = next(r for r in itertools.count(4)
                  if math.comb(r - 1, (r + 1) // 2) >= n)
    columns = itertools.combinations(range(1, n_rows), (n_rows + 1) // 2)
    return [list(row) for row in zip(*(
        [int(row in ones) for row in range(n_rows)]
        for ones in itertools.islice(columns, n)))]
