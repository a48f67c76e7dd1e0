"""Markdown that no name can break."""

from __future__ import annotations

import re

from ablate.report.markdown import as_markdown, escape, fenced
from tests.report.studies import BN, study


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    odd = {"a|b": ([], 0, {}), "*c*_d_`e`": ([BN], 0.01, {}), "<script>": ([], 0, {"epochs": 3})}
    blocks = re.findall(r"(?:^\|.*\n)+", as_markdown(study(odd, seeds=3)), re.M)
    assert len(blocks) > 3
    for block in blocks:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1, block


def test_markup_in_names_is_escaped():
    assert escape("a|*b*_`<x>`\n#") == r"a\|\*b\*\_\`\<x\>\` \#"


def test_a_fence_outlasts_the_backticks_within():
    assert fenced("x ```` y", "yaml") == "`````yaml\nx ```` y\n`````"


def test_it_opens_with_the_answer_and_shows_the_plots_that_have_an_address(digits, drawn):
    text = as_markdown(digits, drawn, addresses={"effects": "plots/effects.png"})
    answer = escape(digits.analysis.answer[0])
    assert text.index("# digits-bn-dropout") < text.index(answer) < text.index("## Test accuracy")
    assert re.findall(r"!\[.*?\]\(<(.*?)>\)", text) == ["plots/effects.png"]
    assert "```yaml\nstudy: digits-bn-dropout\n" in text
    assert "```sh\nablate run digits-bn-dropout.yaml\n```" in text
