"""Image files, decoded by TensorFlow, turned as their EXIF says, resized as Keras resizes.

They are read in order as float32 images of one size, with what was lost on the way. For folders
of a study and for the images of a command alike. JPEG and PNG files, of which folders are made, are
decoded many at a time by one graph, the others one by one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.source import listed
from ablate.errors import DataError
from ablate.reasons import reason
from ablate.study.image_files import orientation_of

#: Files decoded ahead of the one that is asked for: so many, of so many bytes.
_AHEAD = 64
_AHEAD_BYTES = 2**24

#: How files begin that TensorFlow decodes to the channels that it is asked for.
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG"


@dataclass(frozen=True)
class Facts:
    """What a file says of itself beside its pixels; by default nothing is lost in reading it."""

    orientation: int = 1  # of its EXIF, by which it is turned
    deepest: int | None = None  # of 16 bits, cut to the upper 8: the largest value, of 65535
    clear: bool = False  # transparent pixels, alpha dropped
    frames: int = 1  # the first is read
    common: bool = False  # a JPEG or PNG file


def decoded(
    files: Sequence[Path],
    size: tuple[int, int],
    channels: int,
    *,
    interpolation: str = "bilinear",
    crop: bool = False,
    root: Path | None = None,
    facts: dict[Path, Facts] | None = None,
) -> Iterator[np.ndarray]:
    """Yield each file's image as float32 of shape (height, width, channels), 0 to 255.

    Images come out channels first where Keras is configured so.

    Args:
        files: JPEG, PNG, GIF (its first frame), BMP and WebP files.
        size: height and width, in pixels.
        channels: 1, 3 or 4; alpha is dropped where it is not asked for.
        interpolation: how to resize.
        crop: crop to the aspect ratio of `size` before resizing.
        root: what file names in messages are relative to.
        facts: receives what is changed or lost, by file; what it has is not read again.

    Raises:
        DataError: a file is no whole image; every such file among `files` is counted.
    """

    known: dict[Path, Facts] = {} if facts is None else facts

    def guarded(made: Callable[[Path], Any], file: Path) -> Any:
        """Return what is made of a file, or why it cannot be."""
        try:
            return made(file)
        except OSError as error:
            return error.strerror or str(error)
        except Exception as error:
            return reason(error).removeprefix("InvalidArgumentError: ").rstrip(".")

    def seen(file: Path) -> Facts | str:
        content = file.read_bytes()
        return _facts(content, channels) if content else "the file is empty"

    def one(file: Path) -> np.ndarray:
        image = _turned(_pixels(file.read_bytes(), channels), known[file].orientation)
        return _resized(image, size, interpolation, crop)

    def together(files: list[Path]) -> Iterable[np.ndarray | str]:
        """Return images; those that the graph cannot decode are looked at one by one."""
        import tensorflow as tf

        if files and not crop and all(known[file].common for file in files):
            ways = [known[file].orientation for file in files]
            try:
                made = _graph(size, channels, interpolation)([str(each) for each in files], ways)
                return [_as_configured(each) for each in np.asarray(made, np.float32)]
            except tf.errors.OpError:
                pass
        return pool.map(partial(guarded, one), files)

    wrong: list[tuple[Path, str]] = []
    ahead = max(1, min(_AHEAD, _AHEAD_BYTES // (4 * channels * size[0] * size[1])))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(files), ahead):
            here = files[start : start + ahead]
            fresh = [file for file in here if file not in known]
            found = dict(zip(fresh, pool.map(partial(guarded, seen), fresh), strict=True))
            known |= {file: each for file, each in found.items() if not isinstance(each, str)}
            common = [file for file in here if file in known and known[file].common]
            other = [file for file in here if file in known and not known[file].common]
            images: dict[Path, np.ndarray | str] = {}
            for alike in (common, other):
                images |= zip(alike, together(alike), strict=True)
            for file in here:
                made = images[file] if file in known else found[file]
                if isinstance(made, str):
                    wrong.append((file, made))
                elif not wrong:
                    assert isinstance(made, np.ndarray)
                    yield made
    if wrong:
        raise DataError(_unreadable(wrong, root))


@cache
def _graph(size: tuple[int, int], channels: int, interpolation: str) -> Any:
    """Return a function of the names and orientations of JPEG and PNG files to their images."""
    import tensorflow as tf

    def one(name: Any, way: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(name), channels, expand_animations=False)
        image.set_shape((None, None, channels))
        # As `_turned` does.
        image = tf.cond(way >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        for ways, axis in (((3, 4, 7, 8), 0), ((2, 3, 6, 7), 1)):
            image = tf.cond(
                tf.reduce_any(way == tf.constant(ways)),
                partial(tf.reverse, image, [axis]), partial(tf.identity, image),
            )  # fmt: skip
        return tf.image.resize(image, size, method=interpolation)

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec((None,), tf.string), tf.TensorSpec((None,), tf.int32)],
    )
    def images(names: Any, ways: Any) -> Any:
        threads = os.cpu_count() or 1
        files = tf.data.Dataset.from_tensor_slices((names, ways))
        made = files.map(one, num_parallel_calls=threads, deterministic=True)
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        return made.batch(tf.size(names, tf.int64)).with_options(options).get_single_element()

    return images


def remarks_on(facts: Mapping[Path, Facts], root: Path) -> tuple[list[str], list[str]]:
    """Return notes and cautions on what was changed or lost."""
    turned = [file for file, each in facts.items() if each.orientation != 1]
    moving = [file for file, each in facts.items() if each.frames > 1]
    clear = [file for file, each in facts.items() if each.clear]
    deep = {file: each.deepest for file, each in facts.items() if each.deepest is not None}
    notes, cautions = [], []
    if turned:
        notes.append(f"{_count(turned, root)} turned as the EXIF orientation says")
    if moving:
        notes.append(f"{_count(moving, root)} with several frames: the first is read")
    if clear:
        notes.append(
            f"{_count(clear, root)} with transparent pixels: alpha is dropped and the "
            "colour under it is read (color_mode: rgba keeps it)"
        )
    if deep:
        deepest = max(deep.values())
        cautions.append(
            f"{_count(list(deep), root)} of 16 bits cut to the upper 8: values reach "
            f"{deepest} of 65535, so at most {deepest // 256 + 1} of 256 levels are left (for "
            "more, rescale them to 8 bits, or give arrays by path or call)"
        )
    return notes, cautions


def _count(files: Sequence[Path], root: Path) -> str:
    noun = "image" if len(files) == 1 else "images"
    return f"{len(files)} {noun} ({listed([_relative(each, root) for each in files])})"


def _relative(file: Path, root: Path | None) -> str:
    """Return what messages call a file: its path below `root`."""
    return file.relative_to(root).as_posix() if root else str(file)


def _unreadable(wrong: Sequence[tuple[Path, str]], root: Path | None) -> str:
    file, why = wrong[0]
    more = f" Nor can {len(wrong) - 1} more: " if len(wrong) > 1 else ""
    more += listed([_relative(each, root) for each, _ in wrong[1:]]) + "." if more else ""
    return (
        f"the image '{_relative(file, root)}' cannot be read: {why}.{more} Expected: whole JPEG, "
        "PNG, GIF, BMP or WebP files. Replace or remove what is none."
    )


def _facts(content: bytes, channels: int) -> Facts:
    """Read what the header says; a file that Pillow does not know is TensorFlow's to judge."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            deep = any("16" in str(tile[3]) for tile in image.tile)
            frames = int(getattr(image, "n_frames", 1))
            clear = channels != 4 and image.has_transparency_data and _is_clear(image)
            way = orientation_of(image)
        common = content.startswith((_JPEG, _PNG))
    except Exception:
        return Facts()
    return Facts(way, _deepest(content) if deep else None, clear, frames, common)


