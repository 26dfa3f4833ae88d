"""Several rankings become one."""

from uuid import UUID, uuid4

import pytest

from apps.search.hybrid import fuse

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def test_the_sum_of_reciprocal_ranks_counts() -> None:
    fused = fuse([A, B, C], [C, A])
    assert [id for id, _ in fused] == [A, C, B]
    assert dict(fused) == pytest.approx(
        {A: 1 / 61 + 1 / 62, B: 1 / 62, C: 1 / 63 + 1 / 61}, abs=1e-12
    )


def test_what_both_find_beats_what_one_finds_first() -> None:
    assert fuse([A, C], [B, C])[0][0] == C


def test_equal_sums_keep_the_order_in_which_they_are_met() -> None:
    assert [id for id, _ in fuse([A, B], [B, A])] == [A, B]
    assert [id for id, _ in fuse([B], [A])] == [B, A]


def test_weights_and_k_shift_the_balance() -> None:
    assert fuse([A], [B], weights=[1, 2])[0] == (B, 2 / 61)
    first, second = fuse([A, B], k=0)
    assert (first, second) == ((A, 1.0), (B, 0.5))


def test_nothing_becomes_nothing() -> None:
    assert fuse() == fuse([], []) == []
    assert fuse([], [D]) == [(D, 1 / 61)]


def test_a_weight_is_missing() -> None:
    with pytest.raises(ValueError, match="zip"):
        fuse([uuid4()], [uuid4()], weights=[1])
