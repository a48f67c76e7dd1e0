"""The tab "Ablation" of TensorBoard: the report on a study as it now is, from its store.

TensorBoard finds the plugin by its entry point (setup.cfg) and asks it for a small ES module
(`tab.js`), which shows the page of a study in a frame and loads it again when there is news. It
shows the studies that are below or above the logdir; what is asked for by name is looked up among
them, so no other file is ever read. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Request, Response

#: How far below a logdir studies are looked for, and where there are none.
DEPTH = 3
_NO_STUDIES = frozenset({"trials", "work", "tensorboard", "inputs", "plots"})

_SCRIPT = re.compile(r"<script\b[^>]*>(.*?)</script>", re.DOTALL)


class AblationTab(base_plugin.TBPlugin):
    """The plugin as TensorBoard wants it: its routes, whether it has data, its module."""

    plugin_name = "ablate"

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._logdir = context.logdir or ""
        self._drawing = threading.Lock()
        self._pages: dict[Path, tuple[str, str]] = {}

    def get_plugin_apps(self) -> Mapping[str, Callable[..., Any]]:
        """Return what answers each route."""
        routes = {"/tab.js": self._module, "/studies": self._studies, "/page": self._page}
        return {route: Request.application(answer) for route, answer in routes.items()}

    def is_active(self) -> bool:
        """Return whether there is a study to show."""
        return any(True for _ in studies_near(self._logdir))

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Return the module and the name of the tab."""
        return base_plugin.FrontendMetadata(
            es_module_path="/tab.js", tab_name="Ablation", disable_reload=True
        )

    def _module(self, request: Request) -> Response:
        source = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
        return http_util.Respond(request, source, "text/javascript")

    def _studies(self, request: Request) -> Response:
        """Answer with the studies, the latest first, and what tells their states apart."""
        found = {name: _state(folder) for name, folder in self._found().items()}
        latest = sorted(found, key=lambda name: found[name], reverse=True)
        listed = [{"name": each, "state": found[each]} for each in latest]
        return http_util.Respond(request, listed, "application/json")

    def _page(self, request: Request) -> Response:
        folder = self._found().get(request.args.get("study", ""))
        if folder is None:
            raise NotFound()
        with self._drawing:
            state = _state(folder)
            if self._pages.get(folder, ("",))[0] != state:
                self._pages[folder] = (state, page(folder))
            text = self._pages[folder][1]
        sums = [
            b64encode(hashlib.sha256(each.encode()).digest()).decode()
            for each in _SCRIPT.findall(text)
        ]
        return http_util.Respond(request, text, "text/html", csp_scripts_sha256s=sums or None)

    def _found(self) -> dict[str, Path]:
        """Return the studies by a name that none other has."""
        folders = sorted(studies_near(self._logdir))
        names = [each.name for each in folders]
        return {each.name if names.count(each.name) == 1 else str(each): each for each in folders}


def studies_near(logdir: str) -> Iterator[Path]:
    """Yield the folders of the studies that a logdir is in, has below it, or has links into."""
    if not logdir or not os.path.isdir(logdir):
        return
    top = Path(logdir).resolve()
    for each in (top, *top.parents):
        if (each / "study.yaml").is_file():
            yield each
            return
    seen = set()
    for folder, inner, files in os.walk(top):
        place = Path(folder)
        inside = place
        if "study.yaml" not in files:
            links = [each for each in files if (place / each).is_symlink()]
            inside = (place / links[0]).resolve().parent if links else place
            inside = next((p for p in (inside, *inside.parents) if _is_study(p)), inside)
        if _is_study(inside):
            inner.clear()
            if inside not in seen:
                seen.add(inside)
                yield inside
        elif len(place.relative_to(top).parts) >= DEPTH:
            inner.clear()
        else:
            inner[:] = [each for each in inner if each[0] != "." and each not in _NO_STUDIES]


def page(folder: Path) -> str:
    """Return the report on the study of a folder as HTML, or why there is none."""
    from ablate.cli.report import read
    from ablate.errors import AblateError
    from ablate.report import files

    try:
        return files.page(read(folder.name, folder.parent, by="board"))
    except AblateError as error:
        return f"<!doctype html><meta charset='utf-8'><p>{html.escape(str(error))}</p>"


def _is_study(folder: Path) -> bool:
    return (folder / "study.yaml").is_file()


def _state(folder: Path) -> str:
    """Return what changes when something of a study's store does; later ones sort behind."""
    times = [0]
    for each in (folder / "study.yaml", folder / "search.csv", folder / "trials"):
        try:
            times.append(each.stat().st_mtime_ns)
        except OSError:
            continue  # not there yet
    return f"{max(times):020d}"