def _is_clear(image: Any) -> bool:
    low, _ = image.convert("RGBA").getchannel("A").getextrema()
    return bool(low < 255)


def _deepest(content: bytes) -> int | None:
    """Return the largest value of a 16-bit PNG, None if its lower 8 bits say nothing."""
    import tensorflow as tf

    values = tf.io.decode_png(content, dtype=tf.uint16).numpy()
    return None if np.array_equal(values >> 8, values & 255) else int(values.max())


def _pixels(content: bytes, channels: int) -> np.ndarray:
    """Decode to uint8 with so many channels, also where TensorFlow's decoder will not convert."""
    import tensorflow as tf

    try:
        image = tf.image.decode_image(content, channels=channels, expand_animations=False).numpy()
    except tf.errors.InvalidArgumentError:
        # WebP, GIF and BMP files come only with the channels that they have. TensorFlow writes past
        # its memory where an animated WebP is asked for like that: its first frame is Pillow's.
        if content[8:12] == b"WEBP" and b"ANIM" in content[:64]:
            from PIL import Image

            with Image.open(io.BytesIO(content)) as animation:
                image = np.asarray(animation.convert("RGBA"))
        else:
            image = tf.image.decode_image(content, expand_animations=False).numpy()
        image = _with_channels(image, channels)
    return image


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    import tensorflow as tf

    colour, alpha = image[..., :3], image[..., 3:]
    if channels == 1:
        return tf.image.rgb_to_grayscale(colour).numpy() if colour.shape[-1] == 3 else colour
    if colour.shape[-1] == 1:
        colour = np.repeat(colour, 3, axis=-1)
    if channels == 3:
        return colour
    opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
    return np.concatenate([colour, alpha if alpha.shape[-1] else opaque], axis=-1)


def _turned(image: np.ndarray, way: int) -> np.ndarray:
    """Turn and mirror as an EXIF orientation says, to what the camera saw."""
    if way >= 5:
        image = image.swapaxes(0, 1)
    if way in (3, 4, 7, 8):
        image = image[::-1]
    if way in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def _resized(
    image: np.ndarray, size: tuple[int, int], interpolation: str, crop: bool
) -> np.ndarray:
    """Resize as `keras.utils.image_dataset_from_directory` does, to the bit."""
    import keras
    import tensorflow as tf

    if crop:
        image = _cropped(image, size)
        resized = keras.ops.image.resize(
            image, size, interpolation=interpolation, data_format="channels_last"
        )
        made = np.asarray(keras.ops.convert_to_numpy(resized), np.float32)
    else:
        made = tf.image.resize(np.ascontiguousarray(image), size, method=interpolation).numpy()
        made = made.astype(np.float32, copy=False)
    return _as_configured(made)


def _as_configured(image: np.ndarray) -> np.ndarray:
    import keras

    first = keras.config.image_data_format() == "channels_first"
    return image.transpose(2, 0, 1) if first else image


def _cropped(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut the middle out in the aspect ratio of `size`; float32, as Keras computes it."""
    (height, width), (tall, wide) = image.shape[:2], size
    rows = max(min(height, int(np.float32(width * tall) / np.float32(wide))), 1)
    columns = max(min(width, int(np.float32(height * wide) / np.float32(tall))), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(image[top : top + rows, left : left + columns])
