"""The page: one file that asks the network for nothing, well formed, whatever the names."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ablate.report import Plot, Section
from ablate.report.document import Column, Table
from ablate.report.html import as_html, fragment
from tests.report.studies import BN, study

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Collect what a browser would fetch, the anchors, the text; fail on crossed tags."""

    def __init__(self, source):
        super().__init__()
        self.open, self.fetched, self.links, self.ids, self.said = [], [], [], [], []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.fetched += [found[key] for key in ("src", "data", "srcset") if key in found]
        self.fetched += [found["href"]] if tag == "link" else []
        self.links += [found["href"]] if tag == "a" else []
        self.ids += [found["id"]] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)


def page(material, plots=()):
    return Page(as_html(material, plots))


def test_it_is_one_file_and_every_link_leads_somewhere(digits, drawn):
    source = as_html(digits, drawn)
    found = Page(source)
    assert found.fetched and all(each.startswith("data:image/") for each in found.fetched)
    assert all(each.startswith("#") and each[1:] in found.ids for each in found.links)
    assert len(set(found.ids)) == len(found.ids)
    style = re.search(r"<style>(.*?)</style>", source, re.S).group(1)
    assert "url(" not in style and "@import" not in style
    assert "<script" not in source


def test_the_answer_stands_before_the_tables_before_the_plots(digits, drawn):
    source = as_html(digits, drawn)
    assert digits.analysis.answer[0] in source.split("<h2>")[0]
    assert re.findall(r"<h2>(.*?)</h2>", source) == [
        "Test accuracy (higher is better)",
        "What to beware of",
        "Every seed, and the difference to plain",
        "Loss over the epochs",
        "Accuracy over the epochs",
        "Generalisation gap",
        "What quality costs",
        "Details",
        "The study file",
        "How to reproduce",
    ]


def test_odd_names_stay_text(drawn):
    odd = {"<script>alert(1)</script>": ([], 0, {}), 'a&b "q" {{ x }}': ([BN], 0.01, {})}
    material = replace(study(odd, seeds=3), study_text="x: '</pre><b>'\n")
    source = as_html(material, [Plot("p", "<script>", 'a "caption"', drawn[0].figure)])
    found = Page(source)
    assert "<script" not in source
    said = "".join(found.said)
    assert "<script>alert(1)</script>" in said
    assert 'a&b "q" {{ x }}' in said


@pytest.mark.parametrize("status", ["failed", "diverged", None])
@pytest.mark.parametrize("seeds", [1, 3])
def test_there_is_a_page_when_nothing_completed(status, seeds):
    found = page(study(seeds=seeds, status=lambda variant, seed: status))
    assert "Test accuracy (higher is better)" in found.said


def test_a_single_trial_has_a_page():
    found = page(study({"plain": ([], 0, {})}, seeds=1))
    assert any("1 of 1 trial completed" in each for each in found.said)


def test_errors_of_failed_trials_are_shown_once():
    material = study(status=lambda variant, seed: "failed" if seed else "completed", seeds=3)
    text = "".join(page(material).said)
    assert text.count("Traceback (most recent call last)") == 1
    assert "bn, seed 1" in text


def test_a_running_study_says_so():
    material = study(status=lambda variant, seed: "completed" if seed < 3 else None)
    assert any("still running" in each for each in page(material).said)


def test_sections_of_others_have_their_place(digits):
    table = Table("t", "A table", (Column("x"),), (("1",),))
    section = Section("probe-x", "What x saw", ("A sentence.",), (table,))
    found = Page(as_html(digits, (), [section]))
    assert "#probe-x" in found.links
    assert {"What x saw", "A sentence.", "A table"} <= set(found.said)


def test_a_notebook_gets_the_answer_and_the_table(digits):
    found = Page(fragment(digits))
    assert digits.analysis.answer[0] in found.said
    assert "both" in found.said
