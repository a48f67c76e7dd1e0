"""Notes and cautions on data that is sound and may be a mistake all the same.

They are made of a `Source`, and of the rows of a split before they are scaled. A caution is
something that may spoil the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ablate.data.column import Column, chunks, stride_of
from ablate.data.nested import Tree, leaves
from ablate.data.source import Part, Source, listed
from ablate.data.targets import strata
from ablate.study.specs import Target

#: Bytes and rows of a part that are looked through for equal rows, at most half a second's work;
#: beyond, only the first rows are.
LOOKED_THROUGH = 1 << 28
_ROWS = 1 << 18

#: The same, of rows that have to be read for it.
_READ = 1 << 24

#: Equal rows are a caution from this share of a part's rows on.
_SHARE = 0.01

#: Features of a table; what has more columns is something else in rows.
_COLUMNS = 256

#: Images are as high and as wide as this, at least, where the two differ.
_SIDE = 16


def remarked(source: Source) -> Source:
    """Return the source with notes and cautions on its own rows."""
    x = source.train.x
    notes = [text for name, leaf in leaves(x, "x_train") for text in _channels_first(name, leaf)]
    cautions: list[str] = []
    if not source.tokens and source.train.rows > 1:
        constant = [_constant(name, _some(leaf)) for name, leaf in leaves(x, "x_train")]
        notes += [text for text, whole in constant if text and not whole]
        cautions += [text for text, whole in constant if text and whole]
    return replace(source, notes=(*source.notes, *notes), cautions=(*source.cautions, *cautions))


def _some(leaf: np.ndarray | Column) -> np.ndarray:
    """Return an array as it is, and the first rows of what is read when it is asked for."""
    return next(chunks(leaf)) if isinstance(leaf, Column) else leaf


def absent(source: Source, train: Part, only: Sequence[int] | None) -> list[str]:
    """Note the classes that the source's training rows have and these rows have not."""
    if train.y is None:
        return []
    notes = []
    parts = zip(
        leaves(train.y, "y_train"), leaves(source.train.y), leaves(source.target), strict=True
    )
    for (name, here), (_, there), (_, target) in parts:
        if target.classes is None or isinstance(here, Column):
            continue
        missing = _present(there, target) & ~_present(here, target)
        if only is not None:
            missing[[each for each in range(target.classes) if each not in only]] = False
        if missing.any():
            of = "" if name == "y_train" else f"{name}: "
            notes.append(f"{of}no training row of class {_classes(missing)}")
    return notes


def sorted_by_class(source: Source, validation: Part | None, test: Part | None) -> list[str]:
    """Warn of parts, cut off by the order of the rows, that lack most of the classes."""
    classes = strata(source.train.y, source.target) if source.train.y is not None else None
    if classes is None:
        return []
    whole, found = np.unique(classes), []
    for name, part in (("validation", validation), ("test", test)):
        if part is None:
            continue
        there = np.unique(strata(part.y, source.target))  # type: ignore[arg-type]
        if len(there) <= len(whole) / 2 and part.rows >= 2 * len(whole):
            found.append(
                f"split: ordered: the {part.rows:,} {name} rows have {len(there)} of "
                f"{len(whole)} classes. Are the rows sorted by class, and not by time?"
            )
    return found


