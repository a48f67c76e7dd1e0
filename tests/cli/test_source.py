"""SOURCE, OUT and IMAGES: what is taken, and what is said of what is not."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from ablate.cli.images import random_inputs, read_images
from ablate.cli.source import open_model, writable, write
from ablate.errors import AblateError, DataError, StoreError, SurgeryError
from ablate.surgery import certify
from tests.cli.surgical import images, network, run


def test_files_open_with_their_weights(tmp_path):
    model = network()
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        opened = open_model(str(tmp_path / name))
        assert opened.words == str(tmp_path / name)
        assert opened.application is None
        assert all(map(np.array_equal, opened.model.get_weights(), model.get_weights()))


def test_a_file_of_an_application_is_known_by_its_name(tmp_path):
    network(name="resnet50_v2").save(tmp_path / "model.keras")
    assert open_model(str(tmp_path / "model.keras")).application == "resnet50v2"


def test_weights_of_an_application_from_a_file(tmp_path):
    keras.utils.set_random_seed(3)
    model = keras.applications.MobileNet(weights=None)
    model.save_weights(tmp_path / "own.weights.h5")
    opened = open_model("mobilenet", str(tmp_path / "own.weights.h5"))
    assert all(map(np.array_equal, opened.model.get_weights(), model.get_weights()))
    (tmp_path / "bad.weights.h5").write_bytes(b"nothing")
    with pytest.raises(SurgeryError, match="could not be loaded into MobileNet"):
        open_model("mobilenet", str(tmp_path / "bad.weights.h5"))
    with pytest.raises(SurgeryError, match="expected imagenet, none or a file of weights"):
        open_model("mobilenet", "imagnet")


def with_lambda():
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Lambda(lambda x: x * 2)(inputs))


class Unknown(layers.Layer):
    def call(self, x):
        return x


def with_unknown_class():
    inputs = keras.Input((3,))
    return keras.Model(inputs, Unknown()(inputs))


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("text.keras", lambda path: path.write_text("no model"), "is not a Keras model file"),
        ("empty.h5", lambda path: path.write_bytes(b""), "is not a Keras model file"),
        ("folder.keras", lambda path: path.mkdir(), "a folder"),
        ("model.pb", lambda path: path.write_text("?"), "a file that ends in '.pb'"),
        ("lambda.keras", lambda path: with_lambda().save(path), "safe mode"),
        (
            "class.keras",
            lambda path: with_unknown_class().save(path),
            "needs classes or functions that this process does not know: 'Unknown'",
        ),
        ("cut.keras", lambda path: cut(path), "is not a Keras model file, or not a whole one"),
        ("only.weights.h5", lambda path: network().save_weights(path), "holds weights only"),
        ("pipe.keras", os.mkfifo, "no regular file"),
    ],
)
def test_what_is_no_model_is_told(tmp_path, name, make, words):
    make(tmp_path / name)
    with pytest.raises(SurgeryError) as error:
        open_model(str(tmp_path / name))
    assert words in str(error.value)


def cut(path):
    network().save(path)
    path.write_bytes(path.read_bytes()[:-400])


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("model.h5", "expected a name that ends in .keras"),
        ("nowhere/model.keras", "there is no folder"),
        ("there.keras", "is a folder"),
        ("pipe.keras", "no regular file"),
        ("a" * 300 + ".keras", "cannot be the name of a file"),
        ("a" * 240 + ".keras", "cannot be the name of a file"),  # its certificate's is longer
    ],
)
def test_where_nothing_can_be_written_is_told(tmp_path, out, words):
    (tmp_path / "there.keras").mkdir()
    os.mkfifo(tmp_path / "pipe.keras")
    with pytest.raises(StoreError) as error:
        writable(tmp_path / out)
    assert words in str(error.value)


def test_no_name_is_no_place():
    with pytest.raises(StoreError, match=r"expected the name of a \.keras file"):
        writable("")
    with pytest.raises(SurgeryError, match="there is no file"):
        open_model("a" * 300)


def test_both_files_are_written_or_none(tmp_path, monkeypatch):
    model, out = network(), tmp_path / "out.keras"
    evidence = certify(model, model, images(2).astype("float32"), paths=("eager",))
    assert write(out, model, evidence) == tmp_path / "out.certificate.json"
    kept = out.read_bytes()

    def fail(path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(model, "save", fail)
    with pytest.raises(
        StoreError, match=r"out.keras' could not be written: OSError: No space left"
    ):
        write(out, model, evidence)
    assert out.read_bytes() == kept
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *("out.certificate.json", "out.keras"),
    ]


def test_images_of_npz_npy_and_folders(tmp_path):
    model = network()
    np.savez(tmp_path / "one.npz", whatever=images())
    np.savez(tmp_path / "usual.npz", y_train=np.zeros(8), x_train=images())
    np.savez(tmp_path / "named.npz", other=np.zeros(3), image=images())
    np.save(tmp_path / "array.npy", images())
    for name in ("one.npz", "usual.npz", "named.npz", "array.npy"):
        found = read_images(str(tmp_path / name), model, None)
        assert np.array_equal(found.x, images().astype("float32") / np.float32(255))
        assert found.words == f"8 rows of {tmp_path / name}, x/255"
    plain = read_images(str(tmp_path / "array.npy"), model, None, "none")
    assert plain.x.dtype == np.uint8
    (tmp_path / "pictures" / "below").mkdir(parents=True)
    for number, image in enumerate(images(3)):
        keras.utils.save_img(tmp_path / "pictures" / "below" / f"{number}.png", image, scale=False)
    found = read_images(str(tmp_path / "pictures"), model, None)
    for _ in range(2):  # a stream that starts again
        [batch] = list(found.x)
        assert np.array_equal(batch, images(3).astype("float32") / np.float32(255))


def test_images_get_the_applications_own_preprocessing(tmp_path):
    np.save(tmp_path / "array.npy", images())
    expected = keras.applications.vgg16.preprocess_input(images().astype("float32"))
    for application, preprocessing in (("vgg16", "auto"), (None, "VGG16")):
        found = read_images(str(tmp_path / "array.npy"), network(), application, preprocessing)
        assert np.array_equal(found.x, expected)
        assert found.words.endswith("the preprocessing of vgg16")


def test_images_for_several_inputs(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], layers.Concatenate()([a, b]))
    np.savez(tmp_path / "both.npz", a=np.ones((4, 3)), b=np.zeros((4, 2)))
    found = read_images(str(tmp_path / "both.npz"), model, None)
    assert {name: array.shape for name, array in found.x.items()} == {"a": (4, 3), "b": (4, 2)}
    np.savez(tmp_path / "one.npz", a=np.ones((4, 3)))
    with pytest.raises(DataError, match=r"holds a. Expected an array for each input .*: a, b"):
        read_images(str(tmp_path / "one.npz"), model, None)


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("text.npy", lambda path: path.write_text("?"), "is not an npy file"),
        ("text.npz", lambda path: path.write_text("?"), "is no whole npz file"),
        ("many.npz", lambda path: np.savez(path, p=images(), q=images()), "holds p, q"),
        ("empty", lambda path: path.mkdir(), "there are no images in"),
        ("words.npy", lambda path: np.save(path, np.array([["a"]])), "Expected numbers"),
    ],
)
def test_what_holds_no_images_is_told(tmp_path, name, write, words):
    write(tmp_path / name)
    with pytest.raises(AblateError) as error:
        read_images(str(tmp_path / name), network(), None)
    assert words in str(error.value)


def test_random_inputs_fit_the_model():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    row = keras.Input((3,), name="row")
    x = layers.GlobalMaxPooling1D()(layers.Embedding(5, 3)(tokens))
    model = keras.Model({"tokens": tokens, "row": row}, layers.Add()([x, row]))
    found, again = random_inputs(model), random_inputs(model)
    assert found.x["tokens"].shape == (32, 16)
    assert set(np.unique(found.x["tokens"])) == {0, 1, 2, 3, 4}
    assert model(found.x).shape == (32, 3)
    assert all(np.array_equal(found.x[name], again.x[name]) for name in found.x)


def test_tensorflow_does_not_greet_who_types_a_command(tmp_path):
    network().save(tmp_path / "model.keras")
    command = [sys.executable, "-m", "ablate", "inspect", str(tmp_path / "model.keras")]
    quieting = {"TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"}
    plain = {name: value for name, value in os.environ.items() if name not in quieting}
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
    assert "conv1" in done.stdout and done.stderr == ""


def test_what_is_no_source_is_told_before_keras_starts(tmp_path):
    code = (
        "import sys; from ablate.cli import run_cli; status = run_cli(sys.argv[1:])\n"
        "assert status == 2 and not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    typed = ["insert", "vgg17", str(tmp_path / "out.keras"), "--layer", "BatchNormalization"]
    command = [sys.executable, "-c", code, *typed]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Did you mean 'vgg1" in done.stderr


def fixed_batches():
    inputs = keras.Input(batch_shape=(1, 5, 4))
    x = layers.LSTM(4, stateful=True)(layers.Dense(6, activation="relu", name="d")(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


def of_words():
    inputs = keras.Input((1,), dtype="string", name="words")
    x = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(6, activation="relu", name="d")(x)))


def nested_inputs():
    a, b, c = (keras.Input((n,), name=name) for n, name in ((4, "a"), (3, "b"), (2, "c")))
    x = layers.Dense(6, activation="relu", name="d")(layers.Concatenate()([a, b, c]))
    return keras.Model({"p": [a, b], "q": c}, layers.Dense(2)(x))


def sparse_input():
    inputs = keras.Input((4,), sparse=True)
    return keras.Model(
        inputs, layers.Dense(2)(layers.Dense(6, activation="relu", name="d")(inputs))
    )


@pytest.mark.parametrize("build", [fixed_batches, of_words, nested_inputs, sparse_input])
def test_random_inputs_fit_models_of_any_kind(tmp_path, capsys, build):
    build().save(tmp_path / "m.keras")
    dropout = ("--layer", "Dropout", "--arg", "rate=0.5", "--where", "d")
    status, said, _ = run(capsys, "insert", tmp_path / "m.keras", tmp_path / "n.keras", *dropout)
    assert status == 0 and said.strip().endswith("identical")


def test_random_inputs_that_do_not_fit_ask_for_others(tmp_path, capsys):
    inputs = keras.Input((4,))
    x = layers.Reshape((2, 2))(keras.ops.reshape(inputs, (7, 4)))
    keras.Model(inputs, layers.Dense(2, name="d")(x)).save(tmp_path / "m.keras")
    dropout = ("--layer", "Dropout", "--arg", "rate=0.5", "--where", "d")
    arguments = ("insert", tmp_path / "m.keras", tmp_path / "n.keras", *dropout)
    status, _, said = run(capsys, *arguments)
    assert status == 2 and "with --check FILE.npz" in said and "Traceback" not in said
    np.savez(tmp_path / "seven.npz", x=np.ones((7, 4), "float32"))
    assert run(capsys, *arguments, "--check", tmp_path / "seven.npz")[0] == 0


@pytest.mark.parametrize(
    ("build", "arrays"),
    [
        (of_words, {"words": np.array([["a"], ["unheard"]])}),
        (nested_inputs, {"a": np.ones((4, 4)), "b": np.ones((4, 3)), "c": np.ones((4, 2))}),
    ],
)
def test_a_certificate_is_measured_on_words_and_nested_arrays(tmp_path, capsys, build, arrays):
    build().save(tmp_path / "m.keras")
    np.savez(tmp_path / "check.npz", **arrays)
    status, said, _ = run(
        capsys, "insert", tmp_path / "m.keras", tmp_path / "n.keras", "--layer", "Dropout",
        "--arg", "rate=0.5", "--where", "d", "--check", tmp_path / "check.npz",
    )  # fmt: skip
    assert status == 0 and "check.npz, as they are" in said
