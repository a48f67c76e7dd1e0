"""The factories that a study can name, and the arguments of each.

A table, not code that builds: names, types, defaults and a sentence for each argument are
known here without Keras. `ablate.models` has one builder for each; names of activations,
initializers and applications are Keras's own, and tests compare them with Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ablate.errors import nearest
from ablate.study.keras_names import ACTIVATIONS, INITIALIZERS
from ablate.study.registry import Kind, Registry
from ablate.study.schema.strict import Strict


def _activation(name: str) -> str:
    if name in ACTIVATIONS or ">" in name:
        return name
    raise ValueError(
        f"There is no activation '{name}'.{nearest(name, ACTIVATIONS)} "
        f"There are: {', '.join(ACTIVATIONS)}; one of your own is registered with "
        "keras.saving and written 'package>name'."
    )


def _initializer(value: str | dict[str, Any]) -> str | dict[str, Any]:
    name = value.get("name") if isinstance(value, dict) else value
    if not isinstance(name, str):
        raise ValueError("An initializer with arguments has a 'name' beside them.")
    if ">" in name:
        return value
    if name not in INITIALIZERS:
        raise ValueError(
            f"There is no initializer '{name}'.{nearest(name, INITIALIZERS)} "
            f"There are: {', '.join(INITIALIZERS)}."
        )
    for key in value if isinstance(value, dict) else ():
        if key == "seed":
            raise ValueError("An initializer's seed is the trial's; leave 'seed' out.")
        if key != "name" and key not in INITIALIZERS[name]:
            takes = ", ".join(INITIALIZERS[name]) or "nothing beside its name"
            raise ValueError(
                f"'{key}' is not an argument of {name}.{nearest(key, INITIALIZERS[name])} "
                f"It takes: {takes}."
            )
    return value


Activation = Annotated[str, AfterValidator(_activation), Field(examples=list(ACTIVATIONS))]
Initializer = Annotated[
    str | dict[str, Any], AfterValidator(_initializer), Field(examples=list(INITIALIZERS))
]
Count = Annotated[int, Field(ge=1)]

#: Every model that a study can name.
MODELS = Registry()


class Network(Strict):
    """What every factory written here takes."""

    activation: Activation = Field(default="relu", description="Of every hidden layer.")
    kernel_initializer: Initializer = Field(
        default="glorot_uniform",
        description="A Keras name, {name: …, its arguments}, or pytorch: uniform in ±1/√fan_in.",
    )
    bias_initializer: Initializer = Field(
        default="zeros", description="As kernel_initializer; pytorch: uniform in ±1/√fan_in."
    )
    use_bias: bool = Field(default=True, description="Whether hidden layers have a bias.")
    output_activation: Literal["auto", "softmax", "sigmoid", "linear"] = Field(
        default="auto",
        description="auto: softmax for classes, linear for numbers; sigmoid: one unit for two "
        "classes; linear: logits.",
    )


@MODELS.register("mlp", "ablate.models.networks:mlp", "Dense layers.")
class Mlp(Network):
    """Dense layers; inputs of any shape are flattened. Layers: dense1 …, output."""

    units: list[Count] = Field(default=[128, 64], description="Width of each hidden layer.")


@MODELS.register("cnn", "ablate.models.networks:cnn", "Convolutions and pools, then dense layers.")
class Cnn(Network):
    """Convolutions, each followed by a pool, then dense layers; by the rank of the input 1-D,
    2-D or 3-D. Layers: conv1, pool1 …, flatten, dense1 …, output."""

    filters: list[Count] = Field(default=[16, 32], description="Filters of each convolution.")
    kernel_size: Count | list[Count] = Field(
        default=3, description="Of every convolution, or one for each."
    )
    strides: Count | list[Count] = Field(
        default=1, description="Of every convolution, or one for each."
    )
    padding: Literal["same", "valid"] = Field(default="same", description="Of every convolution.")
    pool_size: Count | list[Count] = Field(
        default=2, description="After every convolution, or one for each; 1 means no pool."
    )
    pooling: Literal["max", "average"] = Field(default="max", description="Kind of the pools.")
    head: Literal["flatten", "average"] = Field(
        default="flatten", description="How maps become a vector: all values, or their means."
    )
    dense: list[Count] = Field(default=[64], description="Width of each dense hidden layer.")


@MODELS.register("lenet", "ablate.models.networks:lenet", "LeNet-5.")
class Lenet(Network):
    """LeNet-5: convolutions of 6 and 16 filters, dense layers of 120 and 84 (LeCun et al. 1998).

    The first convolution keeps the size; the second does not, unless the maps are smaller than
    its kernel. Layers: conv1, pool1, conv2, pool2, flatten, dense1, dense2, output.
    """

    filters: list[Count] = Field(
        default=[6, 16], min_length=2, max_length=2, description="Filters of the two convolutions."
    )
    dense: list[Count] = Field(default=[120, 84], description="Width of each dense hidden layer.")
    kernel_size: Count = Field(default=5, description="Of both convolutions.")
    pooling: Literal["max", "average"] = Field(
        default="average", description="Kind of the pools; the original averages."
    )


@MODELS.register(
    "vgg", "ablate.models.networks:vgg", "Blocks of 3×3 convolutions, each closed by a pool."
)
class Vgg(Network):
    """Blocks of 3×3 convolutions, each closed by a max pool (Simonyan and Zisserman 2015).

    Layers: block1_conv1 …, block1_pool …, flatten, fc1 …, output.
    """

    blocks: list[Annotated[list[Count], Field(min_length=1)]] = Field(
        default=[[32, 32], [64, 64]], min_length=1, description="Filters, one list per block."
    )
    dense: list[Count] = Field(default=[128], description="Width of each dense hidden layer.")


@MODELS.register("resnet", "ablate.models.networks:resnet", "The small residual network for CIFAR.")
class Resnet(Network):
    """The small residual network for CIFAR (He et al. 2016, section 4.2), without its BN.

    With n blocks in each of three stages it has 6n + 2 layers. Layers: conv1,
    stage1_block1_conv1, stage1_block1_conv2, stage2_block1_shortcut (where shapes differ),
    stage1_block1_add, stage1_block1_activation …, pool, output.
    """

    filters: list[Count] = Field(
        default=[16, 32, 64], min_length=1, description="Filters of each stage."
    )
    blocks: Count = Field(default=3, description="Residual blocks in each stage.")


@MODELS.register(
    "lstm", "ablate.models.networks:lstm", "A recurrent layer over time, then dense layers."
)
class Lstm(Network):
    """A recurrent layer over time, then dense layers; images are read row by row.

    Layers: rows (where there is something to reshape), lstm1 …, dense1 …, output.
    """

    units: list[Count] = Field(
        default=[32], min_length=1, description="Width of each recurrent layer."
    )
    dense: list[Count] = Field(default=[32], description="Width of each dense hidden layer.")


@MODELS.register(
    "transformer", "ablate.models.networks:transformer", "A small transformer over a sequence."
)
class Transformer(Network):
    """Blocks of self-attention and two dense layers, each with its sum, over a sequence.

    Images are read row by row; positions are learnt, and there is no normalization but what
    placements add. Layers: rows (where there is something to reshape), embedding, block1_attention,
    block1_add1, block1_dense1, block1_dense2, block1_add2 …, pool, output.
    """

    width: Count = Field(default=32, description="Of each token.")
    attentions: Count = Field(default=2, description="Side by side in each block: its heads.")
    blocks: Count = Field(default=1, description="How many.")
    hidden: Count = Field(default=64, description="Width of the first dense layer of a block.")


@MODELS.register(
    "autoencoder", "ablate.models.networks:autoencoder", "Dense layers to a code and back."
)
class Autoencoder(Network):
    """Dense layers down to a code and back up to the input; use it with data.target: inputs.

    units [256] on 784 inputs is 784-256-784, [512, 64] is 784-512-64-512-784. Here
    output_activation auto is linear. Layers: encoder1 …, decoder1 …, output.
    """

    units: list[Count] = Field(
        default=[256], min_length=1, description="Width of each encoding layer, the code last."
    )


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`: its function, its module, its usual image size."""

    function: str
    module: str
    size: int


