"""Study files: YAML in, a `Study` out; a `Study` in, YAML out; and the schema of both.

A file is read as YAML 1.2 (`on`, `off` and `1e-4` mean what they say; a duplicate key is refused),
profile and overrides are laid upon it, and only then it is judged. Every problem is reported at
once, each with its line or the override that said it. `dump_study` writes a file that loads
to an equal study.
"""

from __future__ import annotations

import copy
import io
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from ablate.errors import StudyError, nearest
from ablate.scripts.document import make_importable
from ablate.scripts.study import Asked, asks_for_a_script, completed, document_of, is_script
from ablate.store import Store
from ablate.study.keras_names import LAYER_ARGUMENTS
from ablate.study.overrides import put
from ablate.study.schema.probes import Probe
from ablate.study.study import Study
from ablate.study.trial import FILE_FIELDS
from ablate.study.validation import Path, Problem, dotted, problems_of, study_error

#: A text is a study file up to this many characters, levels and values (aliases expanded).
MOST_TEXT, DEEPEST, MOST_VALUES = 2_000_000, 60, 200_000
MOST_PATH = 500
_TOO_DEEP = f"nested more than {DEEPEST} levels deep, which no study needs. Write it flatter."
_TOO_MANY = f"stands for more than {MOST_VALUES:,} values, aliases expanded. Write fewer."


def load_study(
    path: str | os.PathLike[str],
    overrides: Sequence[str] | Mapping[str, Any] = (),
    profile: str | None = None,
    seeds: str | int | Sequence[int] | None = None,
    *,
    logs: str | os.PathLike[str] = "logs",
    asked: Asked | None = None,
) -> Study:
    """Return the study that a file says.

    Args:
        path: the study file (YAML), or a training script (.py, .ipynb).
        overrides: `"train.epochs=3"`, values in YAML, later ones win; or a mapping of values by
            dotted path.
        profile: one of the file's `profiles`, laid upon it before the overrides.
        seeds: how many ("7", 7) or which ("0,2,5", [0, 2, 5]).
        logs: where what a script hands to its fit is kept.
        asked: what a command says of a script.

    Raises:
        StudyError: the file cannot be read, or something in it cannot be obeyed; every problem with
            its line, its field, what was expected, what was received and the nearest valid name.
    """
    source = FilePath(path)
    if is_script(source):
        document, lines = document_of(source), dict[Path, int]()
        return _study(
            document, lines, source.name, overrides, profile, seeds, FilePath(), logs, asked
        )
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{source}: cannot read a study file: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StudyError(f"{source}: expected a text file in UTF-8.") from None
    document, lines = _read(text, str(source))
    return _study(
        document, lines, str(source), overrides, profile, seeds, source.parent, logs, asked
    )


def parse_study(
    text: str,
    source: str = "study",
    overrides: Sequence[str] | Mapping[str, Any] = (),
    profile: str | None = None,
    seeds: str | int | Sequence[int] | None = None,
    *,
    folder: FilePath | None = None,
) -> Study:
    """Return the study that `text` says; as `load_study`, `source` being its name in messages."""
    document, lines = _read(text, source)
    return _study(document, lines, source, overrides, profile, seeds, folder, "logs", None)


def _study(
    document: dict[str, Any],
    lines: dict[Path, int],
    source: str,
    overrides: Sequence[str] | Mapping[str, Any],
    profile: str | None,
    seeds: str | int | Sequence[int] | None,
    folder: FilePath | None,
    logs: str | os.PathLike[str],
    asked: Asked | None,
) -> Study:
    origins: dict[Path, str] = {}
    problems: list[Problem] = []
    published = copy.deepcopy(document.get("expect"))
    for said, key, value in _changes(document, overrides, profile, seeds, source):
        try:
            origins[put(document, key, value)] = said
        except LookupError as error:
            problems.append(Problem((), str(error.args[0]), said))
    if problems:
        raise study_error(problems)
    _note_changes(document, published, origins)
    if isinstance(document.get("script"), Mapping):
        inputs = Store(logs, str(document.get("study"))).inputs
        if asks_for_a_script(document):
            document = completed(document, folder or FilePath(), inputs, asked or Asked())
        make_importable(inputs, document["script"].get("file"))
    _locate(document, folder)
    try:
        return Study.model_validate(document)
    except ValidationError as error:
        place = _Places(source, lines, origins)
        problems = sorted(problems_of(error, Study, document), key=place.order)
        raise study_error(problems, place=place) from None


