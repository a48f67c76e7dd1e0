"""A Chromium to look at pages with: the one named or installed, else Playwright's own.

`CHROMIUM` names an executable; without it PATH is searched, and last Playwright's own is used,
which is downloaded the first time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def browser() -> Iterator:
    """Open a headless Chromium for as long as this lasts."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise SystemExit("Playwright is not installed: make test-browser does it.") from None
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        opened = _opened(playwright, found)
        yield opened
        opened.close()


def _opened(playwright, executable):
    from playwright.sync_api import Error

    # A container's root has no user namespaces for the sandbox; pages here are our own.
    options = {"executable_path": executable, "args": ["--no-sandbox"]}
    try:
        return playwright.chromium.launch(**options)
    except Error as error:
        if executable is not None:
            raise SystemExit(f"{executable} does not start:\n{error}") from None
    libraries = ["--with-deps"] if os.geteuid() == 0 else []  # else it would ask for a password
    install = [sys.executable, "-m", "playwright", "install", *libraries, "chromium"]
    if subprocess.run(install, check=False).returncode:
        raise SystemExit(
            "There is no Chromium here and none could be downloaded. Install one, or name it: "
            "CHROMIUM=/path/to/chromium make test-browser"
        )
    return playwright.chromium.launch(**options)
