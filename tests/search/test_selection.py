"""How a winner's choice varies with its search seeds, and what the text says of it."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.search.selection import choose_again


def chosen(scores, direction="max"):
    return choose_again(np.asarray(scores, float), direction, np.random.default_rng(0))


def test_a_point_that_is_best_with_every_seed_always_wins():
    found = chosen([[0.1, 0.2, 0.1], [0.9, 0.8, 0.7], [0.5, 0.6, 0.6]])
    assert found.shares == {1: 1.0}
    assert 0.7 <= found.low < found.high <= 0.9


def test_a_choice_that_hangs_on_the_seed_is_shared_out():
    found = chosen([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], "min")
    assert sum(found.shares.values()) == pytest.approx(1)
    # Which of two wins is which of two seeds is drawn more often: 10 draws of 27, and as many; the
    # first of equals wins the rest, 7 of 27.
    assert found.shares[0] == pytest.approx(17 / 27, abs=0.05)
    # What a seed chose is worse on the seeds that were left out.
    assert found.low == 0.5 and found.high == 1.0


def test_scores_are_of_seeds_left_out():
    # Each point is perfect with one seed, which chooses it, and useless with the other.
    found = chosen([[1.0, 0.0], [0.0, 1.0]])
    assert (found.low, found.high) == (0.0, 0.0)


def test_lost_points_cannot_win_and_keep_their_numbers():
    found = chosen([[np.nan, 0.9], [0.5, 0.5], [0.4, 0.4]])
    assert found.shares == {1: 1.0}


@pytest.mark.parametrize("scores", [[[0.5], [0.6]], [[0.5, 0.4]], [[np.nan, 1], [0.4, 0.3]]])
def test_one_seed_or_one_point_says_nothing(scores):
    assert chosen(scores) is None