def dump_study(study: Study, heading: str = "", without: Collection[str] = ()) -> str:
    """Return YAML that loads to an equal study; `heading` is written above it as a comment.

    Sections `without` are left out: those that the study's script gives when it is loaded.

    `train` and `analysis` are written whole, defaults included, so that the file tells all that
    was decided; the rest as it was said.

    Raises:
        StudyError: the study holds an object (`materialised` turns it into a file).
    """
    if study.in_memory:
        raise StudyError(
            f"study '{study.study}' holds objects, which no file can. "
            "Write study.materialised(folder) instead."
        )
    document = {key: each for key, each in _document(study).items() if key not in without}
    out = io.StringIO()
    out.writelines(f"# {line}".rstrip() + "\n" for line in heading.splitlines())
    _yaml().dump(_laid_out(document), out)
    return out.getvalue()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a study file, for editors and for the documents."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Study.model_json_schema(by_alias=True),
        "title": "An ablate study",
        "description": "A study of what layers do to a Keras network: variants, seeds, data.",
    }
    _help_editors(document["$defs"])
    return document


def _help_editors(definitions: dict[str, Any]) -> None:
    """Name what the models leave open: a variant's fields, the layers most used."""
    fields = definitions["Train"]["properties"]
    definitions["Variant"]["properties"]["train"] |= {
        "properties": {key: {"description": each["description"]} for key, each in fields.items()},
        "additionalProperties": False,
    }
    data = definitions["Variant"]["properties"]["data"]
    data |= {"properties": {"limit": {}, "scale": {}}, "additionalProperties": False}
    placement = definitions["Placement"]["properties"]
    placement["layer"]["examples"] = list(LAYER_ARGUMENTS)
    placement["rate"] = {"type": "number", "description": "Share dropped (Dropout and its kin)."}
    placement["momentum"] = {"type": "number", "description": "Of the moving averages (BN)."}


class _Places:
    """Says where a field was written: "file:line", or the override that set it."""

    def __init__(self, source: str, lines: Mapping[Path, int], origins: Mapping[Path, str]) -> None:
        self._source, self._lines, self._origins = source, lines, origins

    def __call__(self, path: Path) -> str:
        for length in range(len(path), -1, -1):
            if said := self._origins.get(path[:length]):
                return said
            if line := self._lines.get(path[:length]):
                return f"{self._source}:{line}"
        return self._source

    def order(self, problem: Problem) -> int:
        """Return what sorts problems as the file is read, overrides last."""
        said = self(problem.path)
        line = said.rpartition(":")[2]
        return int(line) if said.startswith(self._source) and line.isdigit() else len(self._lines)


# Reading -------------------------------------------------------------------------------------


def _yaml() -> Any:
    """Return a YAML 1.2 reader and writer that keeps lines and knows no tags."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import RoundTripConstructor

    class Constructor(RoundTripConstructor):
        """Leaves dates as the text they are."""

    Constructor.add_constructor(
        "tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node)
    )
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = Constructor
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _read(text: str, source: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """Return the document and the line of every key and element in it."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        _measure(text, source)
        loaded = _yaml().load(text)
    except StudyError:
        raise
    except MarkedYAMLError as error:
        raise StudyError(_yaml_trouble(error, source)) from None
    except (YAMLError, ValueError) as error:
        raise StudyError(f"{source}: not YAML: {error}") from None
    except RecursionError:
        raise StudyError(f"{source}: nested too deeply to be a study.") from None
    if not isinstance(loaded, Mapping):
        raise StudyError(
            f"{source}: expected a mapping with study, data, model, variants. Received: "
            f"{'an empty file' if loaded is None else type(loaded).__name__}. "
            "`ablate init` writes one to start from."
        )
    lines: dict[Path, int] = {}
    return _simple(loaded, (), lines), lines