def equal_rows(
    train: Part, validation: Part | None, test: Part | None
) -> tuple[list[str], list[str]]:
    """Return notes and cautions on rows that are on two sides of the split.

    Rows of images and sequences are compared by their inputs; rows of a table, which may be equal
    by chance, with their targets.
    """
    notes: list[str] = []
    cautions: list[str] = []
    table = all(leaf.ndim == 2 for _, leaf in leaves(train.x))
    sides = {"training": train, "validation": validation, "test": test}
    hashes = {
        name: [*_hashes(part, table, train)] for name, part in sides.items() if part is not None
    }
    for first, second in (("training", "validation"), ("training", "test"), ("validation", "test")):
        if first not in hashes or second not in hashes:
            continue
        seen = set(hashes[first])
        count = sum(each in seen for each in hashes[second])
        if not count:
            continue
        one, other = sides[first], sides[second]
        assert one is not None and other is not None
        looked = len(hashes[second])
        what = "inputs and targets" if table and other.y is not None else "inputs"
        text = f"{count} of {looked:,} {second} rows equal {first} rows ({what})"
        if len(hashes[first]) < one.rows or looked < other.rows:
            text += (
                f", of the first {len(hashes[first]):,} {first} rows and {looked:,} {second} rows, "
                "which were looked through"
            )
        if _by_chance(train, table, hashes["training"]):
            notes.append(f"{text}; the rows have so few values that many are equal by chance")
        elif count < _SHARE * looked:
            notes.append(text)
        elif first == "training":
            cautions.append(f"{text}: the {second} score is partly on rows that were trained on")
        else:
            cautions.append(f"{text}: what is chosen on validation rows is tested on them")
    return notes, cautions


def _by_chance(part: Part, targets: bool, hashes: list[int]) -> bool:
    """Whether a row would be likely to equal one of these if its values were drawn one by one.

    n · Π P_j ≥ 1/2, P_j the chance that two different rows agree in column j: what was copied, of
    rows that are unlike otherwise, is not by chance however often it was.
    """
    different = np.unique(hashes, return_index=True)[1][: 1 << 12]
    pairs = len(different) * (len(different) - 1)
    expected = float(part.rows)
    compared = (part.x, part.y) if targets and part.y is not None else (part.x,)
    for leaf in (leaf for tree in compared for _, leaf in leaves(tree)):
        for column in leaf[different].reshape(len(different), -1).T:
            counts = np.unique(column, return_counts=True)[1].astype(float)
            expected *= float((counts * (counts - 1)).sum()) / pairs if pairs else 1.0
            if expected < 0.5:
                return False
    return True


def unscaled(name: str, train: np.ndarray | Column) -> str | None:
    """Describe training inputs that enter the network as they are.

    Images (four axes) that reach further than 32 from zero, and rows of whole numbers that end
    exactly at 255 or 65535 as the pixels of flattened images do.
    """
    if train.dtype.kind == "U":
        return None
    train = _some(train)
    low, high = float(train.min()), float(train.max())
    pixels = low == 0 and high in (255, 65535) and _flattened(train, high)
    if not (max(-low, high) > 32 if train.ndim == 4 else pixels):
        return None
    return (
        f"{name} reaches {high:g} (from {low:g}) and is not scaled: 'scale: auto' divides uint8 "
        "images only. Set data.scale to unit or standard, or give uint8"
    )


def _flattened(train: np.ndarray, high: float) -> bool:
    """Whether rows look like flattened images: whole numbers of all sizes, in most columns."""
    train = train.reshape(len(train), -1) if train.ndim == 3 else train
    if train.ndim != 2 or train.shape[1] < 16 or (train.max(axis=0) > high / 2).mean() < 0.5:
        return False
    if ((train > high / 8) & (train < high)).mean() < 0.05:
        return False  # counts that were cut off
    return train.dtype.kind in "iu" or bool((train == np.floor(train)).all())


def _channels_first(name: str, leaf: np.ndarray) -> Iterator[str]:
    if leaf.ndim != 4 or leaf.shape[1] not in (1, 3, 4) or leaf.shape[-1] in (1, 3, 4):
        return
    height, width = leaf.shape[2:]
    if min(height, width) <= leaf.shape[1] or (height != width and min(height, width) < _SIDE):
        return
    import keras

    if keras.config.image_data_format() == "channels_last":
        yield (
            f"an example of {name} has shape {leaf.shape[1:]}, which looks like channels first; "
            "Keras takes the last axis for the channels: np.moveaxis(x, 1, -1) puts them there"
        )


def gaps(
    y: Tree, target: Target | dict[str, Target] | list[Target], classes: int | None
) -> list[str]:
    """Note classes without any training row, where their number was not given."""
    if classes is not None:
        return []
    named = zip(leaves(y, "y_train"), leaves(target), strict=True)
    return [text for (name, leaf), (_, each) in named for text in _gaps(name, leaf, each)]


