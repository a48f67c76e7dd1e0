"""Anyone's own code in a study: `call: package.module:function`.

The text goes in, the object it names comes out. The current folder is on the import path, so a
study can call a module that stands beside it. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ablate.errors import StudyError, nearest
from ablate.reasons import reason


def resolve(call: str, field: str = "call") -> Any:
    """Return the function or class that `find` finds.

    Raises:
        StudyError: as `find`; or what is found cannot be called.
    """
    found = find(call, field)
    if not callable(found):
        raise StudyError(f"{field}: '{call}' is a {type(found).__name__}, nothing to call.")
    return found


def find(call: str, field: str) -> Any:
    """Import the module of `package.module:name` and return what it calls `name`.

    Args:
        call: the text; `name` may have dots (`module:Class.method`).
        field: the study's field, for messages.

    Raises:
        StudyError: not of that form, no such module, an import that fails, no such name.
    """
    module_name, colon, name = call.partition(":")
    if not (module_name and colon and name):
        raise StudyError(f"{field}: a call is written 'package.module:name'. Received: '{call}'.")
    found: Any = import_module(module_name, field, call)
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each in vars(found) if not each.startswith("_")]
            raise StudyError(
                f"{field}: '{module_name}' has no '{name}'.{nearest(part, known)} "
                f"Received: '{call}'."
            )
        found = getattr(found, part)
    return found


def import_module(module: str, field: str, call: str | None = None) -> Any:
    """Import a module from the current folder or an installed package, and return it.

    Raises:
        StudyError: there is no such module, or its import fails; `call` is what asks for it.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module + ".").startswith(error.name + "."):
            raise StudyError(
                f"{field}: there is no module '{error.name}' for '{call or module}'. It is looked "
                f"for in the current folder ({here}) and in the installed packages."
            ) from None
        raise StudyError(f"{field}: '{module}' needs a module: {error}.") from error
    except Exception as error:
        raise StudyError(f"{field}: importing '{module}' raised {reason(error)}") from error