#: Every network of `keras.applications` by its name in lower case.
APPLICATIONS: dict[str, Application] = {
    function.lower(): Application(function, module, size)
    for module, functions in {
        "convnext": {
            "ConvNeXtTiny": 224, "ConvNeXtSmall": 224, "ConvNeXtBase": 224,
            "ConvNeXtLarge": 224, "ConvNeXtXLarge": 224,
        },
        "densenet": {"DenseNet121": 224, "DenseNet169": 224, "DenseNet201": 224},
        "efficientnet": {
            "EfficientNetB0": 224, "EfficientNetB1": 240, "EfficientNetB2": 260,
            "EfficientNetB3": 300, "EfficientNetB4": 380, "EfficientNetB5": 456,
            "EfficientNetB6": 528, "EfficientNetB7": 600,
        },
        "efficientnet_v2": {
            "EfficientNetV2B0": 224, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260,
            "EfficientNetV2B3": 300, "EfficientNetV2S": 384, "EfficientNetV2M": 480,
            "EfficientNetV2L": 480,
        },
        "inception_resnet_v2": {"InceptionResNetV2": 299},
        "inception_v3": {"InceptionV3": 299},
        "mobilenet": {"MobileNet": 224},
        "mobilenet_v2": {"MobileNetV2": 224},
        "mobilenet_v3": {"MobileNetV3Small": 224, "MobileNetV3Large": 224},
        "nasnet": {"NASNetMobile": 224, "NASNetLarge": 331},
        "resnet": {"ResNet50": 224, "ResNet101": 224, "ResNet152": 224},
        "resnet_v2": {"ResNet50V2": 224, "ResNet101V2": 224, "ResNet152V2": 224},
        "vgg16": {"VGG16": 224},
        "vgg19": {"VGG19": 224},
        "xception": {"Xception": 299},
    }.items()
    for function, size in functions.items()
}  # fmt: skip


