import pytest

from ablate.errors import StudyError
from ablate.study.schema.probes import PROBES
from ablate.study.study import Study


def make(*probes) -> Study:
    return Study(
        study="s",
        data={"name": "digits"},
        model={"name": "mlp"},
        variants={"plain": {}},
        probes=list(probes),
    )


def test_every_probe_can_be_asked_for_by_its_name():
    assert [each.name for each in make(*PROBES).probes] == list(PROBES)


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ("activation", "no probe is called 'activation'. Did you mean 'activations'?"),
        ({"name": "perturbation", "shares": 0.1}, "Did you mean 'share'?"),
        ({"name": "perturbation", "probe_row": 8}, "Did you mean 'probe_rows'?"),
        ({"name": "perturbation", "kind": "scales"}, "probes[0].kind"),
        ({"name": "dropout", "samples": 0}, "probes[0].samples"),
        ("no_such_module:PROBE", "probes[0]: there is no module 'no_such_module'"),
        ("ablate.errors:StudyError", "is a type. Expected a declaration of a probe"),
    ],
)
def test_a_wrong_probe_is_reported_with_its_place_and_the_nearest_name(probe, words):
    with pytest.raises(StudyError) as error:
        make(probe)
    assert words in str(error.value)


def test_a_probe_may_be_asked_for_twice_with_other_arguments():
    study = make({"name": "perturbation", "share": 0.1}, {"name": "perturbation", "share": 0.2})
    assert [each.arguments for each in study.probes] == [{"share": 0.1}, {"share": 0.2}]
    with pytest.raises(StudyError, match="duplicate probe 'activations'"):
        make("activations", "activations")
