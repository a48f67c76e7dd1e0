"""LaTeX that compiles, whatever the names."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ablate.report.latex import _breakable, as_latex, escape
from ablate.study.schema.analysis import Analysis as Settings
from tests.report.studies import BN, factorial, study

ODD = {
    r"50%_of$x$^{2}~#&\end": ([], 0.0, {}),
    'naïve–Größe<é>|"quoted"': ([BN], 0.01, {}),
    "数据-" + "very-long-name-" * 4: ([BN], 0.0, {"learning_rate": 0.1}),
}


def test_escapes():
    assert escape(r"a_b 50 % $x$ \y {z}") == (r"a\_b 50 \% \$x\$ \textbackslash{}y \{z\}")
    assert escape("−1 ± 2 × 3 – é 数 ﬁ") == r"$-$1 $\pm$ 2 $\times$ 3 -- é ? fi"


def test_rows_are_booktabs_rows(digits):
    text = as_latex(digits)
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 3
    body = text.split(r"\midrule")[2].split(r"\bottomrule")[0].strip().splitlines()
    assert [line.split(" & ")[0] for line in body] == ["plain", "both", "bn", "dropout"]
    assert all(line.endswith(r" \\") for line in body)
    assert r"\label{tab:digits-bn-dropout-headline}" in text


def test_the_first_table_fits_a_column_and_marks_the_best_set():
    places = ("before", "before_activation", "after_activation", "after")
    found = {f"bn-{at}": ([{**BN, "at": at}], 0.004 * i, {}) for i, at in enumerate(places)}
    material = study({"none": ([], 0.0, {}), **found}, settings=Settings(compare="all"))
    members = material.analysis.best.members
    first = as_latex(material).split(r"\end{table}")[0]
    assert r"\begin{table}[tbp]" in first and first.count(" & ") == 2 * 6
    assert 0 < len(members) < 5 and first.count(r"\textbf{") == len(members)
    for name in ("none", *found):
        (row,) = (line for line in first.splitlines() if line.startswith(f"{_breakable(name)} &"))
        assert (r"\textbf{" in row) == (name in members)
        effect = material.analysis.effect(name)
        assert ("$^*$" in row) == (effect is not None and effect.verdict in ("better", "worse"))
    assert "Bold: the set that holds the best" in first


def test_what_no_column_holds_spans_both(digits):
    text = as_latex(digits)
    headline = text.split(r"\label{tab:digits-bn-dropout-headline}")[0].rsplit(r"\begin{table", 1)[
        1
    ]
    assert headline.startswith("*}")
    seeds = text.split(r"\label{tab:digits-bn-dropout-seeds}")[0].rsplit(r"\begin{table", 1)[1]
    assert seeds.startswith("}")


def test_a_long_table_breaks_over_pages():
    many = {f"v{index}": ([], 0.001 * index, {"epochs": index + 1}) for index in range(40)}
    text = as_latex(study(many, seeds=3))
    assert r"\begin{longtable}" in text
    assert r"\usepackage{longtable}" in text.split("\n")[1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(tmp_path):
    many = {f"v{index}": ([], 0.001 * index, {"epochs": index + 1}) for index in range(40)}
    lost = study(
        ODD, name="odd_%name", status=lambda variant, seed: "failed" if seed else "diverged"
    )
    parts = [lost, study(ODD, seeds=8), factorial(), study(many, seeds=3), study(seeds=1)]
    for number, material in enumerate(parts):
        (tmp_path / f"part{number}.tex").write_text(as_latex(material), encoding="utf-8")
    inputs = "\n".join(f"\\input{{part{number}}}" for number in range(len(parts)))
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,array}"
        f"\\usepackage{{longtable}}\\begin{{document}}\n{inputs}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000


def test_the_comment_keeps_the_signs_of_its_numbers(digits):
    first = as_latex(digits).splitlines()[0]
    assert first.isascii() and "?" not in first
    assert "-0." in first
