"""`ablate insert`: the model, its certificate, and what is said."""

import json
import os

import keras
import numpy as np
import pytest

from ablate.surgery import inserted
from tests.cli.surgical import certificate, images, network, run
from tests.models.test_file import forget_the_optimizer, rewrite_h5


@pytest.fixture
def source(tmp_path):
    network().save(tmp_path / "small.keras")
    np.savez(tmp_path / "images.npz", images=images())
    return tmp_path


def normalize(source, *more):
    return (
        *("insert", source / "small.keras", source / "out.keras"),
        *("--layer", "BatchNormalization", "--at", "before_activation", *more),
    )


def test_calibrated_it_ends_with_identical(source, capsys):
    out = source / "out.keras"
    status, said, _ = run(capsys, *normalize(source, "--calibrate", source / "images.npz"))
    assert status == 0
    assert said.endswith("'small' and 'small' on 8 rows: identical\n")
    assert "3 × BatchNormalization at before_activation: conv1_bn, conv2_bn, fc_bn." in said
    assert f"8 rows of {source / 'images.npz'}, x/255" in said
    assert certificate(out)["identical"] is True
    assert [each["layer"] for each in certificate(out)["per_layer"]] == [
        *("conv1_bn", "conv2_bn", "fc_bn"),
    ]
    assert len(inserted(keras.models.load_model(out))) == 6
    assert sorted(each.name for each in source.iterdir()) == [
        *("images.npz", "out.certificate.json", "out.keras", "small.keras"),
    ]


def test_uncalibrated_it_says_how_far_the_outputs_moved(source, capsys):
    status, said, _ = run(capsys, *normalize(source))
    assert status == 0
    assert "32 random inputs (seed 0), since no images were given" in said
    assert "max |Δ|" in said.splitlines()[-1]
    found = certificate(source / "out.keras")
    assert found["identical"] is False
    assert found["rows"] == 32


def test_the_model_is_not_written_over_itself(source, capsys):
    place, before = source / "small.keras", (source / "small.keras").read_bytes()
    status, _, err = run(capsys, "insert", place, place, "--layer", "Dropout", "--arg", "rate=0.5")
    assert status == 2 and "is SOURCE itself" in err
    assert place.read_bytes() == before


def test_arguments_selectors_and_the_check_images(source, capsys):
    np.save(source / "check.npy", images(4))
    status, said, err = run(
        capsys,
        *("insert", source / "small.keras", source / "out.keras", "--layer", "Dropout"),
        *("--arg", "rate=0.25", "--where", "conv", "--where", "fc", "--except", "conv1"),
        *("--name", "drop", "--check", source / "check.npy", "--preprocessing", "none", "--json"),
    )
    assert (status, err) == (0, "")
    document = json.loads(said)
    assert document["inserted"] == [
        {
            "host": host,
            "layer": "Dropout",
            "path": f"{host}_dropout",
            "at": "after",
            "stands": f"directly after {host}",
            "activation": None,
        }
        for host in ("conv2", "fc")
    ]
    assert document["skipped"] == []
    assert document["certificate"]["rows"] == 4
    assert document["certificate"]["images"].endswith("check.npy, as they are")
    new = keras.models.load_model(source / "out.keras")
    assert new.get_layer("fc_dropout").rate == 0.25
    assert {each.label for each in inserted(new)} == {"drop"}


def test_what_to_beware_of_is_said(source, capsys):
    run(capsys, *normalize(source, "--calibrate", source / "images.npz"))
    status, said, err = run(
        capsys,
        *("insert", source / "out.keras", source / "more.keras", "--layer", "Dropout"),
        *("--arg", "rate=0.5", "--where", "conv1", "--at", "before"),
    )
    assert status == 0
    assert "Dropout 'conv1_dropout' feeds 'conv1_bn'" in err
    assert "random inputs" in said


