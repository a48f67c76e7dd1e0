"""What is shown is what is trained on."""

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.report.plots.augmentation import contact_sheet
from ablate.study.trial import Spec
from ablate.training.contact_sheet import DRAWS, ROWS, augmented_rows
from tests.training.small import trial_of
from tests.training.test_augmentation import FLIP, batches_of, spec_of


def test_the_first_draw_is_the_first_step():
    spec = spec_of([FLIP, "MixUp"])
    found = augmented_rows(trial_of(spec, 3))
    first = batches_of(spec, 3, 1)[0]
    assert len(found.pixels) == len(found.labels) == 1 + DRAWS
    np.testing.assert_array_equal(found.pixels[1], first[0][:ROWS])
    assert found.labels[0][0] in ("0", "1", "2")
    assert len(contact_sheet(found).axes) == (1 + DRAWS) * ROWS


def test_rows_of_a_table_are_no_images():
    spec = Spec(
        data={"name": "badly_scaled", "size": 50}, model={"name": "mlp", "units": [4]},
        train={"augment": [{"layer": "GaussianNoise", "stddev": 0.1}]},
    )  # fmt: skip
    with pytest.raises(StudyError, match="the rows of this study are none"):
        augmented_rows(trial_of(spec))
