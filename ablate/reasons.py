"""The reason of a foreign error, without its dump.

An exception, or the text of one with or without its traceback, enters; its type and what it says
leave, in one to three lines. Keras, TensorFlow and NumPy wrap the sentence that matters in frames,
configurations, argument lists and node names: the first line is often a heading, the last one
often a bullet. Here the wrapping is known by its wording and taken off.
"""

from __future__ import annotations

import re
import traceback

#: Lines of a reason, and the longest of them: past that it is a dump.
LINES = 3
LONGEST = 400

_TRACEBACK = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_RAISED = re.compile(r"(?P<kind>[A-Za-z_][\w.<>]*)(?:: ?(?P<said>.*))?", re.DOTALL)
_FRAME = re.compile(r'^\s+File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<name>.+?))?\s*\*?$')

#: Terminal sequences and control characters; what stays are line ends and tabs.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\](?:[^\x07\x1b\n]*(?:\x07|\x1b\\))?|.)"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
#: What process pools put around the traceback of a worker, and margins of exception groups.
_REMOTE = re.compile(r'^[\w.]*RemoteTraceback: *\n?|^"""\n|^\'\n', re.MULTILINE)
_MARGIN = re.compile(r"^ *(?:\| ?|\+-[-+]+.*|\+ ?)", re.MULTILINE)

#: Keras says which call failed around the sentence, and what the call was given after it.
_CALLED = re.compile(
    r"Exception encountered when calling (?P<call>.+?)\.\n\n(?P<said>.*?)"
    r"(?:\n\nArguments received by .*|\Z)",
    re.DOTALL,
)
#: Headings: what matters follows them.
_HEADINGS = re.compile(
    r".*(?:Error encountered|Exception encountered"
    r"|Example error message for object (?P<object><\w+ name=[^,>]+)[^\n]*?):\s+(?=\S)",
    re.DOTALL,
)
#: Of a configuration that precedes the sentence: whose it is.
_MAKING = re.compile(
    r"Error when deserializing class '(?P<cls>\w+)' using config=\{(?:'name': '(?P<name>[^']*)')?"
)
#: Dumps: what matters stands before them.
_DUMPS = re.compile(
    r"\s*(?:Full object config: |List of objects that could not be loaded:|config=\{"
    r"|Arguments received by |Target variable: <Variable ).*",
    re.DOTALL,
)
_NODE = re.compile(r"Detected at node (?P<node>\S+) defined at")
_SYMBOL = re.compile(r"'?\{\{node (?P<name>[^}]+)\}\}(?: = [^']*')?")
_NOISE = re.compile(
    r"\{\{function_node [^}]*\}\} ?|^\s*\[\[(?:\{\{node )?[^\]]*\]\]|\[Op:[^\]]*\](?: name:)?"
    r"|\[_XlaMustCompile[^\]]*\]"
    r"|<stack traces unavailable>|^Graph execution error:$|^Detected at node .*$"
    r"|^\d+ root error\(s\) found\.$|^ *\(0\) [A-Z_]+: *|\n *\(1\) .*\Z",
    re.MULTILINE,
)


def reason(error: BaseException | str) -> str:
    """Return what an error says: its type and its sentence, in one to three lines.

    An `AblateError` has words of its own, which are returned as they are. A text may be a
    traceback, words before one included, or a message alone.

    >>> reason(ValueError("no such layer"))
    'ValueError: no such layer'
    """
    if any(kind.__module__ == "ablate.errors" for kind in type(error).__mro__):
        return str(error)
    if isinstance(error, BaseException):
        error = (
            "".join(traceback.format_exception(error))
            if error.__traceback__
            else f"{type(error).__name__}: {error}"
        )
    text = _REMOTE.sub("", printable(error)).strip("\n")
    if "Exception Group Traceback" in text:
        text = _MARGIN.sub("", text)
    if _TRACEBACK not in text:
        return _short(_sentence("", text)) or "no reason recorded"
    before, _, text = text.partition(_TRACEBACK)
    chain = f"{_TRACEBACK}{text}".split(_CAUSE)
    said, cause = _raised(chain[-1]), _raised(chain[0])
    if cause.partition(": ")[2] not in said:
        said += f"\n(from {' '.join(cause.split())})"
    return _short(f"{before.removesuffix('Exception Group ').strip()}\n{said}")


