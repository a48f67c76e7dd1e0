"""The page in Chromium: hover, muting, sorting, filtering, copying, narrow, dark, printed, read."""

from __future__ import annotations

import json

import pytest

from tests.browser.chromium import browser
from tests.browser.pages import PAGES, written

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {name: written(name, folder) for name in PAGES}


@pytest.fixture
def visit(chromium, addresses):
    """Open a page by its name; nothing may go wrong on it, and nothing is fetched."""
    opened, wrong = [], []

    def go(name, width=1280, height=800, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
        address = addresses[name]
        page.on("request", lambda asked: asked.url.startswith(address) or wrong.append(asked.url))
        page.goto(address)
        opened.append(context)
        return page

    yield go
    for each in opened:
        each.close()
    assert wrong == []


def place_of(page, plot, name, label, index):
    """Return where a point that a plot tells is drawn on the screen, and its value."""
    told = json.loads(page.locator(f"#plot-{plot} > script").text_content())
    names = json.loads(page.locator("#names").text_content())
    points = next(each for each in told["points"] if names[each[1]] == name and each[2] == label)
    frame, y = told["axes"][points[0]], points[7][index]
    x = index if isinstance(points[6], int) else points[6][index]
    drawn = [frame[0] + frame[1] * x, 0]
    drawn[1] = page.evaluate(
        "([o, k, log, y]) => o + k * (log ? Math.log10(y) : y)", [*frame[3:6], y]
    )
    page.locator(f"#plot-{plot} svg").first.scroll_into_view_if_needed()
    return y, page.evaluate(
        """([plot, x, y]) => {
            const svg = document.querySelector(`#plot-${plot} svg`);
            const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
            return [at.x, at.y];
        }""",
        [plot, *drawn],
    )


def test_the_value_under_the_pointer_is_told(visit):
    page = visit("digits")
    tip = page.locator("#tip")
    assert not tip.is_visible()
    value, at = place_of(page, "curve-accuracy", "plain", "seed 3", 2)
    page.mouse.move(*at)
    assert tip.inner_text() == f"plain · seed 3 · epoch 2 · {value} %"
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    value, at = place_of(page, "effects", "both", "mean difference of 5 seeds", 0)
    page.mouse.move(*at)
    assert tip.inner_text().startswith("both · mean difference of 5 seeds · ")
    assert tip.inner_text().endswith(" points")


def test_a_click_on_a_legend_mutes_a_variant_in_every_plot(visit):
    page = visit("digits")
    number = json.loads(page.locator("#names").text_content()).index("plain")
    own = page.locator(f".plot .k{number}")
    plots = page.locator(f"figure:has(.plot .k{number})")
    assert plots.count() == 5
    _, at = place_of(page, "curve-accuracy", "plain", "seed 3", 2)
    page.locator("#plot-curve-loss .legend button", has_text="plain").click()
    assert page.locator(f".plot .k{number}.muted").count() == own.count() > 5
    pressed = page.locator(f"[data-key='{number}']")
    assert [each.get_attribute("aria-pressed") for each in pressed.all()] == ["false"] * 2
    assert page.locator(".plot .muted").count() == own.count()
    _, at = place_of(page, "curve-accuracy", "plain", "seed 3", 2)
    page.mouse.move(*at)
    assert "plain" not in page.locator("#tip").inner_text()
    pressed.first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".plot .muted").count() == 0


def column(table, number):
    return table.locator(f"tbody tr:not([hidden]) > :nth-child({number})").all_inner_texts()


def test_a_table_sorts_by_number_both_ways_with_what_is_missing_last(visit):
    page = visit("some-lost")
    table = page.locator("#headline table").first
    heading = table.locator("thead th", has_text="Difference")
    number = heading.evaluate("each => each.cellIndex") + 1
    for direction, sign in (("ascending", 1), ("descending", -1)):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == direction
        *shown, last = column(table, number)
        values = [float(each.replace("−", "-")) for each in shown]
        assert values == sorted(values, key=lambda each: sign * each) and last == ""


