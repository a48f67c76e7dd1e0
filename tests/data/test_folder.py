"""Folders of images: every file is read as it was seen, or named with the reason why not."""

from __future__ import annotations

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from ablate.cli.images import read_images
from ablate.data import load
from ablate.errors import DataError
from ablate.study.schema.data import Data

SIZE = (6, 8)  # height, width: turning shows


def picture(seed: int, mode: str = "RGB") -> Image.Image:
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, channels), np.uint8)
    return Image.fromarray(pixels.squeeze(), mode if channels == 1 else None)


@pytest.fixture
def root(tmp_path) -> Path:
    """Two classes of three PNGs each."""
    for kind, start in (("ant", 0), ("bee", 10)):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in range(3):
            picture(start + number).save(tmp_path / "set" / kind / f"i{number}.png")
    return tmp_path / "set"


def read(root: Path, **fields):
    return load(Data(directory=str(root), image_size=fields.pop("image_size", SIZE), **fields))


def said(found) -> str:
    return "\n".join([*found.notes, *found.cautions])


def pixels(image: Image.Image, mode: str = "RGB") -> np.ndarray:
    return np.asarray(image.convert(mode)).reshape(*image.size[::-1], -1)


def test_what_was_read_before_is_read_to_the_bit_as_by_keras(root):
    """Nested folders, other sizes and ends in capitals included; the order of the rows too."""
    (root / "ant" / "b b").mkdir()
    (root / "ant" / "i").mkdir()
    for number, name in enumerate(("i/x.JPG", "b b/y.jpeg", "z.bmp", "i4.gif", "a.JPEG")):
        picture(20 + number).resize((11 + number, 17)).save(root / "ant" / name)
    for arguments in (
        {},
        {"interpolation": "bicubic", "color_mode": "rgb"},
        {"interpolation": "nearest", "crop_to_aspect_ratio": True},
        {"crop_to_aspect_ratio": True},
        {"interpolation": "area"},
    ):
        theirs = keras.utils.image_dataset_from_directory(
            root, image_size=(7, 5), shuffle=False, batch_size=64, verbose=False, **arguments
        )
        ((x, y),) = list(theirs.as_numpy_iterator())
        ours = read(root, image_size=(7, 5), **arguments)
        np.testing.assert_array_equal(ours.train.x, np.clip(np.rint(x), 0, 255).astype(np.uint8))
        np.testing.assert_array_equal(ours.train.y, y)


def test_hidden_files_and_folders_are_skipped_at_any_depth_and_named(root):
    clean = read(root)
    (root / "ant" / "._i0.png").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    for place in (".ipynb_checkpoints", "ant/.ipynb_checkpoints", "bee/.x/y", "__MACOSX/ant"):
        (root / place).mkdir(parents=True)
        picture(5).save(root / place / "i0-checkpoint.png")
    found = read(root)
    np.testing.assert_array_equal(found.train.x, clean.train.x)
    assert clean.notes == () and clean.skipped == {}
    assert found.skipped == {
        "hidden": (
            ".ipynb_checkpoints/",
            "__MACOSX/",
            "ant/._i0.png",
            "ant/.ipynb_checkpoints/",
            "bee/.x/",
        )
    }
    assert found.notes == (
        "5 files not read (hidden): .ipynb_checkpoints/, __MACOSX/, ant/._i0.png, …",
    )
    assert found.cautions == ()


def test_every_format_that_tensorflow_decodes_is_read_in_every_colour_mode(root):
    image = picture(3)
    for end in ("webp", "bmp", "gif", "jfif", "jpe"):
        keywords = {
            "webp": {"lossless": True},
            "jfif": {"format": "JPEG"},
            "jpe": {"format": "JPEG"},
        }
        image.save(root / "bee" / f"w.{end}", **keywords.get(end, {}))
    image.convert("RGBA").save(root / "bee" / "x.webp", lossless=True)
    for mode, own in (("rgb", "RGB"), ("rgba", "RGBA"), ("grayscale", "L")):
        found = read(root, color_mode=mode)
        assert found.train.rows == 12 and found.skipped == {}
        by_name = dict(
            zip(sorted(p.name for p in (root / "bee").iterdir()), found.train.x[3:], strict=True)
        )
        for name in ("w.bmp", "w.webp", "x.webp"):
            # TensorFlow and Pillow round grey at most one apart.
            difference = by_name[name].astype(int) - pixels(image, own)
            assert abs(difference).max() <= (1 if mode == "grayscale" else 0)