class WithHead(Strict):
    """A network that comes with a last layer of its own."""

    head: Literal["keep", "replace"] | None = Field(
        default=None,
        description="keep its last layer, or replace it by a new one for the data; by default a "
        "file's is replaced only where its shape cannot fit, an application's where the classes "
        "differ.",
    )


class Saved(WithHead):
    """A saved model, with its own last layer where that fits the data."""


class Transfer(WithHead):
    """A network of keras.applications, its top fitted to the data.

    The network's own top stays where the images have its usual size (its last layer is
    exchanged when the classes differ); otherwise the maps are pooled and new layers follow:
    pool, dense1 …, output.
    """

    top: Literal["auto", "own", "pooled"] = Field(
        default="auto", description="own: keep the dense layers; pooled: replace them by a pool."
    )
    pooling: Literal["average", "max", "flatten"] = Field(
        default="average", description="How the maps become a vector when the top is replaced."
    )
    dense: list[Count] = Field(
        default=[], description="Widths of dense hidden layers between the pool and the output."
    )
    alpha: float | None = Field(
        default=None, gt=0, description="Width multiplier, MobileNet family only."
    )
    output_activation: Literal["auto", "softmax", "sigmoid", "linear"] = Field(
        default="auto", description="Of a new output layer; auto: softmax, or linear for numbers."
    )


class Trained(WithHead):
    """Which trial of another study left the network."""

    variant: str | None = Field(default=None, description="Its variant; default: its baseline.")
    seed: int | None = Field(default=None, ge=0, description="Its seed; default: its first.")


MODELS.add(
    Kind(
        "keras.applications", "name", tuple(APPLICATIONS), Transfer,
        "A network of keras.applications.", shared=("weights",),
    ),
    Kind("file", "file", None, Saved, "A saved model: .keras, .h5.", shared=("weights", "head")),
    Kind("call", "call", None, None, "package.module:function, which returns a model."),
    Kind("study", "study", None, Trained, "The network that a trial of another study left."),
)  # fmt: skip


def factories() -> dict[str, type[Network]]:
    """Return the factories by name: networks built here or by an installed package."""
    return {
        kind.title: kind.arguments
        for kind in MODELS.values()
        if kind.arguments is not None and issubclass(kind.arguments, Network)
    }
