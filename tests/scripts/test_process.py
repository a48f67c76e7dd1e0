"""The process that runs a script: what it does there ends with it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent / "examples"

pytestmark = pytest.mark.slow


def ablate(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "ablate", *words], cwd=folder, capture_output=True, text=True
    )


ENDS = {
    "print 'x'": "It is of Python 2",
    "print('nearly')\nimport os\nos._exit(3)": "its process ended by itself (status 3)",
}


@pytest.mark.parametrize("text", ENDS)
def test_an_end_of_its_own(tmp_path, text):
    (tmp_path / "train.py").write_text(text)
    done = ablate(tmp_path, "run", "train.py")
    assert done.returncode == 2 and ENDS[text] in done.stderr and "Traceback" not in done.stderr
    if "nearly" in text:
        assert "The last it said:\nnearly" in done.stderr


def test_ctrl_c_ends_a_script_that_runs_for_ever(tmp_path):
    text = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True:\n    pass\n"
    (tmp_path / "train.py").write_text(text)
    driver = subprocess.Popen(
        [sys.executable, "-m", "ablate", "run", "train.py"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        assert driver.poll() is None
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate()
    assert driver.returncode == 130 and "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_two_commands_from_a_script_to_its_table(tmp_path):
    script = tmp_path / "mlp.py"
    script.write_text((EXAMPLES / "mlp_one_hot.py").read_text())
    assert "was not run by `ablate` yet" in ablate(tmp_path, "status", "mlp.py").stderr
    done = ablate(tmp_path, "run", "mlp.py", "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "Running " in done.stderr and "mlp: 4 of 4 trials completed" in done.stdout
    again = ablate(tmp_path, "run", "mlp.py", "--seeds", "2", "--json")
    assert "Running " not in again.stderr and json.loads(again.stdout)
    script.write_text(script.read_text() + "# changed where it matters to no trial\n")
    changed = ablate(tmp_path, "run", "mlp.py", "--seeds", "2")
    assert "Running " in changed.stderr and "Training" not in changed.stdout
    for command in ("status", "report"):
        seen = ablate(tmp_path, command, "mlp.py")
        assert seen.returncode == 0 and "without-dropout" in seen.stdout, seen.stderr
    assert not list(tmp_path.glob("graph*"))  # TensorBoard's callback wrote nothing
