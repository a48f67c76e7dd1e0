"""The teaching studies and their pages belong together, and what the pages compute is so."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from ablate.config import load_study
from ablate.execution.run import run
from ablate.report import report_of
from ablate.report.probe_sections import measured
from ablate.study.schema.probes import PROBES

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "teaching"
STUDIES = sorted((ROOT / "configs" / "teaching").glob("*.yaml"))


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_study_has_its_page_with_a_plot(study: Path) -> None:
    page = PAGES / f"{study.stem}.md"
    text = page.read_text()
    assert f"ablate run configs/teaching/{study.name} && ablate board" in text
    assert "**What to look for.**" in text and "**What it shows.**" in text
    images = re.findall(r"!\[.+?\]\((\S+?)\)", text)
    assert images
    assert f"]({page.name})" in (PAGES / "README.md").read_text()


def test_every_link_leads_somewhere() -> None:
    for page in [*PAGES.glob("*.md"), ROOT / "docs" / "probes.md"]:
        for target in re.findall(r"\]\((?!http)(\S+?)\)", page.read_text()):
            name, _, anchor = target.partition("#")
            place = page.parent / name if name else page
            assert place.is_file(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", place.read_text(), re.M)
                assert anchor in map(anchor_of, headings), f"{page.name}: {target}"


def anchor_of(heading: str) -> str:
    """The anchor that a page gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_no_plot_is_left_over() -> None:
    text = "".join(page.read_text() for page in PAGES.glob("*.md"))
    assert [each.name for each in PAGES.glob("*.png") if each.name not in text] == []


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_what_a_page_computes_is_so(page: Path) -> None:
    text = page.read_text().replace("```", "")
    found = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(found, out=said.append)
    assert runner.failures == 0, "".join(said)


def ninth_layer(probe, variant: str) -> list[float]:
    """In per cent, before training, at the last hidden layer."""
    changes = ("first_scale", "all_scale", "first_noise", "all_noise")
    key = "scalar/{}/" + probe.layers[-1] + "/input"
    return [100 * float(probe.series(variant, key.format(each))[0, 0]) for each in changes]


def wrong(probe, variant: str) -> list[float]:
    """In per cent, at the end: the whole network, one thinned network, the average of all."""
    scaled = probe.series(variant, "scalar/scaled_error")[0, -1]
    averages = probe.series(variant, "error")[0, -1]
    return [100 * float(each) for each in (scaled, averages[0], averages[-1])]


def moved(probe, variant: str) -> list[float]:
    """The shift of inputs and of gradients after the first and the last epoch."""
    means = (
        probe.over_layers(variant, "scalar/{}/" + what, skip=1)[0]
        for what in ("mean_shift", "relative")
    )
    return [float(each[epoch]) for each in means for epoch in (1, -1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "probe", "values", "relative", "absolute"),
    [
        ("one_percent", "perturbation", ninth_layer, 0.5, 0.02),
        ("co_adaptation", "dropout", wrong, 0.5, 2.0),
        ("covariate_shift", "covariate_shift", moved, 0.5, 0.01),
    ],
)
def test_the_numbers_of_a_page_come_out_again(name, probe, values, relative, absolute, tmp_path):
    """Those of the first seed alone, on whatever processor: near, not equal."""
    study = load_study(ROOT / "configs" / "teaching" / f"{name}.yaml", overrides=["seeds=[0]"])
    results = run(study, logs=tmp_path, executor="inline", watchers=())
    (found,) = measured(report_of(results), probe)
    rows = re.findall(r"^\| (\S+) \| ([\d. |]+) \|$", (PAGES / f"{name}.md").read_text(), re.M)
    assert {variant for variant, _ in rows} == set(found.variants)
    for variant, cells in rows:
        printed = [float(each) for each in cells.split("|")]
        assert values(found, variant) == pytest.approx(printed, rel=relative, abs=absolute)


def test_every_probe_is_documented() -> None:
    text = (ROOT / "docs" / "probes.md").read_text()
    assert [name for name in PROBES if f"| `{name}` |" not in text] == []
    for name, kind in PROBES.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert kind.arguments is not None
        takes = set(kind.arguments.model_fields) - {"bins", "images", "size", "margin", "rate"}
        assert [each for each in takes if f"`{each}`" not in row] == [], name