def printable(text: str) -> str:
    """Return a text without terminal sequences and control characters; line ends and tabs stay.

    >>> printable(f"red: {chr(27)}[31mno{chr(27)}[0m")
    'red: no'
    """
    return _ESCAPES.sub("", text)


def sentence(error: BaseException | str) -> str:
    """Return the reason on one line, closed by a full stop: other sentences may follow it.

    >>> sentence(ValueError("no such layer"))
    'ValueError: no such layer.'
    """
    said = " ".join(reason(error).split())
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def _raised(block: str) -> str:
    """Return type and sentence of the error that a traceback ends with."""
    lines = block.rpartition(_TRACEBACK)[2].splitlines()
    starts = (at for at, line in enumerate(lines) if line[:1].strip() and _RAISED.fullmatch(line))
    if (start := next(starts, None)) is None:
        return _sentence("", block)
    match = _RAISED.fullmatch("\n".join(lines[start:]).strip())
    assert match is not None  # its first line does
    kind = match["kind"].rpartition(".")[2]
    said = _sentence(kind, match["said"] or "")
    if not said or kind in ("SyntaxError", "IndentationError", "TabError"):
        return f"{kind}: {said}".rstrip(": ") + _where(lines[:start])
    return f"{kind}: {said}"


def _where(frames: list[str]) -> str:
    """Name the place of an error that says nothing else."""
    found = [match for line in frames if (match := _FRAME.match(line))]
    if not found:
        return ""
    file = re.split(r"[/\\]", found[-1]["file"])[-1]
    return f" (line {found[-1]['line']} of {file})"


def _sentence(kind: str, said: str) -> str:
    """Take the wrapping of Keras and TensorFlow off a message."""
    places = []
    if said.startswith("in user code:"):
        said = _user_code(said, kind)
    while match := _CALLED.search(said):
        places.append(match["call"])
        said = said[: match.start()] + match["said"]
    if "in user code:" in said:
        said = _user_code(said, kind)
    if (match := _HEADINGS.match(said)) is not None:
        for made in _MAKING.finditer(said):
            places.append(f"{made['cls']} '{made['name']}'" if made["name"] else made["cls"])
        places += [f"{match['object']}>"] if match["object"] else []
        said = said[match.end() :]
    if (match := _NODE.search(said)) is not None:
        *scopes, operation = match["node"].removeprefix("StatefulPartitionedCall/").split("/")
        places.append(
            "/".join(scopes) if scopes[-1:] == [operation] else "/".join([*scopes, operation])
        )
    said = "\n".join(line for line in said.splitlines() if not _FRAME.match(line))
    said = _SYMBOL.sub(lambda match: match["name"], _NOISE.sub("", said))
    said = _DUMPS.sub("", said).strip()
    return f"{said} (in {places[-1]})" if places and said else said


def _user_code(said: str, kind: str) -> str:
    """Return what AutoGraph quotes after the frames of the user's own code."""
    quoted = said.rpartition("in user code:")[2].splitlines()
    kept, frame = [], False
    for line in quoted:
        if _FRAME.match(line):
            frame = True
        elif frame and line.startswith(" " * 8):
            frame = False  # the source line of a frame
        else:
            kept.append(line.removeprefix("    "))
    text = "\n".join(kept).strip()
    return re.sub(rf"^(?:[\w.]+\.)?{re.escape(kind)}: ", "", text) if kind else text


def _short(text: str) -> str:
    """Keep the lines that say something: of many, the first ones and the last."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], lines[-1]]
    return "\n".join(
        line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…" for line in lines
    )
