"""The report as files: whole, beside the study, without what is no longer drawn."""

from __future__ import annotations

import re

from ablate.report import Plot, files, pictures
from tests.report.studies import study


def test_the_page_and_its_plots(tmp_path, monkeypatch, digits, drawn):
    monkeypatch.setattr(files, "draw_all", lambda material: (drawn[:2], []))
    plots = tmp_path / "plots"
    plots.mkdir()
    (plots / "gone.svg").write_text("an earlier report's")
    (plots / "notes.txt").write_text("anyone's own")
    page = files.write_html(digits, tmp_path / "report.html", plots)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(each.name for each in plots.iterdir()) == [
        "effects.svg", "notes.txt", "values.svg",
    ]  # fmt: skip
    assert (plots / "effects.svg").read_bytes() == drawn[0].svg


def test_the_text_shows_the_plots_that_were_written(tmp_path, monkeypatch, digits, drawn):
    monkeypatch.setattr(files, "draw_all", lambda material: (drawn[:1], []))
    text = files.write_markdown(digits, tmp_path / "a" / "report.md", tmp_path / "plots")
    (address,) = re.findall(r"!\[.*?\]\(<(.*?)>\)", text.read_text(encoding="utf-8"))
    assert address == "../plots/effects.png"
    assert (text.parent / address).read_bytes().startswith(b"\x89PNG")


def test_everything_is_drawn_for_a_real_page(tmp_path):
    page = files.write_html(study(seeds=1, epochs=2), tmp_path / "report.html", tmp_path / "plots")
    assert page.is_file()
    assert {each.stem for each in (tmp_path / "plots").iterdir()} >= {"effects", "curve-loss"}


def test_a_plot_too_large_as_svg_is_embedded_as_png(monkeypatch, drawn):
    monkeypatch.setattr(pictures, "LARGEST_SVG", 100)
    found = pictures.picture(Plot("p", "t", "c", drawn[0].figure), {})
    assert found.source.startswith("data:image/png;base64,")
    assert (found.svg, found.legend, found.told) == ("", (), "")
