"""The report on a terminal: wide, narrow, without colour, without Unicode."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ablate.report.printing import console, fitted
from ablate.report.tables import headline
from ablate.report.terminal import progress, show
from tests.report.studies import BN, study


def page(material, width=110, **options):
    text = io.StringIO()
    show(material, Console(file=text, width=width, **options))
    return text.getvalue()


def test_it_opens_with_the_answer_and_every_line_fits(digits):
    text = page(digits)
    lines = text.splitlines()
    assert lines[0] == "digits-bn-dropout: 20 of 20 trials completed"
    assert " ".join(lines[1:4]).replace("  ", " ").startswith(digits.analysis.answer[0][:60])
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("width", [30, 45, 60, 80, 110, 200])
def test_no_number_is_cut_at_any_width(digits, width):
    text = page(digits, width)
    assert max(map(len, text.splitlines())) <= width
    for variant in digits.analysis.variants:
        summary = variant.metrics["test_accuracy"]
        assert f"{summary.mean * 100:.2f}" in text
        for value in summary.values.values():
            assert f"{value * 100:.2f}" in text


def test_a_narrow_page_drops_the_least_needed_column_first(digits):
    table = headline(digits)
    narrow, left_out = fitted(table, 78)
    assert [table.columns[each].title for each in left_out] == ["SD", "Seed 0 1 2 3 4"]
    text = page(digits, 78)
    assert "Not shown on a page this narrow: SD, Seed 0 1 2 3 4." in text
    assert "inconclusive" in text
    assert [each.title for each in narrow.columns][:4] == ["Variant", "n", "Lost", "Mean (%)"]
    assert fitted(table, 500)[1] == []


def test_a_terminal_without_unicode_gets_ascii(digits):
    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, encoding="ascii")
    show(digits, Console(file=text, width=100))
    text.flush()
    assert b"-0.08" in raw.getvalue()


def test_names_are_no_markup():
    material = study({"[red]plain[/red]": ([], 0, {}), "[/bn]": ([BN], 0.01, {})}, seeds=3)
    text = page(material)
    assert "[red]plain[/red]" in text
    assert "[/bn]" in text


def test_progress_in_words():
    running = study(status=lambda variant, seed: None if seed == 4 else "completed")
    assert progress(running) == "16 of 20 trials completed, 4 to come"
    lost = study(status=lambda variant, seed: "diverged" if seed == 4 else "completed")
    assert progress(lost) == "16 of 20 trials completed, 4 diverged"
    assert progress(study({"a": ([], 0, {})}, seeds=1)) == "1 of 1 trial completed"


def test_everything_lost_is_said_without_numbers():
    text = page(study(status=lambda variant, seed: "failed"))
    assert "0 of 20 trials completed, 20 failed" in text
    assert "5 failed" in text


def test_a_pipe_gets_a_page_and_a_quiet_console_nothing(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    text = io.StringIO()
    assert console(file=text).width == 110
    monkeypatch.setenv("COLUMNS", "72")
    assert console(file=text).width == 72
    console(quiet=True, file=text).print("nothing")
    assert text.getvalue() == ""


def test_no_color_leaves_no_control_sequence(digits, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show(digits, console(file=(colored := Terminal())))
    assert "\x1b[" in colored.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    show(digits, console(file=(plain := Terminal())))
    assert "\x1b" not in plain.getvalue()


def test_columns_go_by_their_value_and_the_verdict_never(digits):
    table = headline(digits)
    order, width = [], 200
    while width > 10:
        left_out = fitted(table, width)[1]
        order += [title for each in left_out if (title := table.columns[each].title) not in order]
        width -= 1
    assert order[0].startswith("Seed 0")
    assert order[1:] == ["SD", "p (Holm)", "n", "Lost", "95 % interval"]
