"""Summary values, the things TensorBoard shows: a scalar, a histogram, an image, a text.

The protocol-buffer messages of `tensorboard.compat.proto` are built by hand because TensorBoard's
own helpers are either slow (one NumPy array per scalar) or import TensorFlow (the custom-scalar and
hparams ones). What they write is the second, tensor-based format of each plugin, so that no reader
has to convert it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from tensorboard.compat.proto.summary_pb2 import (
    DATA_CLASS_BLOB_SEQUENCE,
    DATA_CLASS_SCALAR,
    DATA_CLASS_TENSOR,
    Summary,
    SummaryMetadata,
)
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_STRING


def _metadata(plugin: str, data_class: int) -> SummaryMetadata:
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name=plugin), data_class=data_class
    )


_SCALARS = _metadata("scalars", DATA_CLASS_SCALAR)
_HISTOGRAMS = _metadata("histograms", DATA_CLASS_TENSOR)
_IMAGES = _metadata("images", DATA_CLASS_BLOB_SEQUENCE)

_PNG = b"\x89PNG\r\n\x1a\n"


def scalar(tag: str, value: float) -> Summary.Value:
    """Return a scalar summary: `value` as float32, which is all that TensorBoard keeps."""
    tensor = TensorProto(dtype=DT_FLOAT, float_val=(float(value),), tensor_shape=TensorShapeProto())
    return Summary.Value(tag=tag, tensor=tensor, metadata=_SCALARS)


def histogram(tag: str, edges: np.ndarray, counts: np.ndarray) -> Summary.Value:
    """Return a histogram summary of bins already counted.

    Args:
        tag: what TensorBoard calls it.
        edges: shape (bins + 1,), ascending.
        counts: shape (bins,), examples between `edges[i]` and `edges[i + 1]`.
    """
    edges = np.asarray(edges, "float64")
    counts = np.asarray(counts, "float64")
    if edges.shape != (counts.size + 1,):
        raise ValueError(
            f"A histogram of {counts.size} bins has {counts.size + 1} edges. "
            f"Received: {edges.shape}."
        )
    rows = np.stack([edges[:-1], edges[1:], counts], axis=1)
    tensor = TensorProto(
        dtype=DT_DOUBLE, tensor_content=rows.tobytes(), tensor_shape=_shape(rows.shape)
    )
    return Summary.Value(tag=tag, tensor=tensor, metadata=_HISTOGRAMS)


def image(tag: str, png: bytes) -> Summary.Value:
    """Return an image summary of one PNG; its size is read from its own header."""
    if png[:8] != _PNG:
        raise ValueError(f"The image for '{tag}' is not a PNG.")
    width, height = struct.unpack(">II", png[16:24])
    content = (str(width).encode(), str(height).encode(), png)
    tensor = TensorProto(dtype=DT_STRING, string_val=content, tensor_shape=_shape((3,)))
    return Summary.Value(tag=tag, tensor=tensor, metadata=_IMAGES)


def text(tag: str, content: bytes, plugin: str = "text") -> Summary.Value:
    """Return a text summary: Markdown, or whatever else `plugin` reads."""
    tensor = TensorProto(dtype=DT_STRING, string_val=(content,), tensor_shape=TensorShapeProto())
    return Summary.Value(tag=tag, tensor=tensor, metadata=_metadata(plugin, DATA_CLASS_TENSOR))


def _shape(sizes: Sequence[int]) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])