def test_a_long_table_can_be_filtered(visit):
    page = visit("forty")
    table = page.locator("#headline table").first
    page.get_by_label("Filter the rows of Test accuracy (higher is better)").fill("BLOCK-3")
    names = column(table, 1)
    assert len(names) == 8 and all("block-3" in each for each in names)


def test_a_table_is_copied_as_it_is_shown(visit):
    page = visit("digits", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#variants summary").scroll_into_view_if_needed()
    copied = {}
    for kind in ("TSV", "Markdown", "LaTeX"):
        page.get_by_label(f"Copy Test accuracy (higher is better) as {kind}").click()
        page.wait_for_function("navigator.clipboard.readText().then(text => text !== window.last)")
        copied[kind] = page.evaluate(
            "navigator.clipboard.readText().then(text => window.last = text)"
        )
    head, first, second, *_ = copied["TSV"].split("\n")
    assert head.split("\t")[:4] == ["Variant", "n", "Lost", "Mean (%)"]
    assert first.split("\t")[:3] == ["plain", "5", "0"]
    assert second.split("\t")[-1] == "better"
    assert copied["Markdown"].split("\n")[1].startswith("|---|---:|---|---:|")
    assert "| bn | 5 | 0 |" in copied["Markdown"]
    assert copied["LaTeX"].startswith("\\begin{tabular}{@{}lrlr")
    assert "Mean (\\%)" in copied["LaTeX"] and "$-$0.08" in copied["LaTeX"]


@pytest.mark.parametrize("name", PAGES)
def test_nothing_scrolls_sideways_on_a_phone(visit, name):
    page = visit(name, 390, 844)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    wide = page.evaluate(
        """[...document.querySelectorAll('main *, header *')].filter(each =>
            !each.closest('svg') && getComputedStyle(each).position !== 'absolute' &&
            !each.closest('thead') && each.getBoundingClientRect().right > 390.5
        ).map(each => each.outerHTML.slice(0, 80))"""
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["digits", "some-lost", "search", "screening", "probes"])
def test_axe_finds_nothing(visit, name, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(name, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:90] for node in each["nodes"][:3]]) for each in found] == []


def test_it_follows_the_colours_that_the_reader_prefers(visit):
    shades = {}
    for scheme in ("light", "dark"):
        page = visit("digits", color_scheme=scheme)
        shades[scheme] = page.evaluate(
            """() => {
                const paper = getComputedStyle(document.body).backgroundColor;
                const plot = getComputedStyle(document.querySelector('.plot svg path')).fill;
                return [paper, plot];
            }"""
        )
    assert shades["light"] == ["rgb(255, 255, 255)"] * 2
    assert shades["dark"] == ["rgb(23, 25, 29)"] * 2


def test_it_reads_without_script(visit):
    page = visit("factorial", java_script_enabled=False)
    assert page.locator("article.card h2").first.is_visible()
    assert page.locator("#headline tbody tr").count() == 8
    assert page.locator(".plot svg text", has_text="dropout").first.is_visible()
    page.locator("#details summary").first.click()
    assert page.locator("#details li").first.is_visible()


def test_what_is_folded_is_printed_and_folded_again(visit):
    page = visit("digits")
    folded = page.locator("main details:not([open])")
    count = folded.count()
    assert count > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folded.count() == count


def test_the_contents_stay_and_say_where_one_is(visit):
    page = visit("digits")
    side = page.locator("nav.side")
    side.locator("a", has_text="Details").click()
    page.wait_for_function("document.querySelectorAll('nav.side a[aria-current]').length === 1")
    assert side.is_visible() and side.bounding_box()["y"] >= 0
    phone = visit("digits", 390, 844)
    phone.locator("details.contents summary").click()
    phone.locator("details.contents a", has_text="Plots").click()
    assert not phone.locator("details.contents nav").is_visible()
    assert phone.locator("details.contents summary").bounding_box()["y"] >= 0