def test_what_is_not_decoded_and_what_is_no_image_are_told_apart(root):
    picture(1).save(root / "ant" / "scan.tif")
    picture(1).save(root / "beside.png")
    (root / "ant" / "readme.txt").write_text("notes")
    (root / "labels.csv").write_text("a,b")
    found = read(root)
    assert found.train.rows == 6
    assert found.skipped == {
        "in a format that TensorFlow does not decode": ("ant/scan.tif",),
        "no image by its name": ("labels.csv", "ant/readme.txt"),
        "outside the class folders": ("beside.png",),
    }
    assert any("ant/scan.tif" in caution for caution in found.cautions)
    assert any("beside.png" in caution for caution in found.cautions)
    assert any("labels.csv, ant/readme.txt" in note for note in found.notes)


def test_images_below_a_class_are_its_own_and_said(root):
    (root / "bee" / "young").mkdir()
    picture(4).save(root / "bee" / "young" / "a.png")
    found = read(root)
    assert np.bincount(found.train.y).tolist() == [3, 4]
    assert found.notes == (
        "1 images lie in folders below those of their classes and are read as theirs: "
        "bee/young/ (1)",
    )


def turned(way: int) -> tuple[bytes, np.ndarray]:
    """A JPEG with an EXIF orientation, and how Pillow says it is to be seen."""
    exif = Image.Exif()
    exif[0x0112] = way
    stream = io.BytesIO()
    picture(7).save(stream, "JPEG", exif=exif)
    content = stream.getvalue()
    plain = io.BytesIO()
    picture(7).save(plain, "JPEG")
    decoded = np.asarray(keras.utils.array_to_img(pixels(Image.open(plain)), scale=False))
    right = Image.fromarray(decoded)
    right.getexif()[0x0112] = way
    return content, np.asarray(ImageOps.exif_transpose(right))


@pytest.mark.parametrize("way", range(1, 9))
def test_images_are_turned_as_their_exif_says(root, way):
    content, right = turned(way)
    (root / "ant" / "a.jpg").write_bytes(content)
    found = read(root, image_size=right.shape[:2])
    assert found.train.x[0].shape == right.shape
    # TensorFlow's JPEG decoder and Pillow's differ in the last digits.
    assert abs(found.train.x[0].astype(int) - right).max() <= 4
    expected = () if way == 1 else ("1 image (ant/a.jpg) turned as the EXIF orientation says",)
    assert found.notes == expected


def test_sixteen_bits_are_cut_to_eight_and_said(root):
    values = np.arange(48, dtype=np.uint16).reshape(6, 8) * 30  # up to 1410 of 65535
    Image.fromarray(values).save(root / "ant" / "deep.png")
    Image.fromarray(values.astype(np.uint8).astype(np.uint16) * 257).save(root / "bee" / "same.png")
    found = read(root, color_mode="grayscale")
    np.testing.assert_array_equal(found.train.x[0, ..., 0], values >> 8)
    (caution,) = found.cautions
    assert caution.startswith(
        "1 image (ant/deep.png) of 16 bits cut to the upper 8: values reach 1410 of 65535, "
        "so at most 6 of 256 levels are left"
    )


def test_colour_under_transparency_is_said_and_alpha_kept_where_asked(root):
    image = picture(6, "RGBA")
    image.save(root / "ant" / "clear.png")
    image.save(root / "bee" / "clear.webp", lossless=True, exact=True)
    picture(6).convert("RGBA").save(root / "bee" / "opaque.png")
    found = read(root)
    np.testing.assert_array_equal(found.train.x[0], np.asarray(image)[..., :3])
    assert [note.split(":")[0] for note in found.notes] == [
        "2 images (ant/clear.png, bee/clear.webp) with transparent pixels"
    ]
    kept = read(root, color_mode="rgba")
    np.testing.assert_array_equal(kept.train.x[0], np.asarray(image))
    assert kept.notes == ()


