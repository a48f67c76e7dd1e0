"""A study of a training script: what its `fit` call is handed takes the place of model and data."""

from __future__ import annotations

from pydantic import Field

from ablate.study.schema.strict import Strict


class Script(Strict):
    """A person's training script and the `fit` call in it that is meant.

    The model, the rows, the epochs, the batch size and the callbacks are those of the call, what
    the model is compiled with is how it is trained, and keys that the study states win.
    """

    file: str = Field(description="The script (.py) or notebook (.ipynb), run up to its fit call.")
    arguments: list[str] = Field(default=[], description="What it finds in sys.argv.")
    fit: int | None = Field(
        default=None,
        ge=1,
        description="Which fit call, counted as they come; needed where there are several. Earlier "
        "ones of the same model are trained in full first, once.",
    )
    rehearse: bool = Field(
        default=False,
        description="Run on past the fits, one step each, to see all of them: fits of one model "
        "become phases, several models the variants.",
    )
