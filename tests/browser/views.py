"""Screenshots of every named page, to be looked at: `make views`.

usage: python -m tests.browser.views FOLDER [NAME …]
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.browser.chromium import browser
from tests.browser.pages import PAGES, written

#: name: width, height, colour scheme.
SCREENS = {
    "desk": (1280, 800, "light"),
    "desk-dark": (1280, 800, "dark"),
    "phone": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
}


def main(folder: Path, names: list[str]) -> None:
    """Write `<name>-<screen>.png` and `<name>.pdf` of each page."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for name in names or PAGES:
            address = written(name, folder)
            for screen, (width, height, scheme) in SCREENS.items():
                page = chromium.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page.goto(address)
                page.screenshot(path=folder / f"{name}-{screen}.png", full_page=True)
                if screen == "desk":
                    page.screenshot(path=folder / f"{name}-first.png")
                    page.emulate_media(media="print")
                    page.pdf(path=folder / f"{name}.pdf", format="A4")
                page.close()
            print(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