def test_an_animation_gives_its_first_frame_and_says_so(root):
    frames = [picture(seed).quantize() for seed in range(3)]
    frames[0].save(root / "ant" / "a.gif", save_all=True, append_images=frames[1:])
    found = read(root)
    np.testing.assert_array_equal(found.train.x[0], pixels(frames[0]))
    assert found.notes == ("1 image (ant/a.gif) with several frames: the first is read",)


def test_an_animated_webp_gives_its_first_frame(root):
    frames = [picture(seed) for seed in range(3)]
    frames[0].save(root / "ant" / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    found = read(root)
    np.testing.assert_array_equal(found.train.x[0], pixels(frames[0]))
    assert found.notes == ("1 image (ant/a.webp) with several frames: the first is read",)


@pytest.mark.parametrize("part", ["", "train"])
def test_an_unreadable_image_is_named_with_those_that_follow(root, part):
    if part:
        (root / part).mkdir()
        for kind in ("ant", "bee"):
            (root / kind).rename(root / part / kind)
    place = root / part
    whole = (place / "bee" / "i1.png").read_bytes()
    (place / "bee" / "i1.png").write_bytes(whole[: len(whole) // 2])
    (place / "bee" / "i2.png").write_bytes(b"")
    (place / "ant" / "i1.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as error:
        read(root)
    under = f"{part}/" if part else ""
    assert f"the image '{under}ant/i1.png' cannot be read: Unknown image file format" in str(
        error.value
    )
    assert f"Nor can 2 more: {under}bee/i1.png, {under}bee/i2.png." in str(error.value)
    (place / "ant" / "i1.png").unlink()
    (place / "bee" / "i1.png").unlink()
    with pytest.raises(DataError, match=r"bee/i2\.png' cannot be read: the file is empty\. Exp"):
        read(root)


def test_folders_that_are_no_classes_of_images(root):
    (root / "cow").mkdir()
    picture(1).save(root / "cow" / "scan.tiff")
    with pytest.raises(DataError, match=r"cow' has no images.*Found: cow/scan\.tiff \(in a format"):
        read(root)
    (root / "cow" / "scan.tiff").unlink()
    with pytest.raises(DataError, match=r"cow' has no images.*Found: nothing"):
        read(root)


def test_parts_that_are_none(tmp_path, root):
    parts = tmp_path / "parts"
    for part in ("val", "test"):
        for kind in ("ant", "bee"):
            (parts / part / kind).mkdir(parents=True)
            picture(1).save(parts / part / kind / "a.png")
    with pytest.raises(DataError, match=r"has test/, val/ but no train/"):
        read(parts)
    root.rename(parts / "train")
    assert read(parts).validation.rows == 2
    (parts / "val").rename(parts / "validation")
    assert read(parts).validation.rows == 2
    (parts / "val" / "ant").mkdir(parents=True)
    picture(1).save(parts / "val" / "ant" / "a.png")
    with pytest.raises(DataError, match=r"has val/ and validation/"):
        read(parts)


def test_classes_behind_links_are_read(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    picture(1).save(tmp_path / "elsewhere" / "a.png")
    (root / "cow").symlink_to(tmp_path / "elsewhere")
    (root / "ant" / "loop").symlink_to(root)
    found = read(root)
    assert np.bincount(found.train.y).tolist() == [3, 3, 1]


def test_the_images_of_commands_come_through_the_same_loader(root):
    model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Flatten()])
    content, _ = turned(3)
    (root / "ant" / "a.jpg").write_bytes(content)
    picture(2).save(root / "w.webp", lossless=True)
    picture(2).save(root / "w.tif")
    (root / ".hidden.png").write_bytes(b"")
    found = read_images(str(root), model, None, "none")
    (batch,) = list(found.x)
    assert batch.shape == (8, *SIZE, 3) and batch.dtype == np.float32
    np.testing.assert_array_equal(batch[0], pixels(picture(2)))  # w.webp lies above the folders
    np.testing.assert_array_equal(batch[1], read(root).train.x[0])
    assert "the 8 images under" in found.words and "w.tif" in found.words
    (root / "bee" / "i0.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"IMAGES: the image '.*i0\.png' cannot be read"):
        list(found.x)
