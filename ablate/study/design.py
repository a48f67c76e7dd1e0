"""Two-level designs that vary many sites at once: folded Hadamard matrices.

With k sites, N runs of a Hadamard matrix and the same runs with every sign turned give 2·N
networks in which each site is on in half. Every main effect is then estimated from all runs, and
no interaction of two sites can pass for a main effect: 8 times more precise per training than
one-at-a-time for 15 sites. The networks with every site on and with none are among the runs.

Source: Plackett & Burman 1946; Box & Hunter 1961 (fold-over); Paley 1933 for the matrices.
"""

from __future__ import annotations

from itertools import product

#: Orders of the Hadamard matrices in use; twice as many runs are made.
ORDERS = (4, 8, 12, 16, 20, 24, 32, 44, 48, 60, 64)

#: Up to so many factors every combination is run.
FULL = 3

Row = tuple[int, ...]


def screening_runs(factors: int) -> tuple[Row, ...]:
    """Return the runs of a screening: a level, -1 or +1, for each factor.

    The full factorial up to three factors, else the smallest folded Hadamard design that has
    room. The first run has every factor on, the last none.

    >>> [len(screening_runs(k)) for k in (1, 2, 3, 4, 6, 15, 33)]
    [2, 4, 8, 8, 16, 32, 88]
    >>> screening_runs(2)
    ((1, 1), (1, -1), (-1, 1), (-1, -1))

    Raises:
        ValueError: no factor, or more than 64.
    """
    if factors < 1 or factors > ORDERS[-1]:
        raise ValueError(f"A screening takes 1 to {ORDERS[-1]} factors; received {factors}.")
    if factors <= FULL:
        return tuple(product((1, -1), repeat=factors))
    order = next(each for each in ORDERS if each >= factors)
    half = [row[:factors] for row in hadamard(order)]
    return (*half, *(tuple(-level for level in row) for row in reversed(half)))


def hadamard(order: int) -> tuple[Row, ...]:
    """Return a Hadamard matrix whose first row and column are all +1.

    Rows are orthogonal: H·Hᵀ = order·I. Powers of two by Sylvester's doubling, orders q + 1 of a
    prime q = 3 mod 4 by Paley's quadratic residues.
    """
    if order & (order - 1) == 0:
        rows: list[Row] = [(1,)]
        while len(rows) < order:
            rows = [row + row for row in rows] + [row + tuple(-x for x in row) for row in rows]
        return tuple(rows)
    q = order - 1
    squares = {each * each % q for each in range(1, q)}

    def entry(row: int, column: int) -> int:
        if row == 0 or column == 0:
            return 1
        if row == column:
            return -1
        return 1 if (row - column) % q in squares else -1

    return tuple(tuple(entry(row, column) for column in range(order)) for row in range(order))
