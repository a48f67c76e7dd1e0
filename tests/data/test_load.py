"""Every kind of source, from what it is made of to what is handed on."""

import os
import sys
import time

import numpy as np
import pytest

from ablate.data import load, split
from ablate.errors import DataError, StudyError
from ablate.study.schema.data import Data, example_shape


def test_digits():
    found = load(Data(name="digits"))
    assert found.train.x.shape == (1797, 8, 8, 1) and found.test is None
    assert found.train.x.max() == 16 and found.target.classes == 10
    assert split(found, Data(name="digits")).x_train.max() == 1
    assert split(found, Data(name="digits")).scaling == "x/16"


@pytest.mark.parametrize(
    ("name", "rows", "columns", "classes"),
    [("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2), ("diabetes", 442, 10, None)],
)
def test_tables_of_sklearn(name, rows, columns, classes):
    found = load(Data(name=name))
    assert found.train.x.shape == (rows, columns) and found.test is None
    assert found.target.classes == classes
    assert example_shape(Data(name=name)) == (columns,)
    if classes is None:
        assert found.train.y.std() == pytest.approx(1)


def test_mnist1d_is_ten_digits_that_can_be_told_apart_and_the_same_every_time():
    found = load(Data(name="mnist1d", size=400, test_size=100))
    x, y = found.train.x, found.train.y
    assert x.shape == (400, 40, 1) and found.test.rows == 100
    assert sorted(np.bincount(y)) == sorted(np.bincount(y, minlength=10)) and y.max() == 9
    both = np.concatenate([x, found.test.x])
    assert (both.mean(), both.std()) == pytest.approx((0, 1), abs=1e-6)
    same = load(Data(name="mnist1d", size=400, test_size=100, seed=42))
    np.testing.assert_array_equal(same.train.x, x)
    # A curve is nearer to its own kind than chance has it, and far from all there is to know.
    distances = ((found.test.x[:, None] - x[None]) ** 2).sum(axis=(2, 3))
    nearest = (y[distances.argmin(axis=1)] == found.test.y).mean()
    assert 0.2 < nearest < 0.9


def test_the_noisy_line_has_the_noise_it_says():
    found = load(Data(name="noisy_line", size=4000, noise=0.3, test_size=100))
    x, y = found.train.x, found.train.y
    assert x.shape == y.shape == (4000, 1) and (x.min(), x.max()) == (-1, 1)
    residual = y - x
    assert abs(residual.std() - 0.3) < 0.02 and abs(residual.mean()) < 0.02
    assert found.test.rows == 100 and found.validation.rows == 50
    again = load(Data(name="noisy_line", size=4000, noise=0.3, test_size=100))
    assert again is found
    other = load(Data(name="noisy_line", size=4000, noise=0.3, test_size=100, seed=1))
    assert not np.array_equal(other.train.y, y)
    assert load(Data(name="noisy_line", test_size=0)).test is None


def test_badly_scaled_inputs():
    found = load(Data(name="badly_scaled", ranges=[200.0, 10.0, 1.0]))
    np.testing.assert_allclose(np.abs(found.train.x).max(axis=0), [200, 10, 1], rtol=0.05)
    everything = np.concatenate([p.y for p in (found.train, found.validation, found.test)])
    assert everything.mean() == 0.5


def test_an_npz_file(save, blobs):
    x, y = blobs
    data = Data(path=save(x_train=x, y_train=y, x_test=x[:5], y_test=y[:5]))
    found = load(data)
    np.testing.assert_array_equal(found.train.x, x)
    assert found.test.rows == 5 and load(data) is found and example_shape(data) == (3,)


def test_a_changed_file_is_read_again(save, blobs):
    x, y = blobs
    data = Data(path=save(x_train=x, y_train=y))
    first = load(data)
    save(x_train=x + 1, y_train=y)
    os.utime(data.path, ns=(time.time_ns(), time.time_ns() + 10**9))
    np.testing.assert_array_equal(load(data).train.x, first.train.x + 1)


def test_arguments_of_an_npz_file(save):
    x = np.arange(80).reshape(10, 8)
    path = save(x_train=x, y_train=np.arange(10))
    found = load(Data(path=path, task="regression", tokens=True))
    assert found.train.x.dtype == np.int32 and found.target.task == "regression"
    images = save("i.npz", x_train=np.zeros((10, 4, 5), np.float32), y_train=np.arange(10) % 2)
    assert load(Data(path=images)).train.x.shape == (10, 4, 5)
    data = Data(path=images, add_channel=True)
    assert load(data).train.x.shape == (10, 4, 5, 1) and example_shape(data) == (4, 5, 1)


def test_files_that_are_none(tmp_path, save):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 not a zip")
    objects = save("o.npz", x_train=np.array([{1}, {2}], dtype=object), y_train=np.arange(2))
    for path, says in (
        (str(tmp_path / "no.npz"), "there is no file"),
        (str(tmp_path), "is a folder"),
        (str(broken), "no whole npz file"),
        (objects, "cannot be read"),
        (save("e.npz", z=np.zeros(3)), "'z' is none of the arrays"),
        (save("x.npz", x_train=np.zeros((3, 1))), "y_train missing"),
    ):
        with pytest.raises(DataError, match=says):
            load(Data(path=path))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module beside the study, as a person would write one."""
    (tmp_path / "my_arrays.py").write_text(
        "import numpy as np\n"
        "def rows(n=30, broken=False):\n"
        "    if broken: raise RuntimeError('no disk')\n"
        "    x = np.arange(n * 2.0).reshape(n, 2)\n"
        "    return {'x_train': x, 'y_train': np.arange(n) % 3, 'class_names': ['a', 'b', 'c']}\n"
        "def nothing(): return None\n"
        "VALUE = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_arrays"
    sys.modules.pop("my_arrays", None)


def test_a_call(module):
    found = load(Data(call=f"{module}:rows", n=12))
    assert found.train.rows == 12 and found.target.class_names == ("a", "b", "c")
    assert example_shape(Data(call=f"{module}:rows")) is None


@pytest.mark.parametrize(
    "fields, error, says",
    [
        ({"call": "my_arrays:rows", "m": 3}, DataError, "cannot be called like that.*'m'"),
        ({"call": "my_arrays:rows", "broken": True}, DataError, "raised RuntimeError: no disk"),
        ({"call": "my_arrays:nothing"}, DataError, "expected a mapping"),
        ({"call": "my_arrays:row"}, StudyError, "Did you mean 'rows'?"),
        ({"call": "my_arrays:VALUE"}, StudyError, "nothing to call"),
        ({"call": "my_arays:rows"}, StudyError, "no module 'my_arays'"),
        ({"call": "rows"}, StudyError, "'package.module:name'"),
    ],
)
def test_calls_that_fail(module, fields, error, says):
    with pytest.raises(error, match=says):
        load(Data(**fields))


def test_a_keras_set_from_a_local_file(save):
    x = np.arange(20 * 28 * 28, dtype=np.uint32).reshape(20, 28, 28).astype(np.uint8)
    y = (np.arange(20) % 10).astype(np.uint8)
    data = Data(name="mnist", path=save(x_train=x, y_train=y, x_test=x[:4], y_test=y[:4]))
    found = load(data)
    assert found.train.x.shape == (20, 28, 28, 1) and found.train.x.dtype == np.uint8
    assert found.target.classes == 10 and found.target.class_names[3] == "3"
    wrong = save("w.npz", x_train=x[:, :8], y_train=y)
    with pytest.raises(DataError, match=r"shape \(8, 28\)"):
        load(Data(name="mnist", path=wrong))


def texts(count, random):
    made = np.empty(count, dtype=object)
    for row in range(count):
        made[row] = random.integers(1, 40, random.integers(1, 12)).tolist()
    return made


@pytest.mark.parametrize("name", ["imdb", "reuters", "boston_housing", "california_housing"])
def test_a_local_file_gives_what_keras_gives(name, tmp_path, monkeypatch):
    """Keras's own loader on the same file is the truth; only its download is taken away."""
    import keras

    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 30)
    if name == "imdb":
        arrays = {
            "x_train": texts(30, random),
            "y_train": labels,
            "x_test": texts(9, random),
            "y_test": labels[:9],
        }
    elif name == "reuters":
        arrays = {"x": texts(30, random), "y": labels}
    else:
        width = {"boston_housing": 13, "california_housing": 8}[name]
        arrays = {"x": random.normal(size=(30, width)), "y": random.normal(size=30)}
    path = tmp_path / f"{name}.npz"
    np.savez(path, **arrays)
    loader = getattr(keras.datasets, name).load_data
    monkeypatch.setitem(loader.__globals__, "get_file", lambda *a, **k: str(path))
    words = {"num_words": 20} if name in ("imdb", "reuters") else {}
    if words:
        words["maxlen"] = 6
    local = load(Data(name=name, path=str(path), **words))
    fetched = load(Data(name=name, **words))
    for part in ("train", "test"):
        np.testing.assert_array_equal(getattr(local, part).x, getattr(fetched, part).x)
        np.testing.assert_array_equal(getattr(local, part).y, getattr(fetched, part).y)
    assert local.tokens == bool(words)


def test_texts_as_columns(tmp_path):
    x = np.empty(20, dtype=object)
    x[:] = [[1, 2], [3]] * 10
    path = tmp_path / "imdb.npz"
    np.savez(path, x_train=x, y_train=np.arange(20) % 2, x_test=x, y_test=np.arange(20) % 2)
    data = Data(name="imdb", path=str(path), encoding="multi_hot", num_words=6)
    rows = {tuple(row) for row in load(data).train.x.astype(int).tolist()}
    # 1 begins a text, words are moved up by 3, what is beyond num_words reads 2.
    assert rows == {(0, 1, 0, 0, 1, 1), (0, 1, 1, 0, 0, 0)}
    assert example_shape(data) == (6,) and not load(data).tokens


def test_a_pickle_that_could_run_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    path = tmp_path / "imdb.npz"
    np.savez(path, x_train=np.array([Evil(), Evil()], dtype=object), y_train=np.arange(2))
    with pytest.raises(DataError, match=r"it holds a 'builtins\.print'"):
        load(Data(name="imdb", path=str(path)))


def test_a_download_that_fails_says_where_the_file_goes(monkeypatch):
    import keras

    def fails(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.org/mnist.npz: None -- offline")

    monkeypatch.setitem(keras.datasets.mnist.load_data.__globals__, "get_file", fails)
    with pytest.raises(DataError) as error:
        load(Data(name="mnist"))
    text = str(error.value)
    assert "https://example.org/mnist.npz" in text and "datasets/mnist.npz" in text
    assert "--set data.path=mnist.npz" in text


def test_what_keras_prints_stays_off_standard_output(save, monkeypatch, capsys):
    import keras

    x, y = np.zeros((12, 28, 28), np.uint8), np.arange(12) % 10
    path = save("mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)

    def fetch(*args, **kwargs):
        print("Downloading data")
        return path

    monkeypatch.setitem(keras.datasets.mnist.load_data.__globals__, "get_file", fetch)
    load(Data(name="mnist"))
    assert capsys.readouterr().out == ""


@pytest.fixture
def pictures(tmp_path):
    """train/ and test/ with two classes of three tiny PNGs each."""
    from PIL import Image

    for part in ("train", "test"):
        for label, value in (("cats", 10), ("dogs", 200)):
            place = tmp_path / "pictures" / part / label
            place.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (6, 5), (value, number, 0)).save(place / f"{number}.png")
    return tmp_path / "pictures"


def test_a_folder_of_images(pictures):
    data = Data(directory=str(pictures), image_size=[4, 3])
    found = load(data)
    assert found.train.x.shape == (6, 4, 3, 3) and found.train.x.dtype == np.uint8
    assert found.train.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.train.x[:, 0, 0, 0].tolist() == [10, 10, 10, 200, 200, 200]
    assert found.target.class_names == ("cats", "dogs") and found.test.rows == 6
    assert example_shape(data) == (4, 3, 3)


def test_one_folder_without_parts(pictures):
    found = load(Data(directory=str(pictures / "train"), image_size=[2, 2], color_mode="grayscale"))
    assert found.train.x.shape == (6, 2, 2, 1) and found.test is None


def test_folders_that_do_not_fit(pictures):
    (pictures / "test" / "birds").mkdir()
    (pictures / "empty").mkdir()
    cases = [
        (pictures / "nowhere", "is not there"),
        (pictures / "train" / "cats", "at least two"),
        (pictures, "has train/ and 'empty'"),
    ]
    for place, says in cases:
        with pytest.raises(DataError, match=says):
            load(Data(directory=str(place), image_size=[2, 2]))
    (pictures / "empty").rmdir()
    with pytest.raises(DataError, match="other classes in test than in train: birds"):
        load(Data(directory=str(pictures), image_size=[2, 2]))
    (pictures / "test" / "birds").rmdir()
    (pictures / "train" / "cats" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        load(Data(directory=str(pictures), image_size=[2, 2]))
