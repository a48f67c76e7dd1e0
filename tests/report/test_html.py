"""The page: one file that asks the network for nothing, well formed, whatever the names."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from ablate.report import Plot, Section
from ablate.report.document import Column, Table
from ablate.report.html import as_html, fragment, questions
from ablate.report.pictures import picture
from ablate.report.plots import draw
from tests.report.studies import BN, factorial, study
from tests.report.test_tables import left_out

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

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)


def page(material, plots=()):
    return Page(as_html(material, plots))


def test_it_is_one_file_and_every_link_leads_somewhere(digits, drawn):
    source = as_html(digits, drawn)
    found = Page(source)
    assert found.fetched == []
    assert all(each.startswith("#") and each[1:] in found.ids for each in found.links)
    assert len(set(found.ids)) == len(found.ids)
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', source)) <= set(found.ids)
    style = "".join(re.findall(r"<style>(.*?)</style>", source, re.S))
    assert "url(" not in style and "@import" not in style
    assert not re.search(r"fetch\(|XMLHttp|import\(|https?://(?!www.w3.org)", source)


def test_the_answer_stands_before_the_tables_before_the_plots(digits, drawn):
    source = as_html(digits, drawn)
    assert re.findall(r"<h2>(.*?)</h2>", source) == [
        "What changes against plain?",
        "What to beware of",
        "Every variant",
        "Plots",
        "Details",
        "The study file",
        "How to reproduce",
    ]
    assert digits.analysis.answer[0] in source.split("</article>")[0]
    titles = [html.unescape(each) for each in re.findall(r"<h3>(.*?)</h3>", source)]
    assert titles == [each.title for each in drawn if each.name != "effects"]


def test_each_question_of_the_design_has_its_answer_and_plot():
    for material, expected in (
        (factorial(3), [("What does each factor do?", "factor-effects")]),
        (left_out(), [("What does each part add?", "contributions"),
                      ("What changes against plain?", "effects")]),
    ):  # fmt: skip
        plots = {each.name: picture(each, {}) for each in draw(material)}
        found = questions(material, plots, [])
        assert [(each.title, each.picture.name) for each in found] == expected
        assert all(each.sentences for each in found)


def test_of_many_variants_the_card_says_how_many_are_decided():
    many = {f"v{index}": ([], 0.01 * (index > 12), {"epochs": index + 1}) for index in range(15)}
    (found,) = questions(study(many), {}, [])
    assert found.summary == "Of 14 variants 2 better and 12 inconclusive."
    (few,) = questions(study(), {}, [])
    assert few.summary == ""


def test_odd_names_stay_text(drawn):
    odd = {"<script>alert(1)</script>": ([], 0, {}), 'a&b "q" {{ x }}': ([BN], 0.01, {})}
    material = replace(study(odd, seeds=3), study_text="x: '</pre><b>'\n")
    plots = [*draw(material), Plot("p", "<script>", 'a "caption"', drawn[0].figure)]
    source = as_html(material, plots)
    found = Page(source)
    assert "<script>alert" not in source and "<script></" not in source
    said = "".join(found.said)
    assert "<script>alert(1)</script>" in said
    assert 'a&b "q" {{ x }}' in said


def test_what_belongs_to_a_variant_has_its_class_in_every_plot(digits, drawn):
    keys = {}
    found = [picture(each, keys) for each in drawn]
    assert set(keys) == set(digits.order)
    for each in found:
        number = keys["bn"]
        assert f'class="k{number}"' in each.svg
        assert number in {series[1] for series in json.loads(each.told)["points"]}
    (curve,) = (each for each in found if each.name == "curve-loss")
    assert [entry.name for entry in curve.legend] == list(digits.order)
    assert "<text" in curve.svg and 'id="legend"' not in curve.svg


def test_every_value_that_is_told_lies_where_it_is_drawn(drawn):
    plot = next(each for each in drawn if each.name == "curve-accuracy")
    told = json.loads(picture(plot, {}).told)
    axis = plot.figure.axes[0]
    (_, _, label, at, unit, sideways, xs, ys) = told["points"][0]
    assert (label, at, unit, sideways, xs) == ("seed 0", "epoch", "%", 0, 21)
    x0, kx, _, y0, ky, _, *box = told["axes"][0]
    height = plot.figure.get_figheight() * plot.figure.dpi
    pixels = axis.transData.transform((7, ys[7]))
    expected = np.array([pixels[0], height - pixels[1]]) * 72 / plot.figure.dpi
    np.testing.assert_allclose([x0 + 7 * kx, y0 + ys[7] * ky], expected, atol=0.05)
    assert box[0] < expected[0] < box[2] and box[1] < expected[1] < box[3]


def test_forty_variants_fit_a_page_of_a_megabyte_and_a_half():
    many = {f"v{index}": ([], 0.001 * index, {"epochs": index + 1}) for index in range(40)}
    material = study(many, seeds=3)
    assert len(as_html(material, list(draw(material))).encode()) < 1_500_000


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
