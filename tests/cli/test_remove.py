"""`ablate remove`: undoes what insert recorded, or takes out what is selected."""

import json

import keras
import numpy as np

from tests.cli.surgical import certificate, network, run


def prepared(tmp_path, capsys):
    network().save(tmp_path / "small.keras")
    run(
        capsys,
        *("insert", tmp_path / "small.keras", tmp_path / "new.keras", "--layer", "Dropout"),
        *("--arg", "rate=0.5", "--at", "before_activation"),
    )
    return tmp_path / "new.keras", tmp_path / "back.keras"


def test_it_undoes_what_insert_did(tmp_path, capsys):
    new, back = prepared(tmp_path, capsys)
    status, said, _ = run(capsys, "remove", new, back)
    assert status == 0
    assert "6 layers: conv1_dropout, conv1_activation, conv2_dropout" in said
    assert said.endswith("identical\n")
    assert certificate(back)["identical"] is True
    plain = keras.models.load_model(tmp_path / "small.keras")
    again = keras.models.load_model(back)
    assert again.get_config() == plain.get_config()
    assert all(map(np.array_equal, again.get_weights(), plain.get_weights()))


def test_selected_layers_go(tmp_path, capsys):
    new, back = prepared(tmp_path, capsys)
    status, said, _ = run(
        capsys, "remove", new, back, "--where", "Dropout", "--except", "fc_dropout", "--json"
    )
    assert status == 0
    assert json.loads(said)["removed"] == [
        *("conv1_dropout", "conv1_activation", "conv2_dropout", "conv2_activation"),
    ]


def test_nothing_to_undo_is_told(tmp_path, capsys):
    network().save(tmp_path / "small.keras")
    status, said, err = run(capsys, "remove", tmp_path / "small.keras", tmp_path / "back.keras")
    assert (status, said) == (2, "")
    assert "'small' has no record of inserted or changed layers" in err
    assert not (tmp_path / "back.keras").exists()
