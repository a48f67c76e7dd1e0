"""Long names made to fit, still distinct: they break at punctuation, or lose their middle.

Names come in together, since what they have in common can go: past `most` characters a shared
beginning becomes "…", then a name breaks at its punctuation into two lines, then its middle goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def fitted_names(names: Sequence[str], most: int = 30, lines: int = 2) -> Mapping[str, str]:
    """Return each name as it is drawn, in at most `lines` lines of about `most` characters.

    >>> fitted_names(["plain", "bn"])
    {'plain': 'plain', 'bn': 'bn'}
    """
    longest = max(map(len, names), default=0)
    if longest <= most:
        return {name: name for name in names}
    shared = re.sub(r"[A-Za-z0-9]*$", "", common_beginning(names))
    cut = len(shared) if len(names) > 1 and len(shared) > 8 else 0
    return {
        name: broken(shortened(f"…{name[cut:]}" if cut else name, most * lines), most, lines)
        for name in names
    }


def common_beginning(names: Sequence[str]) -> str:
    """Return what all names begin with.

    >>> common_beginning(["bn-lr0.1", "bn-lr0.5"])
    'bn-lr0.'
    """
    first, last = min(names), max(names)
    same = next(
        (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return first[:same]


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
