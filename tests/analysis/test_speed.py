from ablate.analysis.effects import LearningSpeed
from ablate.analysis.speed import epochs_to, final, learning_speed
from ablate.study.trial import TrialResult
from tests.analysis.simulated import arm, context, result


def learning(variant: str, seed: int, *curve: float | None, **more: object) -> TrialResult:
    fields = {"epochs": len(curve) - 1, "steps": 40 * (len(curve) - 1)}
    return result(variant, seed, **(fields | {"curves": {"val_accuracy": list(curve)}} | more))  # type: ignore[arg-type]


def test_speed_is_to_what_the_baseline_of_the_same_seed_ended_with() -> None:
    results = [
        learning("plain", 0, 0.1, 0.5, 0.7, 0.8, 0.9),
        learning("plain", 1, 0.1, 0.6, 0.7, 0.7, 0.7),
        learning("plain", 2, 0.1, 0.6, 0.7, 0.8, 0.8),
        learning("bn", 0, 0.1, 0.9, 0.9, 0.9, 0.8),
        learning("bn", 1, 0.1, 0.5, 0.6, 0.6, 0.6),
        learning("bn", 2, 0.1, 0.79, 0.8, 0.9, 0.9),
    ]
    plain, bn = learning_speed(context(results, [arm("plain"), arm("bn")]))
    assert plain.epochs == {0: 4, 1: 2, 2: 3}
    assert plain.speedup == 1.0
    assert bn == LearningSpeed(
        variant="bn",
        curve="val_accuracy",
        target=(0.9 + 0.7 + 0.8) / 3,
        target_kind="baseline",
        n=3,
        reached=2,
        epochs={0: 1, 1: None, 2: 2},
        steps={0: 40, 1: None, 2: 80},
        median_epochs=2.0,
        median_steps=80.0,
        speedup=1.5,
    )


def test_a_given_target_counts_those_that_diverged_as_never() -> None:
    results = [
        learning("plain", 0, 0.1, 0.95),
        learning("plain", 1, 0.1, None, status="diverged"),
        learning("plain", 2, 0.1, 0.2),
    ]
    (found,) = learning_speed(context(results, [arm("plain")], target=0.9))
    assert (found.n, found.reached, found.median_epochs, found.speedup) == (3, 1, None, 1.0)
    assert (found.target, found.target_kind) == (0.9, "given")


def test_the_end_is_where_early_stopping_went_back_to() -> None:
    trial = learning("plain", 0, 0.1, 0.9, 0.5, best_epoch=1)
    assert final(trial, "val_accuracy") == 0.9
    assert final(trial, "val_loss") is None


def test_without_a_curve_or_a_baseline_there_is_no_speed() -> None:
    resolved = [arm("plain"), arm("bn")]
    assert learning_speed(context([], resolved)) == []
    alone = [learning("bn", 0, 0.1, 0.9)]
    assert learning_speed(context(alone, resolved)) == []


def test_where_less_is_better_the_target_is_reached_from_above() -> None:
    assert epochs_to([2.3, None, 0.5, 0.4], 0.5, "min") == 2
    assert epochs_to([2.3, 0.6], 0.5, "min") is None