def _measure(text: str, source: str) -> None:
    """Refuse a text that is no study file by its size, before anything of it is built.

    Aliases are counted as often as they would be expanded: ten lines can stand for gigabytes.

    Raises:
        StudyError: it is too long, too deeply nested, or expands to too many values.
    """
    from ruamel.yaml import events

    if (match := re.search(rf"(?:[\[{{]\s*){{{DEEPEST + 1}}}", text)) is not None:
        line = text.count("\n", 0, match.start()) + 1  # its scanner takes long over these
        raise StudyError(f"{source}:{line}: {_TOO_DEEP}")
    if len(text) > MOST_TEXT:
        raise StudyError(
            f"{source}: {len(text):,} characters are too long for a study file; at most "
            f"{MOST_TEXT:,} are read. Is it the right file?"
        )
    sizes: dict[str, int] = {}  # by anchor, what it stands for included
    open_: list[tuple[str | None, int]] = []  # anchor, values counted before it began
    count = 0
    for event in _yaml().parse(text):
        if isinstance(event, events.AliasEvent):
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, events.ScalarEvent):
            count += 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, events.CollectionStartEvent):
            open_.append((event.anchor, count))
            count += 1
        elif isinstance(event, events.CollectionEndEvent):
            anchor, before = open_.pop()
            sizes |= {anchor: count - before} if anchor else {}
        if len(open_) > DEEPEST or count > MOST_VALUES:
            what = _TOO_DEEP if len(open_) > DEEPEST else _TOO_MANY
            raise StudyError(f"{source}:{event.start_mark.line + 1}: {what}")


def _yaml_trouble(error: Any, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark is not None else ""
    problem = str(error.problem or error).strip().splitlines()[0]
    if "duplicate key" in problem:
        key = problem.split('"')[1] if '"' in problem else "a key"
        return f"{source}{line}: duplicate key '{key}'. Keep one."
    return f"{source}{line}: not YAML: {problem}."


def _simple(value: Any, path: Path, lines: dict[Path, int]) -> Any:
    """Return plain Python values, and note the lines they stand on."""
    if isinstance(value, Mapping):
        marks = getattr(getattr(value, "lc", None), "data", None) or {}
        result = {}
        for key, each in value.items():
            plain = _scalar(key)
            if key in marks:
                lines[(*path, plain)] = marks[key][0] + 1
            result[plain] = _simple(each, (*path, plain), lines)
        return result
    if isinstance(value, list):
        marks = getattr(getattr(value, "lc", None), "data", None) or {}
        for index in range(len(value)):
            if index in marks:
                lines[(*path, index)] = marks[index][0] + 1
        return [_simple(each, (*path, i), lines) for i, each in enumerate(value)]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """Return a plain number, text, truth value or null for ruamel's own kinds."""
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if type(value).__name__ == "ScalarBoolean":
        return bool(value)
    raise StudyError(f"not a value that a study file can have: {value!r}.")


# Overrides -----------------------------------------------------------------------------------


def _changes(
    document: Mapping[str, Any],
    overrides: Sequence[str] | Mapping[str, Any],
    profile: str | None,
    seeds: str | int | Sequence[int] | None,
    source: str,
) -> Iterable[tuple[str, str, Any]]:
    """Yield (who said it, dotted path, value), in the order in which they apply."""
    if profile is not None:
        profiles = document.get("profiles")
        names = list(profiles) if isinstance(profiles, Mapping) else []
        if profile not in names or not isinstance(profiles[profile], Mapping):  # type: ignore[index]
            has = f"It has: {', '.join(names)}." if names else "It has none."
            raise StudyError(f"{source}: no profile '{profile}'.{nearest(profile, names)} {has}")
        for key, value in profiles[profile].items():  # type: ignore[index]
            yield f"--profile {profile}", str(key), value
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            yield f"override {key}", key, value
    else:
        for each in overrides:
            key, value = parse_override(each)
            yield f"--set {each if len(each) <= 200 else each[:200] + '…'}", key, value
    if seeds is not None:
        yield "--seeds", "seeds", _seeds(seeds)


def parse_override(text: str, option: str = "--set") -> tuple[str, Any]:
    """Return the dotted path and the value of `path=value`, the value read as YAML.

    `option` is what messages call it by.

    >>> parse_override("train.learning_rate=1e-4")
    ('train.learning_rate', 0.0001)
    >>> parse_override("probes=[activations]")
    ('probes', ['activations'])
    """
    key, equals, value = text.partition("=")
    if len(key) > MOST_PATH:
        raise StudyError(
            f"{option} {key[:60]}…: a path of {len(key):,} characters leads nowhere. Expected "
            "path=value, as train.epochs=3."
        )
    if not equals or not key.strip():
        raise StudyError(
            f"{option} {text}: expected path=value, as train.epochs=3. Received: {text!r}."
        )
    from ruamel.yaml.error import YAMLError

    try:
        _measure(value, f"{option} {key.strip()}")
        return key.strip(), _simple(_yaml().load(value), (), {})
    except StudyError:
        raise
    except (YAMLError, ValueError):  # a number of 5000 digits is none that Python reads
        raise StudyError(
            f"{option} {text[:200]}: the value is not YAML. Received: {value[:200]!r}. Quote it if "
            "it is text."
        ) from None


def _seeds(seeds: str | int | Sequence[int]) -> int | list[int]:
    if isinstance(seeds, int):
        return seeds
    parts = seeds.split(",") if isinstance(seeds, str) else list(seeds)
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError):  # of 5000 digits, too
        received = repr(seeds) if len(repr(seeds)) < 80 else f"{repr(seeds)[:80]}…"
        raise StudyError(
            f"--seeds: expected how many (7) or which (0,2,5). Received: {received}."
        ) from None
    return numbers[0] if isinstance(seeds, str) and "," not in seeds else numbers


