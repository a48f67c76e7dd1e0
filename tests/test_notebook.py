"""docs/tutorial.ipynb runs from top to bottom, and its outputs are what a notebook shows."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


@pytest.mark.slow
def test_the_tutorial_runs_and_shows_itself(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    book = nbformat.read(NOTEBOOK, 4)
    NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = {each.source: each.outputs for each in book.cells if each.cell_type == "code"}
    texts, pages = {}, {}
    for source, outputs in cells.items():
        texts[source] = "".join(each.text for each in outputs if each.output_type == "stream")
        pages[source] = [
            html for each in outputs if (html := each.get("data", {}).get("text/html"))
        ]

    def page(ending: str) -> str:
        """The one thing that the cell with this last line shows as HTML."""
        (source,) = (each for each in cells if each.splitlines()[-1] == ending)
        (found,) = pages[source]
        return found

    assert "before_activation" in page('ablate.sites(build(), where="Dense")')
    bar = page("results = ablate.run(study)")
    assert '<progress value="9.000" max="9"' in bar and "9/9 trials" in bar
    assert not any("\x1b" in each for each in texts.values())
    result = page("results")
    assert "Test accuracy against plain" in result and "data:image/svg+xml" in result
    assert "data:image/svg+xml" in page('analysis.effect("dropout")')
    assert "<strong>" in page("analysis.guards[0]")
    certificate = page("ablate.certify(model, with_bn, x[:256])")
    assert certificate.count("Certificate:") == 1 and "monospace" in certificate
    assert "train.learning_rate" in page('ablate.hypermodel(searched, "dropout")')
