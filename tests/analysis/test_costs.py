from ablate.analysis.costs import costs
from ablate.analysis.effects import Cost, Spread
from ablate.study.trial import TrialResult
from tests.analysis.simulated import arm, context, result


def timed(variant: str, seed: int, train: float, **more: object) -> TrialResult:
    return result(variant, seed, seconds={"total": train + 1, "train": train}, **more)


def test_costs_are_medians_with_quartiles_and_ratios_to_the_baseline() -> None:
    results = [
        timed("plain", 0, 10.0, inference=(0.1, 0.3)),
        timed("plain", 1, 20.0, inference=(0.2,)),
        timed("bn", 0, 30.0, parameters=1500, inference=(0.4,)),
        timed("bn", 1, 5.0, parameters=1500, status="diverged", inference=()),
    ]
    found = costs(context(results, [arm("plain"), arm("bn"), arm("idle")]))
    assert found == [
        Cost(
            "plain",
            1000,
            1.0,
            Spread(2, 1.5, 1.25, 1.75, 1.0, 2.0),
            1.0,
            Spread(3, 0.2, 0.15000000000000002, 0.25, 0.1, 0.3),
            1.0,
            32.0,
        ),
        Cost(
            "bn",
            1500,
            1.5,
            Spread(1, 3.0, 3.0, 3.0, 3.0, 3.0),
            2.0,
            Spread(1, 0.4, 0.4, 0.4, 0.4, 0.4),
            2.0,
            37.0,
        ),
        Cost("idle"),
    ]


def test_without_a_timed_baseline_there_are_no_ratios() -> None:
    (_, bn) = costs(context([result("bn", 0)], [arm("plain"), arm("bn")]))
    assert bn.parameters == 1000
    assert (bn.parameters_ratio, bn.seconds_per_epoch_ratio, bn.inference_ratio) == (None,) * 3
