"""Long names made to fit: they break behind their punctuation, or lose their middle."""

from __future__ import annotations

import re


def broken(name: str, width: int, lines: int = 99) -> str:
    """Return a name on lines of about `width` characters, broken behind its punctuation.

    >>> print(broken("bn=on,dropout=off", 10))
    bn=on,
    dropout=
    off
    """
    if len(name) <= width:
        return name
    rows = [""]
    for piece in re.split(r"(?<=[-_,=+.:×/ ])", name):
        if rows[-1] and len(rows[-1]) + len(piece) > width and len(rows) < lines:
            rows.append("")
        rows[-1] += piece
    return "\n".join(rows)


def shortened(name: str, most: int = 34) -> str:
    """Return a long name with its middle cut out.

    >>> shortened("a-name-that-is-long", 9)
    'a-na…long'
    """
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