def test_skipped_hosts_are_listed(source, capsys):
    status, said, _ = run(
        capsys,
        *("insert", source / "small.keras", source / "out.keras", "--layer", "SpatialDropout2D"),
        *("--arg", "rate=0.5"),
    )
    assert status == 0
    assert "Skipped fc: SpatialDropout2D does not take a tensor of shape (None, 6)" in said


def test_quiet_leaves_the_verdict(source, capsys):
    _, said, _ = run(capsys, *normalize(source, "--quiet", "--calibrate", source / "images.npz"))
    assert said == "'small' and 'small' on 8 rows: identical\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--layer", "Dropot"], "Did you mean 'Dropout'?"),
        (["--layer", "Dropout"], "needs a 'rate'"),
        (["--arg", "momentum"], "--arg: expected NAME=VALUE"),
        (["--arg", "momentm=0.9"], "Did you mean 'momentum'?"),
        (["--arg", "where=conv"], "--arg where: that is not the layer's. Use --where."),
        (["--where", "conv_1"], "'conv_1' matches no layer of 'small'. Did you mean 'conv1'?"),
        (["--calibrate", "nothing.npz"], "there is no file or folder 'nothing.npz'"),
        (["--calibrate", "pipe.npy"], "is neither a file nor a folder"),
        (["--calibrate", "wrong.npy"], "expects the shape (None, 8, 8, 3)"),
        (["--calibrate", "nan.npy"], "Row 1 of input 'image' holds NaN"),
        (["--calibrate", "none.npy"], "holds no images"),
        (["--calibrate", "small.keras"], "expected an npz, an npy or a folder"),
        (["--weights", "imagenet"], "--weights belongs to names of keras.applications"),
        (["--preprocessing", "vgg1"], "Did you mean 'vgg1"),
    ],
)
def test_mistakes_are_told_and_leave_no_file(source, capsys, monkeypatch, change, words):
    monkeypatch.chdir(source)
    np.save("wrong.npy", images(2, side=6))
    np.save("none.npy", images(0))
    os.mkfifo("pipe.npy")
    broken = images(2).astype("float32")
    broken[1, 0, 0, 0] = np.nan
    np.save("nan.npy", broken)
    before = sorted(each.name for each in source.iterdir())
    extra = ["--check", "images.npz"] if "--preprocessing" in change else []
    status, said, err = run(capsys, *normalize(source), *extra, *change)
    assert (status, said) == (2, "")
    assert words in err
    assert sorted(each.name for each in source.iterdir()) == before


def test_an_application_without_weights(tmp_path, capsys):
    out = tmp_path / "out.keras"
    np.save(tmp_path / "check.npy", images(1, side=224))
    status, said, _ = run(
        capsys,
        *("insert", "MobileNet", out, "--weights", "none", "--layer", "Dropout"),
        *("--arg", "rate=0.5", "--where", "conv_pw_1", "--check", tmp_path / "check.npy"),
    )
    assert status == 0
    assert "Into MobileNet with random weights (seed 0): 1 × Dropout at after: conv_pw_1_d" in said
    assert said.endswith("identical\n")


def test_a_file_whose_optimizer_is_gone_is_operated_on_all_the_same(tmp_path, capsys):
    source, out = tmp_path / "old.h5", tmp_path / "new.keras"
    model = network()
    model.compile("adam", keras.losses.MeanSquaredError())
    model.save(source)
    rewrite_h5(source, "training_config", forget_the_optimizer)
    status, said, noted = run(
        capsys, "insert", source, out, "--layer", "Dropout", "--arg", "rate=0.5", "--where", "fc"
    )
    assert (status, said.splitlines()[-1].endswith("identical")) == (0, True)
    assert "'lr'" in noted and "the model is not compiled" in noted
    for command in ("remove", "fold"):
        again = tmp_path / f"{command}.keras"
        assert run(capsys, command, out if command == "remove" else source, again)[0] == 0
    assert run(capsys, "inspect", source)[0] == 0
