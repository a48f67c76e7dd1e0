"""Examples: loaded from where a study says, judged, split and scaled.

`load` turns the `data` section into a `Source` of raw arrays, `split` turns that into the
`Splits` of a trial. Both remember what they made. Neither needs Keras, but for the sets and
images that Keras itself reads.
"""

from ablate.data.conversion import gather
from ablate.data.load import load
from ablate.data.source import Part, Source, Splits
from ablate.data.split import split
from ablate.data.targets import strata
from ablate.study.specs import Target

__all__ = ["Part", "Source", "Splits", "Target", "gather", "load", "split", "strata"]