def _gaps(name: str, y: np.ndarray | Column, target: Target) -> Iterator[str]:
    if target.classes is None:
        return
    present = _present(y, target)
    if present.all() or not present.any():
        return
    first = int(present.argmax())
    text = f"{name} has no row of class {_classes(~present)}"
    if first and present[first:].all() and target.class_names is None:
        text += (
            f": labels begin at {first}, and the network gets {target.classes} outputs. Number "
            f"the classes from 0 for {target.classes - first}"
        )
    else:
        text += ": the network gets an output for each"
    yield text


def _present(y: np.ndarray | Column, target: Target) -> np.ndarray:
    """Return for each class whether a row has it."""
    assert target.classes is not None
    found = np.zeros(target.classes, bool)
    for block in chunks(y):
        if target.one_hot:
            found |= block.any(axis=0)
            continue
        # Counting takes eight bytes a value: a column has many a row.
        for part in block if isinstance(y, Column) else (block,):
            found |= np.bincount(part.ravel(), minlength=target.classes) > 0
    return found


def _classes(which: np.ndarray) -> str:
    numbers = np.flatnonzero(which)
    return f"{listed(numbers.tolist(), 5)} ({len(numbers)} of {len(which)} classes)"


def _constant(name: str, leaf: np.ndarray) -> tuple[str, bool]:
    """Describe features that are the same in all rows; and whether all are."""
    if leaf.ndim not in (2, 4) or leaf.shape[-1] > _COLUMNS:
        return "", False
    left, first = np.ones(leaf.shape[-1], dtype=bool), leaf[:1].reshape(-1, leaf.shape[-1])[0]
    for start in range(0, len(leaf), 64):  # most features differ within the first rows
        block = leaf[start : start + 64].reshape(-1, leaf.shape[-1])
        left &= (block == first).all(axis=0)
        if not left.any():
            break
    constant = np.flatnonzero(left)
    noun = "channel" if leaf.ndim == 4 else "feature"
    if len(constant) == leaf.shape[-1]:
        return f"every {noun} of {name} is constant: there is nothing to learn from", True
    if not len(constant):
        return "", False
    verb = "is" if len(constant) == 1 else "are"
    return (
        f"{len(constant)} of {leaf.shape[-1]} {noun}s of {name} {verb} constant in all "
        f"{len(leaf):,} rows: {noun} {listed(constant.tolist(), 5)}"
    ), False


def _first(part: Part) -> int:
    """Return how many rows of a part are looked through."""
    row = sum(leaf.nbytes // len(leaf) for _, leaf in leaves(part.x))
    read = any(isinstance(leaf, Column) and not leaf.held for _, leaf in leaves(part.x))
    return min(part.rows, _ROWS, max(1, (_READ if read else LOOKED_THROUGH) // max(row, 1)))


def _hashes(part: Part, targets: bool, like: Part) -> Iterator[int]:
    """Yield a number for each row that is looked through, equal for equal rows.

    Rows are compared in the types of `like`.
    """
    arrays = [*zip(leaves(part.x), leaves(like.x), strict=True)]
    if targets and part.y is not None:
        arrays += zip(leaves(part.y), leaves(like.y), strict=True)
    stride = min(1024, stride_of(*(leaf.shape[1:] for (_, leaf), _ in arrays)))
    for start in range(0, rows := _first(part), stride):
        chosen = slice(start, min(start + stride, rows))
        blocks = [_bytes(leaf[chosen], as_.dtype) for (_, leaf), (_, as_) in arrays]
        yield from map(hash, zip(*blocks, strict=True))


def _bytes(rows: np.ndarray, dtype: np.dtype) -> list[bytes]:
    if rows.dtype.kind == "U":  # as wide as its own part's longest text
        return ["\0".join(row.ravel()).encode() for row in rows]
    rows = rows.astype(dtype, copy=False)
    if rows.dtype.kind == "f":
        rows = rows + 0.0  # −0 is 0
    return [row.tobytes() for row in np.ascontiguousarray(rows)]
