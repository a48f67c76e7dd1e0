"""Give layers of a model other arguments, or put other layers in their place.

`change` keeps a layer's class and weights; `replace` keeps its name and its place, and what the
new layer has in common with it. Both decide first and carry out then (`ablate.surgery.exchange`).

    new = change(model, "Dropout", rate=0.2)
    new = change(model, "recurrent", dropout=0.2)
    new = replace(model, "BatchNormalization", "GroupNormalization", groups=8, calibrate=images)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import keras

from ablate.errors import StudyError, SurgeryError
from ablate.study.schema.placement import Change, Replacement, Selector
from ablate.surgery.exchange import carry_out, plan_changes, plan_replacements
from ablate.surgery.layer_factory import recipe_of

_Asked = TypeVar("_Asked", Change, Replacement)


def change(
    model: keras.Model,
    where: Selector | Change | Sequence[Change],
    except_: Selector | None = None,
    *,
    name: str | None = None,
    **arguments: Any,
) -> keras.Model:
    """Return a new model whose layers have other arguments; weights stay, of every layer.

    Rates, momenta, regularizers and `trainable` leave what the model computes at inference as it
    is. Another epsilon of a BatchNormalization moves its variance, so that their sum stays, and
    `renorm=True` starts from its moving statistics. Other arguments may change the function:
    certify says by how much. `remove` brings the former arguments back.

    Args:
        model: A functional or Sequential model, nested to any depth.
        where: Which layers (see `ablate.surgery.hosts`); or a `Change`, or a list of them.
        except_: Which of them not.
        name: A name for the change, kept in the record.
        arguments: What the layers' constructors take, such as `rate`, `momentum`, `dropout`; of
            wrapped layers and cells, too. `trainable` may also be `parameters` or `statistics`
            of a BatchNormalization: the part that learns alone.

    Raises:
        SurgeryError: a selector matches nothing, no layer takes an argument, a value is refused,
            or weights would not fit the new layer.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((8,)), keras.layers.Dropout(0.5, name="drop"), keras.layers.Dense(2)
        ... ])
        >>> change(model, "Dropout", rate=0.2).get_layer("drop").rate
        0.2
    """
    if isinstance(where, Change):
        where = [where]
    if isinstance(where, list | tuple) and any(isinstance(each, Change) for each in where):
        return carry_out(model, plan_changes(model, _only(where, Change, arguments)))
    fields: dict[str, Any] = {"where": _listed(where), "except": _listed(except_), "name": name}
    return carry_out(model, plan_changes(model, [_made(Change, fields, arguments)]))


def replace(
    model: keras.Model,
    where: Selector | Replacement | Sequence[Replacement],
    layer: str | type[keras.Layer] | keras.Layer | None = None,
    except_: Selector | None = None,
    *,
    name: str | None = None,
    calibrate: Any = None,
    **layer_arguments: Any,
) -> keras.Model:
    r"""Return a new model with other layers in the place of some; all others keep their weights.

    The new layer has the name of the old one, and its arguments where it takes them and they are
    not given. Variables of the same name and shape are copied. For BatchNormalization →
    `FrozenAffine`, and → `GhostBatchNormalization`, the function at inference stays. GroupNorm and
    LayerNorm never compute what BN does: without images they get its gamma and beta, with images
    those that keep the moments of each channel, layer by layer:

    .. math:: \gamma = \pm \sigma_{old} / \sigma_{normalized}, \qquad
        \beta = \mu_{old} - \gamma \mu_{normalized}

    The certificate (`certify`) says how far the outputs moved; `remove` brings the old layer back.

    Args:
        model: A functional or Sequential model, nested to any depth.
        where: Which layers (see `ablate.surgery.hosts`); or a `Replacement`, or a list of them.
        layer: The class that takes their place, by name (or the class, or a layer as a pattern).
        except_: Which of them not.
        name: A name for the replacement, kept in the record.
        calibrate: Images (as the model takes them) on which gamma and beta are chosen. One pass
            over them for each replaced layer. With replacements: those with `calibrate=True`.
        layer_arguments: The new layer's own arguments, such as `groups`.

    Raises:
        SurgeryError: a selector matches nothing, or no layer can be replaced so.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((8, 8, 4)), keras.layers.BatchNormalization(name="bn")
        ... ])
        >>> new = replace(model, "BatchNormalization", "GroupNormalization", groups=2)
        >>> type(new.get_layer("bn")).__name__
        'GroupNormalization'
    """
    if isinstance(where, Replacement):
        where = [where]
    if isinstance(where, list | tuple) and any(isinstance(each, Replacement) for each in where):
        asked = _only(where, Replacement, layer_arguments)
        return carry_out(model, plan_replacements(model, asked), images=calibrate)
    if layer is None:
        raise SurgeryError("replace: expected the layer that takes the place. Received: none.")
    fields: dict[str, Any] = {
        "where": _listed(where),
        "except": _listed(except_),
        "name": name,
        "calibrate": calibrate is not None,
    }
    recipes = None
    if isinstance(layer, str):
        asked = [_made(Replacement, {"layer": layer, **fields}, layer_arguments)]
    else:
        recipes = [recipe_of(layer, layer_arguments)]
        plain = _made(Replacement, {"layer": "Layer", **fields}, {})
        asked = [plain.model_copy(update={"layer": recipes[0].layer_class})]
    return carry_out(model, plan_replacements(model, asked, recipes=recipes), images=calibrate)


def _only(given: Sequence[Any], kind: type[_Asked], arguments: dict[str, Any]) -> list[_Asked]:
    """Return the list, if it is of one kind and has all that there is to say."""
    if arguments:
        raise SurgeryError(
            f"Arguments of a layer belong in its {kind.__name__}. Received besides them: "
            f"{', '.join(arguments)}."
        )
    if wrong := [each for each in given if not isinstance(each, kind)]:
        raise SurgeryError(f"Expected a list of {kind.__name__}. Received in it: {wrong[0]!r}.")
    return list(given)


def _made(kind: type[_Asked], fields: dict[str, Any], arguments: dict[str, Any]) -> _Asked:
    try:
        return kind(**fields, **arguments)
    except StudyError as trouble:
        raise SurgeryError(str(trouble).removeprefix(f"{kind.__name__}: ")) from trouble


def _listed(selector: Any) -> Any:
    return list(selector) if isinstance(selector, tuple) else selector
