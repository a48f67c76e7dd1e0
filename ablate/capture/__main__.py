"""The process that runs a script: `python -m ablate.capture REQUEST`.

REQUEST is a JSON file: the script, its arguments, the number of the fit that is wanted (null: the
first), whether to go on past fits, the numbers of those to train in full, and the folder to write
to. `capture.json` there says what came of it, `at.json` where the script is.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ablate.capture.source import Source, read
from ablate.disk import write_text
from ablate.suppress_stderr import quiet_start

#: Seconds between two notes of where the script is, and what it has to end once it was stopped.
_PULSE, _GRACE = 0.25, 3.0


def main() -> None:
    """Run the script of the request."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(request["folder"])
    try:
        source = read(Path(request["file"]))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        end = {"kind": "unread", "error": str(error), "line": line}
        write_text(folder / "capture.json", json.dumps({"fits": [], "end": end}))
        return
    with quiet_start():
        from ablate.capture.run import Run
    seen: dict[str, None] = {}
    _note_reading(seen, folder)
    _pulse(folder / "at.json", source)
    Run(source, request, seen, stopped=_end_soon).go()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads and exit handlers of the script have no part in this any more


def _note_reading(seen: dict[str, None], folder: Path) -> None:
    """Note the files and folders of the user that the script reads."""
    libraries = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]))
    apart = (*libraries, str(folder.resolve()), "/proc", "/sys", "/dev", "/etc")
    searched = {os.path.abspath(each) for each in sys.path}  # imports list these

    def note(event: str, arguments: Any) -> None:
        if event not in ("open", "os.listdir", "os.scandir") or not arguments:
            return
        path = arguments[0]
        if event == "open" and (not isinstance(path, str) or "w" in str(arguments[1] or "r")):
            return
        place = os.path.abspath(path if isinstance(path, str) else ".")
        if place.startswith(apart) or "__pycache__" in place:
            return
        if event == "open" or place not in searched:
            seen.setdefault(place)

    sys.addaudithook(note)


def _pulse(file: Path, source: Source) -> None:
    """Say again and again in which line of the script the main thread is."""
    main_thread = threading.main_thread().ident or 0
    began = time.monotonic()

    def beat() -> None:
        while True:
            frame = sys._current_frames().get(main_thread)
            while frame is not None and frame.f_code.co_filename != str(source.file):
                frame = frame.f_back
            if frame is not None:
                seconds = time.monotonic() - began
                place = {"place": source.place(frame.f_lineno), "seconds": seconds}
                write_text(file, json.dumps(place))
            time.sleep(_PULSE)

    threading.Thread(target=beat, daemon=True).start()


def _end_soon() -> None:
    """End the process even if the script goes on after it was stopped."""
    timer = threading.Timer(_GRACE, os._exit, (0,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()
