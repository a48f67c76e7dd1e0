"""The identity of a trial: what it covers, and what it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ablate.errors import StudyError
from ablate.study.digests import digest, source_digest
from ablate.study.identity import NUMERICS, identity_spec, resolve_threads, trial_ids
from ablate.study.schema.ledger import Reseed
from ablate.study.schema.placement import Placement
from ablate.study.trial import Spec


def spec(**sections) -> Spec:
    document = {
        "data": {"name": "digits"},
        "model": {"name": "cnn"},
        "train": {"threads": 1},
        **sections,
    }
    return Spec.model_validate(document)


def one(spec: Spec, seed: int = 0, **options) -> str:
    return trial_ids(spec, [seed], **options)[0]


def test_an_id_is_a_sha256_and_the_same_in_every_process():
    code = (
        "import json, sys; from ablate.study.trial import Spec\n"
        "from ablate.study.identity import trial_ids\n"
        "spec = Spec.model_validate(json.loads(sys.argv[1]))\n"
        "print(trial_ids(spec, [0, 7])[1]); assert 'tensorflow' not in sys.modules"
    )
    document = json.dumps(
        {"data": {"name": "digits"}, "model": {"name": "cnn"}, "train": {"threads": 1}}
    )
    done = subprocess.run(
        [sys.executable, "-c", code, document],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "5"},
    )  # fmt: skip
    assert done.stdout.strip() == one(spec(), 7)
    assert len(one(spec())) == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"train": {"threads": 2}},
        {"train": {"threads": 1, "learning_rate": 0.5}},
        {"train": {"threads": 1, "epochs": 3}},
        {"train": {"threads": 1, "deterministic": False}},
        {"train": {"threads": 1, "freeze": "conv"}},
        {"data": {"name": "digits", "limit": 10}},
        {"model": {"name": "mlp"}},
        {"insert": [Placement(layer="BatchNormalization")]},
        {"change": [{"where": "Dropout", "rate": 0.1}]},
        {"replace": [{"where": "norm", "layer": "LayerNormalization"}]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_decides_numbers_is_in_it(changed):
    assert one(spec(**changed)) != one(spec())


@pytest.mark.parametrize(
    "changed",
    [
        {"train": {"threads": 1, "metrics": ["accuracy"]}},
        {"train": {"threads": 1, "save": "final"}},
        {"train": {"threads": 1, "time_limit": 5.0}},
        {"train": {"threads": 1, "trust": True}},
    ],
)
def test_what_decides_no_number_is_not(changed):
    assert one(spec(**changed)) == one(spec())


def test_a_placements_name_is_not_in_it():
    named = spec(insert=[Placement(layer="Dropout", rate=0.5, name="drop")])
    assert one(named) == one(spec(insert=[Placement(layer="Dropout", rate=0.5)]))
    change = {"where": "Dropout", "rate": 0.1}
    assert one(spec(change=[{**change, "name": "d"}])) == one(spec(change=[change]))


def test_the_ids_of_studies_on_disk_stay():
    """These two ids may never change: studies of 0.1 are found by them.

    A change that moves a trial's numbers raises `NUMERICS`, which moves all ids but these; a new
    field of a spec is null by default and has no part in them.
    """
    golden = "18cb42c158e61655ca30faeb733097ab863725aabda494fbf2dcc34f483299d2"
    inserted = "460f55d381539cfee5d61f80b77e216a13a0cd5efcc6fb82366f3930757f1235"
    assert trial_ids(spec(), [3], numerics=1) == [golden]
    full = spec(
        data={"name": "digits", "limit": 96},
        model={"name": "mlp", "units": [12]},
        train={"threads": 2, "optimizer": {"name": "adam"}, "early_stopping": {"patience": 2}},
        insert=[{"layer": "Dropout", "rate": 0.5, "at": "after_activation", "where": "Dense"}],
    )
    assert trial_ids(full, [3], numerics=1) == [inserted]


def test_what_trials_are_trained_under_is_in_it():
    assert one(spec(), numerics=1) != one(spec(), numerics=9)
    assert one(spec()) == one(spec(), numerics=NUMERICS)


def test_only_standard_scales_of_many_rows_may_have_changed():
    standard = {"name": "digits", "scale": "standard"}
    assert one(spec(data=standard)) == one(spec(data=standard), numerics=2)
    many = {"name": "california_housing", "scale": "standard"}
    assert one(spec(data=many)) != one(spec(data=many), numerics=2)
    assert one(spec(data=many | {"scale": "unit"})) == one(
        spec(data=many | {"scale": "unit"}), numerics=2
    )


def test_how_rows_reach_a_step_is_not_in_it():
    ids = {one(spec(data={"name": "digits", "load": each})) for each in (None, "memory", "stream")}
    assert ids == {one(spec())}


def test_networks_that_are_brought_along_were_read_otherwise_before(tmp_path):
    (tmp_path / "own.keras").write_bytes(b"layers")
    moved = [
        spec(model={"file": str(tmp_path / "own.keras")}),
        spec(model={"call": "json:loads"}),
        spec(model={"call": "json:loads"}, train={"threads": 1, "loss": {"head": "mse"}}),
        spec(model={"call": "json:loads"}, train={"threads": 1, "loss": "mse"}),
    ]
    assert [one(each) == one(each, numerics=1) for each in moved] == [False] * 4


@pytest.mark.parametrize(
    ("where", "moved"),
    [("BatchNormalization", True), (["Dropout", "norm"], True), ("path:BN[0]", True),
     ("Dropout", False), (["Dropout[0]", "Dropout[1:]"], False)],
)  # fmt: skip
def test_only_removals_that_may_give_a_bias_back_get_new_ids(where, moved):
    """Numerics 2 gives hosts the bias that a removed BatchNormalization made needless."""
    removing = spec(remove=[{"where": where}])
    assert (one(removing) != one(removing, numerics=1)) is moved


def test_seeds_and_salts_tell_trials_apart():
    ids = trial_ids(spec(), range(50))
    assert len(set(ids)) == 50
    assert one(spec(), salt="again") != one(spec())


def test_what_is_drawn_anew_is_part_of_the_identity_and_nothing_is_not():
    assert one(spec(reseed=None)) == one(spec())
    ids = {one(spec(reseed={source: 7})) for source in Reseed.model_fields}
    assert len(ids | {one(spec()), one(spec(reseed={"order": 8}))}) == len(Reseed.model_fields) + 2


def test_threads_must_be_resolved():
    with pytest.raises(ValueError, match="resolved"):
        trial_ids(spec(train={"threads": "auto"}), [0])


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("rows.npz", lambda file: {"data": {"path": file}}),
        ("own.keras", lambda file: {"model": {"file": file}}),
        ("own.h5", lambda file: {"model": {"name": "vgg16", "weights": file}}),
    ],
    ids=["data.path", "model.file", "model.weights"],
)
def test_a_changed_file_changes_the_id_and_a_moved_one_does_not(tmp_path, name, sections):
    first = tmp_path / name
    first.write_bytes(b"rows")
    before = one(spec(**sections(str(first))))
    moved = first.rename(tmp_path / f"moved-{name}")
    assert one(spec(**sections(str(moved)))) == before
    moved.write_bytes(b"other rows")
    assert one(spec(**sections(str(moved)))) != before


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"File not found: '.*gone\.npz'"):
        one(spec(data={"path": str(tmp_path / "gone.npz")}))


def test_a_digest_is_remembered_by_size_and_time(tmp_path):
    file = tmp_path / "data.npz"
    file.write_bytes(b"rows")
    memory: dict = {}
    first = digest(file, memory)
    stat = file.stat()
    file.write_bytes(b"ROWS")  # same size; set the time back, so that only content differs
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert digest(file, memory) == first
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert digest(file, memory) != first


def test_a_folder_counts_names_and_contents(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.png").write_bytes(b"x")
    first = digest(tmp_path)
    (tmp_path / "cats" / "1.png").rename(tmp_path / "cats" / "2.png")
    assert digest(tmp_path) != first


def test_hidden_files_of_a_folder_do_not_count(tmp_path):
    """A desktop that leaves its own there does not make other data of it."""
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.png").write_bytes(b"x")
    first = digest(tmp_path)
    (tmp_path / "cats" / ".DS_Store").write_bytes(b"hidden")
    (tmp_path / ".thumbs").write_bytes(b"hidden")
    assert digest(tmp_path) == first
    (tmp_path / "cats" / "2.png").write_bytes(b"seen")
    assert digest(tmp_path) != first


def test_an_archive_that_is_spoilt_is_named(tmp_path):
    place = tmp_path / "model.keras"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(range(256)) * 40)
    content = bytearray(place.read_bytes())
    content[60:80] = b"\xff" * 20
    place.write_bytes(content)
    with pytest.raises(StudyError, match=r"model\.keras' cannot be read"):
        digest(place)


def test_a_model_saved_twice_is_one_model(tmp_path):
    for name, when in (("a.keras", "monday"), ("b.keras", "tuesday")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", when)
    assert digest(tmp_path / "a.keras") == digest(tmp_path / "b.keras")


def test_the_source_of_a_call_is_in_it_and_not_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "my_rows_for_identity.py"
    module.write_text("raise RuntimeError('imported')\n")
    call = "my_rows_for_identity:load"
    before = one(spec(data={"call": call}))
    module.write_text("raise RuntimeError('imported, and changed')\n")
    assert one(spec(data={"call": call})) != before
    assert identity_spec(spec(data={"call": call}))["data"]["call"]["name"] == call
    with pytest.raises(StudyError, match="There is no module 'nowhere'"):
        source_digest("nowhere:load")
    with pytest.raises(StudyError, match=r"written 'package\.module:name'"):
        source_digest("nowhere.load")


CALLED = "called_for_identity:make"


@pytest.mark.parametrize(
    "sections",
    [
        {"data": {"call": CALLED}},
        {"model": {"call": CALLED}},
        {"train": {"threads": 1, "callbacks": [{"call": CALLED}]}},
    ],
    ids=lambda sections: next(iter(sections)),
)
def test_the_source_and_the_name_of_every_call_are_in_it(tmp_path, monkeypatch, sections):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "called_for_identity.py"
    module.write_text("def make(): ...\n")
    before = one(spec(**sections))
    assert one(spec(**sections)) == before
    module.write_text("def make(): ...  # and other\n")
    assert one(spec(**sections)) != before
    renamed = json.loads(json.dumps(sections).replace(":make", ":other"))
    module.write_text("def make(): ...\n")
    assert one(spec(**renamed)) != before
    assert one(spec(**sections)) == before


@pytest.mark.parametrize("changed", [{"variant": "wide"}, {"seed": 3}, {"study": "other.yaml"}])
def test_the_trial_of_another_study_that_a_model_comes_from_is_in_it(changed):
    model = {"study": "first.yaml", "variant": "plain", "seed": 1}
    assert one(spec(model=model)) != one(spec(model={**model, **changed}))


@pytest.mark.parametrize(
    ("asked", "shape", "cores", "expected"),
    [
        ("auto", (8, 8, 1), 8, 1),
        ("auto", (64, 64, 3), 8, 8),
        ("auto", (63, 64, 3), 8, 1),
        ("auto", None, 8, 1),
        (4, (224, 224, 3), 8, 4),
    ],
)
def test_the_thread_rule(asked, shape, cores, expected):
    assert resolve_threads(spec(train={"threads": asked}).train, shape, cores) == expected


def test_a_field_that_is_null_is_left_out_and_an_argument_that_is_null_is_not():
    document = identity_spec(spec(insert=[{"layer": "Dropout", "rate": 0.5, "noise_shape": None}]))
    assert "null" not in json.dumps({**document, "insert": []})
    assert document["insert"][0]["noise_shape"] is None
    assert "except" not in document["insert"][0]


def test_a_call_into_a_package_imports_no_part_of_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "package_for_identity"
    (package / "inner").mkdir(parents=True)
    for place in (package, package / "inner"):
        (place / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "inner" / "rows.py").write_text("def load(): ...\n")
    call = "package_for_identity.inner.rows:load"
    assert source_digest(call) == digest(package / "inner" / "rows.py")
    assert not [name for name in sys.modules if name.startswith("package_for_identity")]
    with pytest.raises(StudyError, match=r"There is no module 'json\.nowhere'"):
        source_digest("json.nowhere:load")


@pytest.fixture
def images(tmp_path):
    """A folder of images that was read rightly before: two classes of one PNG."""
    from PIL import Image

    for kind in ("ant", "bee"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        Image.new("RGB", (4, 3)).save(tmp_path / "set" / kind / "a.png")
    return tmp_path / "set"


def of(root, **arguments):
    return one(spec(data={"directory": str(root), "image_size": [4, 3]}), **arguments)


def test_hidden_files_have_no_part_in_a_folders_id_and_all_others_have(images):
    before = of(images)
    (images / "ant" / "._a.png").write_bytes(b"fork")
    for place in (".git", "ant/.ipynb_checkpoints", "__MACOSX", "bee/.x/y"):
        (images / place).mkdir(parents=True)
        (images / place / "a.png").write_bytes(b"checkpoint")
    assert of(images) == before
    (images / "bee" / "x").symlink_to(images / "ant")
    linked = of(images)
    assert linked != before
    (images / "bee" / "x").unlink()
    (images / "bee" / "notes.txt").write_text("a")
    assert of(images) not in (before, linked)


def test_only_folders_that_are_read_otherwise_get_new_ids(images):
    """Numerics 2 turns images and reads WebP; it also passes over what hidden folders hold."""
    from PIL import Image

    assert of(images) == of(images, numerics=1)
    (images / "ant" / ".x").mkdir()
    (images / "ant" / ".x" / "b.png").write_bytes(b"counted before")
    assert of(images) != of(images, numerics=1)
    (images / "ant" / ".x" / "b.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.new("RGB", (4, 3)).save(images / "ant" / "b.jpg", exif=exif)
    assert of(images) == of(images, numerics=1)
    memory = {}
    same = of(images, memory=memory)
    exif[0x0112] = 6
    Image.new("RGB", (4, 3)).save(images / "ant" / "b.jpg", exif=exif)
    assert of(images, memory=memory) not in (same, of(images, numerics=1))
    (images / "ant" / "b.jpg").unlink()
    assert of(images) == of(images, numerics=1)
    Image.new("RGB", (4, 3)).save(images / "ant" / "b.webp")
    assert of(images) != of(images, numerics=1)


def test_modules_that_a_file_needs_count_by_their_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("own_of_identity.py").write_text("A = 1\n")
    Path("m.keras").write_bytes(b"layers")
    plain = spec(model={"file": "m.keras"})
    needing = spec(model={"file": "m.keras", "imports": ["own_of_identity"]})
    before = one(needing)
    assert before != one(plain)
    Path("own_of_identity.py").write_text("A = 22\n")
    assert one(needing) != before
