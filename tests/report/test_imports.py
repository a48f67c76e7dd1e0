"""A report in the terminal starts without matplotlib, a page without pyplot, none with Keras."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from tests.report.studies import study
from ablate.report.printing import console
from ablate.report.terminal import show
show(study(seeds=3), console())
heavy = {"matplotlib", "jinja2", "tensorflow", "keras", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from ablate.report.files import draw_all
import matplotlib
settings = [each for each in matplotlib.rcParams if each != "backend"]  # reading that resolves it
before = [matplotlib.rcParams[each] for each in settings]
for plot in draw_all(study(seeds=3))[0]:
    plot.svg
assert [matplotlib.rcParams[each] for each in settings] == before
assert "matplotlib.pyplot" not in sys.modules
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def test_what_a_report_loads():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
