"""The tables of Keras's names against the Keras that is installed."""

import json

from ablate.study.keras_names import TABLES
from ablate.training.keras_tables import keras_tables


def test_the_file_is_what_make_docs_writes():
    assert json.loads(TABLES.read_text(encoding="utf-8")) == keras_tables()
