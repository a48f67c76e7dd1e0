"""The report as LaTeX: booktabs tables to `\\input` in a paper.

The first fits a column of two and marks the set that holds the best. The others are those of the
report (`table*` where a column would not hold one, `longtable` where a page would not), captioned
with what a reader needs: n, the level, pairing, Holm; below them a list of what must be said of
the numbers. Everything is escaped; a name without a break may break at its punctuation, so that
long names do not run off the page.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from ablate.analysis import MetricSummary
from ablate.report import formatting, tables
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
#: Letters of `\\footnotesize` that a column of two holds, a gap between cells taking two.
COLUMN = 60

#: Before a column of wrapped text: a row may end in it.
_RAGGED = r">{\raggedright\arraybackslash}"

_HEAD = """\
% {title}
% Needs in the preamble: \\usepackage[T1]{{fontenc}} \\usepackage{{booktabs,array}}{more}
"""


def as_latex(report: ReportData) -> str:
    """Return the tables of the report as LaTeX, to be read in with `\\input`."""
    first = _column(report)
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
    parts = [first, *(_table(each, report) for each in shown), _beware(report)]
    return "\n".join([head, *filter(None, parts)])


def _column(report: ReportData) -> str:
    """Return the table for a column: mean and deviation, the difference, the best set in bold."""
    analysis = report.analysis
    scale = tables.scale_of(analysis, analysis.metric)
    members = analysis.best.members if analysis.best is not None else ()
    lines = []
    for name in report.by_effect[:MOST_ROWS]:
        summary = analysis.variant(name).metrics.get(analysis.metric, MetricSummary())
        if summary.mean is None:
            continue
        spread = "" if summary.sd is None else f" ± {scale.value(summary.sd)}"
        mean = escape(f"{scale.value(summary.mean)}{spread}")
        effect = analysis.effect(name)
        cell = ""
        if effect is not None and effect.mean is not None:
            cell = escape(scale.difference(effect.mean))
            if effect.low is not None:
                ends = scale.interval(effect.low, effect.high, sign=True)
                cell += rf" {{\scriptsize[{escape(ends)}]}}"
            cell += "$^*$" if effect.verdict in ("better", "worse") else ""
        bold = rf"\textbf{{{mean}}}" if analysis.source(name) in members else mean
        lines.append(rf"{_breakable(name)} & {bold} & {cell} \\")
    if not lines:
        return ""
    decided = any("$^*$" in line for line in lines)
    level = formatting.percent(analysis.confidence)
    seeds = sorted({each.n for each in analysis.variants if each.n})
    words = [
        f"{formatting.metric_title(analysis.metric).capitalize()}, mean ± standard deviation over "
        f"{formatting.listed(map(str, seeds), 'or')} seeds, and the difference to "
        f"{analysis.baseline} with its paired {level} interval.",
        "*: better or worse after correction for all comparisons." if decided else "",
        f"Bold: the set that holds the best with {level} confidence." if members else "",
    ]  # fmt: skip
    longest = max(len(name) for name in report.by_effect)
    side = rf"{_RAGGED}p{{0.3\columnwidth}}" if longest > LONG // 2 else "l"
    head = [escape(scale.titled("Mean")), escape(scale.difference_titled("Difference"))]
    return "\n".join([
        r"\begin{table}[tbp]", r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escape(' '.join(filter(None, words)))}}}",
        rf"\label{{tab:{_label(report.name)}}}", r"\par\smallskip",
        rf"\begin{{tabular}}{{@{{}}{side}ll@{{}}}}",
        r"\toprule", rf"Variant & {' & '.join(head)} \\", r"\midrule", *lines, r"\bottomrule",
        r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text)


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
    label = f"tab:{_label(f'{report.name}-{table.name}')}"
    widths = [
        max(_longest(table, index), *map(len, each.title.partition(" (")[::2]))
        for index, each in enumerate(table.columns)
    ]
    star = "*" if sum(widths) + 2 * len(widths) > COLUMN else ""
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
            rf"\begin{{table{star}}}[tbp]", r"\centering", tight,
            f"\\caption{{{caption}}}", f"\\label{{{label}}}", r"\par\smallskip",
            f"\\begin{{tabular}}{{@{{}}{layout}@{{}}}}",
            r"\toprule", head, r"\midrule", *body, r"\bottomrule",
            r"\end{tabular}", rf"\end{{table{star}}}",
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
        return rf"{_RAGGED}p{{{'5.2cm' if index == 0 else '2.8cm'}}}"
    return "r" if table.columns[index].align == "right" else "l"


def _cell(table: Table, index: int, text: str) -> str:
    if _longest(table, index) <= LONG:
        return escape(text)
    return _breakable(text)


def _breakable(text: str) -> str:
    """Return a text, escaped, that may break behind its punctuation."""
    pieces = re.split(r"(?<=[-_,=+/.×])(?=[^\s\d])", text)
    return r"\allowbreak{}".join(map(escape, pieces))


def _longest(table: Table, index: int) -> int:
    return max((len(row[index]) for row in table.rows), default=0)


def _comment(text: str) -> str:
    """Return a text for a comment: signs of numbers survive, whatever else is not ASCII is "?"."""
    plain = text.replace("−", "-").replace("×", "x").replace("±", "+-")
    return " ".join(plain.split()).encode("ascii", "replace").decode("ascii")
