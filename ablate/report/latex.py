"""The report as LaTeX: booktabs tables to `\\input` in a paper.

One `table` per table of the report (`longtable` where a page would not hold it), captioned with
what a reader needs: n, the level, pairing, Holm; below them a list of what must be said of the
numbers. Everything is escaped; a name without a break
may break at its punctuation, so that long names do not run off the page.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from ablate.report import tables
from ablate.report.document import Column, Table
from ablate.report.report_data import ReportData

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "−": "$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "…": r"\dots{}", "→": r"$\to$",
    "←": r"$\leftarrow$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$", "’": "'",
}  # fmt: skip

#: Rows that stand on one page; more break over pages.
MOST_ROWS = 36
#: A column with longer cells wraps.
LONG = 26
#: Seeds side by side.
MOST_SEEDS = 10

_HEAD = """\
% {title}
% Needs in the preamble: \\usepackage[T1]{{fontenc}} \\usepackage{{booktabs}}{more}
"""


def as_latex(report: ReportData) -> str:
    """Return the tables of the report as LaTeX, to be read in with `\\input`."""
    shown = [
        _without_seeds(tables.headline(report)),
        *_parts(tables.seeds(report, always=True)),
        *(each for each in tables.findings(report) if not each.detail),
    ]
    long = any(len(each.rows) > MOST_ROWS for each in shown)
    head = _HEAD.format(
        title=_comment(f"{report.name}: {' '.join(report.analysis.answer)}"),
        more=" \\usepackage{longtable}" if long else "",
    )
    return "\n".join([head, *(_table(each, report) for each in shown), _beware(report)])


def escape(text: str) -> str:
    r"""Return a text in which LaTeX sees no command; what no font here has becomes "?".

    >>> print(escape("50 % of a_b"))
    50 \% of a\_b
    """
    out = []
    for each in text.replace("\n", " "):
        if each in _ESCAPES:
            out.append(_ESCAPES[each])
        elif each.isascii() or (each.isalpha() and ord(each) < 0x100):
            out.append(each if each.isprintable() else "?")
        else:
            plain = unicodedata.normalize("NFKD", each).encode("ascii", "ignore").decode("ascii")
            out.append(plain if plain.isalnum() else "?")
    return "".join(out)


def _beware(report: ReportData) -> str:
    """Return what must be said of the numbers, as a list below the tables."""
    items = [rf"\item {escape(each.words)}" for each in report.analysis.guards]
    lines = [r"{\footnotesize\begin{itemize}", *items, r"\end{itemize}}"]
    return "\n".join(lines) + "\n" if items else ""


def _without_seeds(table: Table) -> Table:
    """Return the headline without its column of seeds: they have a table of their own here."""
    return table.with_columns(
        [i for i, each in enumerate(table.columns) if not each.title.startswith("Seed ")]
    )


def _parts(table: Table | None) -> list[Table]:
    """Return a wide table of seeds as tables that fit a page."""
    if table is None:
        return []
    places = range(1, len(table.columns))
    return [
        replace(
            table.with_columns((0, *places[start : start + MOST_SEEDS])),
            name=table.name if start == 0 else f"{table.name}-{start + 1}",
        )
        for start in range(0, len(places), MOST_SEEDS)
    ]


def _table(table: Table, report: ReportData) -> str:
    layout = "".join(_side(table, index) for index in range(len(table.columns)))
    head = " & ".join(_title(each) for each in table.columns) + r" \\"
    body = [
        " & ".join(_cell(table, index, cell) for index, cell in enumerate(row)) + r" \\"
        for row in table.rows
    ]
    words = f"{report.name}. {table.title}. {' '.join(table.notes)}"
    caption = escape(words.strip())
    label = f"tab:{re.sub(r'[^A-Za-z0-9]+', '-', f'{report.name}-{table.name}')}"
    tight = r"\footnotesize\setlength{\tabcolsep}{3.5pt}"
    if len(table.rows) > MOST_ROWS:
        lines = [
            f"{{{tight}",
            f"\\begin{{longtable}}{{@{{}}{layout}@{{}}}}",
            f"\\caption{{{caption}}}\\label{{{label}}}\\\\",
            r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
            *body,
            r"\end{longtable}}",
        ]  # fmt: skip
    else:
        lines = [
            r"\begin{table}[htbp]", r"\centering", tight,
            f"\\caption{{{caption}}}", f"\\label{{{label}}}", r"\par\smallskip",
            f"\\begin{{tabular}}{{@{{}}{layout}@{{}}}}",
            r"\toprule", head, r"\midrule", *body, r"\bottomrule",
            r"\end{tabular}", r"\end{table}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _title(column: Column) -> str:
    """Return a column's title, its unit on a second line."""
    name, bracket, unit = column.title.partition(" (")
    if not bracket:
        return escape(name)
    side = "r" if column.align == "right" else "l"
    lines = rf"{escape(name)} \\ {escape('(' + unit)}"
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{lines}\end{{tabular}}"


def _side(table: Table, index: int) -> str:
    if _longest(table, index) > LONG:
        return "p{5.2cm}" if index == 0 else "p{2.8cm}"
    return "r" if table.columns[index].align == "right" else "l"


def _cell(table: Table, index: int, text: str) -> str:
    if _longest(table, index) <= LONG:
        return escape(text)
    pieces = re.split(r"(?<=[-_,=+/.×])(?=[^\s\d])", text)
    return r"\raggedright " + r"\allowbreak{}".join(map(escape, pieces))


def _longest(table: Table, index: int) -> int:
    return max((len(row[index]) for row in table.rows), default=0)


def _comment(text: str) -> str:
    """Return a text for a comment: signs of numbers survive, whatever else is not ASCII is "?"."""
    plain = text.replace("−", "-").replace("×", "x").replace("±", "+-")
    return " ".join(plain.split()).encode("ascii", "replace").decode("ascii")
