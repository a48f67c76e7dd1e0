"""The report as files beside the study: the page, the text, and every plot on its own.

Each plot is drawn once and saved as SVG, with Markdown as PNG, too, which every viewer shows.
Files are written whole or not at all; a plot that is no longer drawn is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.disk import write_bytes, write_text
from ablate.report.document import Plot, Section
from ablate.report.html import as_html, page_of
from ablate.report.markdown import as_markdown, as_sections, escape, fenced
from ablate.report.report_data import ReportData

if TYPE_CHECKING:
    from ablate.report.atlas_data import AtlasReport
    from ablate.report.reproductions import Reproduction


def draw_all(report: ReportData) -> tuple[list[Plot], list[Section]]:
    """Return the study's plots, and the sections of its probes with theirs."""
    from ablate.report.plots import draw
    from ablate.report.probe_sections import sections

    return list(draw(report)), list(sections(report))


def page(report: ReportData) -> str:
    """Return the page of a study: drawn, self-contained, ready to be served or saved."""
    return as_html(report, *draw_all(report))


def write_html(report: ReportData, page: Path, plots: Path | None = None) -> Path:
    """Write the page, and each plot as SVG under the folder `plots`; return the page's path."""
    drawn, sections = draw_all(report)
    write_text(page, as_html(report, drawn, sections))
    if plots is not None:
        write_plots(_every(drawn, [*sections, *report.sections]), plots, ("svg",))
    return page


def write_markdown(report: ReportData, text: Path, plots: Path) -> Path:
    """Write the Markdown text that shows the plots under the folder `plots`; return its path."""
    drawn, sections = draw_all(report)
    every = _every(drawn, [*sections, *report.sections])
    write_plots(every, plots)
    folder = _relative(plots, text.parent)
    addresses = {each.name: f"{folder}/{each.name}.png" for each in every}
    write_text(text, as_markdown(report, drawn, sections, addresses))
    return text


def write_sections(sections: Sequence[Section], name: str, place: Path, command: str) -> Path:
    """Write sections as a page (`.html`), or as Markdown with the plots beside it.

    Plots go to the folder `<stem>-plots` in both cases, each as SVG and PNG.
    """
    plots = place.with_name(f"{place.stem}-plots")
    every = _every((), sections)
    write_plots(every, plots)
    if place.suffix == ".html":
        write_text(place, page_of(name, sections, command))
        return place
    addresses = {each.name: f"{plots.name}/{each.name}.png" for each in every}
    parts = [f"# {escape(name)}", *as_sections(sections, addresses), "## How to reproduce"]
    write_text(place, "\n\n".join([*parts, fenced(command, "sh")]) + "\n")
    return place


def write_reproductions(found: Sequence[Reproduction], text: Path) -> Path:
    """Write the document on published results, its plots in a folder of its name beside it."""
    from ablate.report.reproductions import as_document, chosen_plots

    folder = text.with_suffix("")
    addresses: dict[str, dict[str, str]] = {}
    drawn: list[Plot] = []
    for each in found:
        if each.report is None or not each.finished:
            continue
        plots, sections = draw_all(each.report)
        chosen = chosen_plots(each.report, plots, _every((), sections))
        named = [replace(plot, name=f"{each.name}-{plot.name}") for plot in chosen]
        addresses[each.name] = {
            plot.name: f"{_relative(folder, text.parent)}/{new.name}.png"
            for plot, new in zip(chosen, named, strict=True)
        }
        drawn += named
    write_plots(drawn, folder, ("png",))
    write_text(text, as_document(found, addresses))
    return text


def write_atlas(report: AtlasReport, text: Path) -> Path:
    """Write the document of the atlas, its table as CSV beside it, its picture in a folder."""
    from ablate.report.atlas import as_document
    from ablate.report.atlas_data import as_csv
    from ablate.report.plots.atlas import forest

    folder, table = text.with_suffix(""), text.with_suffix(".csv")
    write_plots([forest(report)], folder)
    write_text(table, as_csv(report))
    write_text(text, as_document(report, f"{folder.name}/forest.png", table.name))
    return text


def write_plots(plots: Sequence[Plot], folder: Path, kinds: Sequence[str] = ("svg", "png")) -> None:
    """Write every plot as `<name>.svg` and `<name>.png`, and remove those no longer drawn."""
    for each in plots:
        for kind in kinds:
            write_bytes(folder / f"{each.name}.{kind}", each.svg if kind == "svg" else each.png)
    names = {each.name for each in plots}
    for path in [*folder.glob("*.svg"), *folder.glob("*.png")]:
        if path.stem not in names:
            path.unlink(missing_ok=True)


def _every(plots: Iterable[Plot], sections: Iterable[Section]) -> list[Plot]:
    return [*plots, *(plot for section in sections for plot in section.plots)]


def _relative(folder: Path, start: Path) -> str:
    import os.path

    return Path(os.path.relpath(folder, start)).as_posix()
