import numpy as np
import pytest

from ablate.study.design import ORDERS, hadamard, screening_runs


@pytest.mark.parametrize("order", ORDERS)
def test_rows_and_columns_are_orthogonal(order):
    h = np.array(hadamard(order))
    assert set(np.unique(h)) == {-1, 1}
    assert (h[0] == 1).all() and (h[:, 0] == 1).all()
    assert (h @ h.T == order * np.eye(order, dtype=int)).all()


@pytest.mark.parametrize("factors", [1, 2, 3, 4, 5, 8, 11, 15, 19, 24, 25, 33, 45, 49, 61, 64])
def test_main_effects_are_clear_of_each_other_and_of_all_pairs(factors):
    x = np.array(screening_runs(factors))
    assert (x.T @ x == len(x) * np.eye(factors, dtype=int)).all()
    assert (x.sum(axis=0) == 0).all()
    pairs = [x[:, i] * x[:, j] for i in range(factors) for j in range(i + 1, factors)]
    if pairs:
        assert not (x.T @ np.stack(pairs, axis=1)).any()
    assert (x[0] == 1).all() and (x[-1] == -1).all()
    assert len({tuple(row) for row in x}) == len(x)


def test_runs_grow_with_the_sites():
    sizes = {k: len(screening_runs(k)) for k in (1, 3, 4, 5, 8, 9, 12, 16, 20, 24, 32, 44, 64)}
    assert sizes == {
        1: 2, 3: 8, 4: 8, 5: 16, 8: 16, 9: 24, 12: 24, 16: 32, 20: 40, 24: 48, 32: 64, 44: 88,
        64: 128,
    }  # fmt: skip


@pytest.mark.parametrize("factors", [0, 65])
def test_no_design_for_none_or_too_many(factors):
    with pytest.raises(ValueError, match="1 to 64"):
        screening_runs(factors)
