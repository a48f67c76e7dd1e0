"""Every study that is shipped runs: one seed, one epoch, few rows, all in this process.

Data that would be downloaded, and images, are stood in for by small ones made here.
"""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from ablate.config import load_study
from ablate.execution.run import run
from ablate.execution.screen import screen

ROOT = Path(__file__).parents[1]
#: Those of published results are run with their claims in tests/cli/test_reproduce.py; but one
#: of them starts from another study, which is here.
CONFIGS = sorted(
    path
    for path in (ROOT / "configs").rglob("*.yaml")
    if path.parent.name != "papers" or path.stem == "vgg_pretrained_bn"
)

SHORT = ["train.epochs=1", "train.threads=1"]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory) -> Path:
    """Small data: an MNIST-like npz, a folder of images, a model file with its rows."""
    folder = tmp_path_factory.mktemp("stand-ins")
    draw = np.random.default_rng(0)
    labels = np.arange(300) % 10
    images = draw.integers(0, 256, (300, 28, 28), dtype="uint8")
    np.savez(folder / "mnist.npz", x_train=images, y_train=labels.astype("uint8"),
             x_test=images[:60], y_test=labels[:60].astype("uint8"))  # fmt: skip
    coloured = draw.integers(0, 256, (300, 32, 32, 3), dtype="uint8")
    np.savez(folder / "cifar10.npz", x_train=coloured, y_train=labels.astype("uint8"),
             x_test=coloured[:60], y_test=labels[:60].astype("uint8"))  # fmt: skip
    for kind in ("cats", "dogs"):
        (folder / "images" / kind).mkdir(parents=True)
        for index in range(10):
            picture = draw.integers(0, 256, (40, 40, 3), dtype="uint8")
            keras.utils.save_img(folder / "images" / kind / f"{index}.png", picture)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.save(folder / "model.keras")
    x = draw.normal(size=(90, 6)).astype("float32")
    np.savez(folder / "data.npz", x_train=x, y_train=np.arange(90) % 3)
    return folder


def changes(path: Path, folder: Path) -> list[str]:
    """What has to be set for a study to run here, soon."""
    text = path.read_text(encoding="utf-8")
    study = path.stem
    # Where there are phases, those of the variants say how many epochs there are.
    asked = [each for each in SHORT if "phases:" not in text or "epochs" not in each]
    if re.search(r"name: mnist\b", text):
        asked += [f"data.path={folder / 'mnist.npz'}"]
    if study == "cifar10":
        asked += [f"data.path={folder / 'cifar10.npz'}"]
    if study == "vgg16_bn":
        asked += [f"data.directory={folder / 'images'}", "data.image_size=[32, 32]",
                  "model.weights=none"]  # fmt: skip
    if study == "vgg16_where":
        asked += [f"data.directory={folder / 'images'}", "data.image_size=[32, 32]",
                  "model.weights=none"]  # fmt: skip
    if "screen:" in text:  # two sites at most of each placement, and few seeds
        asked += ["screen.placements[0].where=block1_*", "screen.confirm_seeds=2"]
    if study == "vgg16_where":
        asked += ["screen.placements[0].where=block1_conv1"]
    if study == "where_dropout":
        asked += ["screen.placements[0].where=block1_pool", "screen.placements[1].where=fc1"]
    if study == "your_model":
        asked += [f"model.file={folder / 'model.keras'}", f"data.path={folder / 'data.npz'}"]
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_runs(path, stand_ins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where relative files are not
    profile = "quick" if "quick" in load_study(path).profiles else None
    study = load_study(path, overrides=changes(path, stand_ins), profile=profile)
    logs = {"logs": tmp_path / "logs", "executor": "inline", "watchers": ()}
    if study.screen is not None:
        screened = screen(study.model_copy(update={"seeds": 2}), **logs)
        assert screened.pick is not None
        results = screened.confirmed
    else:
        first = study.seed_list[0]
        results = run(study.model_copy(update={"seeds": [first]}), **logs)
    errors = [result.error for result in results.results if result.status == "failed"]
    assert not errors, errors[0]
    assert not results.counts().get("missing")
    assert all(result.metrics for result in results.results if result.status == "completed")
