"""The report as LaTeX: booktabs tables to `\\input` in a paper.

One `table` per table of the report (`longtable` where a page would not hold it), captioned with
what a reader needs: n, the level, pairing, Holm. Everything is escaped; a name without a break
may break at its punctuation, so that long names do not run off the page.
"""

from __future__ import annotations

import re
import unicodedata

from ablate.report import tables
from ablate.report.material import Material
from ablate.report.tables import Table

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "−": "$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "…": r"\dots{}", "→": r"$\to$",
    "←": r"$\leftarrow$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$", "’": "'",
}  # fmt: skip

#: Rows that stand on one page; more break over pages.
MOST_ROWS = 36
#: A first column with longer cells wraps.
LONG = 26

_HEAD = """\
% {title}
% Needs in the preamble: \\usepackage[T1]{{fontenc}} \\usepackage{{booktabs}}{more}
"""


def as_latex(material: Material) -> str:
    """Return the tables of the report as LaTeX, to be read in with `\\input`."""
    chosen = [
        tables.headline(material),
        tables.seeds(material),
        tables.failures(material),
        tables.factors(material),
        tables.contributions(material),
        tables.expectations(material),
    ]
    shown = [each for each in chosen if each is not None]
    long = any(len(each.rows) > MOST_ROWS for each in shown)
    head = _HEAD.format(
        title=_comment(f"{material.name}: {' '.join(material.analysis.answer)}"),
        more=" \\usepackage{longtable}" if long else "",
    )
    return head + "\n" + "\n".join(_table(each, material) for each in shown)


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


def _table(table: Table, material: Material) -> str:
    kept = [
        index
        for index, column in enumerate(table.columns)
        if not (column.title == "SD" and len(table.columns) > 9)
    ]
    wide = len(kept) > 12
    columns = [table.columns[each] for each in kept]
    layout = "".join(
        _side(table, index, column.align) for index, column in zip(kept, columns, strict=True)
    )
    head = " & ".join(escape(each.title) for each in columns) + r" \\"
    body = [
        " & ".join(_cell(table, index, row[index]) for index in kept) + r" \\" for row in table.rows
    ]
    caption = f"{escape(table.title)}. {escape(' '.join(table.notes))}".strip()
    if table.name == "headline":
        caption += f" {escape(material.name)}."
    label = f"tab:{re.sub(r'[^A-Za-z0-9]+', '-', f'{material.name}-{table.name}')}"
    size = r"\scriptsize" if wide else r"\footnotesize"
    tight = r"\setlength{\tabcolsep}{3.5pt}"
    if len(table.rows) > MOST_ROWS:
        lines = [
            f"{{{size}{tight}",
            f"\\begin{{longtable}}{{@{{}}{layout}@{{}}}}",
            f"\\caption{{{caption}}}\\label{{{label}}}\\\\",
            r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
            *body,
            r"\end{longtable}}",
        ]  # fmt: skip
    else:
        lines = [
            r"\begin{table}[htbp]", r"\centering", size, tight,
            f"\\caption{{{caption}}}", f"\\label{{{label}}}",
            f"\\begin{{tabular}}{{@{{}}{layout}@{{}}}}",
            r"\toprule", head, r"\midrule", *body, r"\bottomrule",
            r"\end{tabular}", r"\end{table}",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _side(table: Table, index: int, align: str) -> str:
    longest = max((len(row[index]) for row in table.rows), default=0)
    if longest > LONG:
        return "p{3.6cm}" if index == 0 else "p{2.8cm}"
    return "r" if align == "right" else "l"


def _cell(table: Table, index: int, text: str) -> str:
    longest = max((len(row[index]) for row in table.rows), default=0)
    if longest <= LONG:
        return escape(text)
    pieces = re.split(r"(?<=[-_,=+/.×])(?=\S)", text)
    return r"\raggedright " + r"\allowbreak{}".join(map(escape, pieces))


def _comment(text: str) -> str:
    return " ".join(text.split()).encode("ascii", "replace").decode("ascii")