#: Sections that say what is trained.
_TRAINED = frozenset(
    {"data", "model", "script", "train", "variants", "factors", "leave_one_out", "screen"}
)


def _note_changes(document: dict[str, Any], published: Any, origins: Mapping[Path, str]) -> None:
    """Note at each published claim which profile or override trains something else than it is of.

    A claim that a profile brings itself is about what the profile trains.
    """
    claims = document.get("expect")
    changed: dict[str, list[str]] = {}
    for path, said in origins.items():
        if path[0] in _TRAINED and path != ("data", "path"):
            changed.setdefault(said, []).append(dotted(path))
    if not changed or not isinstance(published, list) or not isinstance(claims, list):
        return
    why = ", ".join(
        said if said.startswith("--set") else f"{said}: {', '.join(keys)}"
        for said, keys in changed.items()
    )
    document["expect"] = [
        {**each, "changed_by": why} if isinstance(each, dict) and each in published else each
        for each in claims
    ]


def _locate(document: dict[str, Any], folder: FilePath | None) -> None:
    """Find the files that a study names: where one works, else beside the study file."""
    if folder is None:
        return
    places = [document]
    variants = document.get("variants")
    places += list(variants.values()) if isinstance(variants, dict) else []
    for place in places:
        for section, key in FILE_FIELDS:
            fields = place.get(section) if isinstance(place, dict) else None
            name = fields.get(key) if isinstance(fields, dict) else None
            if isinstance(name, str) and not os.path.exists(name):
                # A study's own files, and what another study left, moved with the logs folder.
                moved = folder.parent.joinpath(*FilePath(name).parts[-3:])
                for found in (folder / name, moved):
                    if found.exists():
                        fields[key] = str(found)  # type: ignore[index]
                        break


# Writing -------------------------------------------------------------------------------------


def _document(study: Study) -> dict[str, Any]:
    """Return what a study says as plain values, without what says nothing."""
    document: dict[str, Any] = {}
    for name, field in Study.model_fields.items():
        value = getattr(study, name)
        if name in ("train", "analysis"):
            fields = value.model_dump(by_alias=True)
            document[name] = {key: each for key, each in fields.items() if each is not None}
        elif value != field.get_default():
            document[name] = _sparse(value)
    return document


def _sparse(value: Any) -> Any:
    """Return plain values, leaving out of each mapping what is the default."""
    if isinstance(value, BaseModel):
        fields = value.model_dump(by_alias=True, exclude_defaults=True)
        return fields["name"] if isinstance(value, Probe) and list(fields) == ["name"] else fields
    if isinstance(value, Mapping):
        return {key: _sparse(each) for key, each in value.items()}
    return [_sparse(each) for each in value] if isinstance(value, list | tuple) else value


#: Text that YAML takes for itself wherever it stands; all other text is written in quotes.
_PLAIN_TEXT = re.compile(r"\w(?:[\w ./+*=-]|:(?=\w))*", re.ASCII)


def _laid_out(value: Any, depth: int = 0) -> Any:
    """Return ruamel containers: small ones in a line, as a person writes them."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        laid = CommentedMap(
            (_laid_out(key), _laid_out(each, depth + 1)) for key, each in value.items()
        )
        if depth > 1 and len(str(value)) < 80:
            laid.fa.set_flow_style()
        return laid
    if isinstance(value, list | tuple):
        items = CommentedSeq(_laid_out(each, depth + 1) for each in value)
        if len(str(value)) < 80:
            items.fa.set_flow_style()
        return items
    if isinstance(value, str) and not _PLAIN_TEXT.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value
