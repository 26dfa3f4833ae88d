"""The nearest records, exactly: order, ties, filters, odd vectors, and nobody else's."""

from typing import Any

import numpy as np
import pytest

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.records.models import Record
from apps.search import similarity
from apps.search.conditions import Condition
from apps.search.similarity import nearest, vector_of
from tests import factories
from tests.search.vectors import clusters, make_vectors, truth

EVEN = Condition("(r.metadata->>'n')::int %% 2 = %(rest)s", {"rest": 0})


def ids_of(hits: Any) -> list[Any]:
    return [id for id, _ in hits]


def test_the_most_similar_come_first_with_their_cosine(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[1, 0], [0, 3], [2, 2], [-1, 0]])
    hits = nearest(dataset=dataset, settings=settings, vector=[10, 0], count=10)
    assert ids_of(hits) == [ids[0], ids[2], ids[1], ids[3]]
    assert [score for _, score in hits] == pytest.approx([1, 0.5**0.5, 0, -1], abs=1e-6)


def test_the_least_similar_are_nearest_to_the_opposite(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[1, 0], [0, 3], [2, 2], [-1, 0]])
    hits = nearest(dataset=dataset, settings=settings, vector=[10, 0], count=3, least=True)
    assert ids_of(hits) == [ids[3], ids[1], ids[2]]
    assert [score for _, score in hits] == pytest.approx([1, 0, -(0.5**0.5)], abs=1e-6)


def test_equal_ones_come_in_the_order_of_their_insertion(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[0, 1], *[[1, 1]] * 8, [1, 0]])
    hits = nearest(dataset=dataset, settings=settings, vector=[1, 1], count=5)
    assert ids_of(hits) == ids[1:6]


def test_it_finds_what_a_comparison_of_all_finds(organization: Any) -> None:
    vectors = clusters(1_500, 16)
    dataset, settings, ids = make_vectors(vectors)
    for query in clusters(5, 16, seed=1):
        hits = nearest(dataset=dataset, settings=settings, vector=query, count=1_000)
        assert ids_of(hits)[:50] == [ids[row] for row in truth(vectors, query, 50)]
        assert len(hits) == 1_000


@pytest.mark.parametrize("count", [0, -1])
def test_asking_for_none_finds_none(organization: Any, count: int) -> None:
    dataset, settings, _ = make_vectors([[1, 0]])
    assert nearest(dataset=dataset, settings=settings, vector=[1, 0], count=count) == []


def test_a_filter_limits_and_a_record_may_be_left_out(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[1, n] for n in range(10)])
    found: dict[str, Any] = {"dataset": dataset, "settings": settings, "vector": [1, 0]}
    assert ids_of(nearest(**found, count=3, matching=EVEN)) == [ids[0], ids[2], ids[4]]
    hits = nearest(**found, count=3, matching=EVEN, without=ids[0])
    assert ids_of(hits) == [ids[2], ids[4], ids[6]]
    none = Condition("r.status = %(status)s", {"status": "completed"})
    assert nearest(**found, count=3, matching=none) == []


def test_records_without_the_vector_are_not_there(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[1, 0]])
    (bare,) = factories.make_records(dataset)
    other = make_vectors([[1, 0]])
    hits = nearest(dataset=dataset, settings=settings, vector=[1, 0], count=10)
    assert ids_of(hits) == ids
    assert vector_of(bare, settings) is None
    stored = vector_of(Record.objects.get(pk=ids[0]), settings)
    assert stored is not None
    assert (stored.dtype, stored.tolist()) == (np.float32, [1, 0])
    assert vector_of(Record.objects.get(pk=ids[0]), other[1]) is None


def test_zeros_have_no_direction(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[0, 0], [1, 0], [0, 0], [-1, 0]])
    for least in (False, True):
        hits = nearest(dataset=dataset, settings=settings, vector=[1, 0], count=9, least=least)
        assert sorted(ids_of(hits)) == [ids[1], ids[3]]
    with pytest.raises(InvalidError, match="zeros"):
        nearest(dataset=dataset, settings=settings, vector=[0, 0.0], count=9)


def test_long_and_short_vectors_are_compared_by_direction(organization: Any) -> None:
    dataset, settings, ids = make_vectors([[1e15, 0], [1e-15, 1e-15], [0, 7e4]])
    for scale in (1e-40, 1, 1e38):
        hits = nearest(dataset=dataset, settings=settings, vector=[scale, 0], count=9)
        assert ids_of(hits) == ids
        assert [score for _, score in hits] == pytest.approx([1, 0.5**0.5, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([1, 2, 3], "must have 2 elements, got 3 elements"),
        ([], "must have 2 elements, got 0 elements"),
        ([1, float("nan")], "finite"),
        ([1, float("inf")], "finite"),
        ([1, 1e39], "too large"),
        (["a", "b"], "list of finite numbers"),
        ([True, False], "list of finite numbers"),
        ([[1, 2]], "list of finite numbers"),
    ],
)
def test_a_vector_that_cannot_be_compared_is_refused(
    organization: Any, vector: Any, reason: str
) -> None:
    dataset, settings, _ = make_vectors([[1, 0]])
    with pytest.raises(InvalidError, match=reason):
        nearest(dataset=dataset, settings=settings, vector=vector, count=1)


def test_a_search_takes_three_queries(organization: Any, django_assert_num_queries: Any) -> None:
    dataset, settings, _ = make_vectors([[1, 0], [0, 1]])
    for _ in range(8):  # beyond the point where a plan might be kept for all values
        with django_assert_num_queries(3):
            nearest(dataset=dataset, settings=settings, vector=[1, 0], count=1, matching=EVEN)


def test_nobody_elses_vectors_are_found(db: None) -> None:
    ours, theirs = factories.make_organization("Ours").id, factories.make_organization("Theirs").id
    with enter(theirs):
        foreign, settings, _ = make_vectors([[1, 0]])
    with enter(ours):
        make_vectors([[1, 0]])
        assert nearest(dataset=foreign, settings=settings, vector=[1, 0], count=9) == []
        everything = Condition("true")
        hits = similarity.nearest(
            dataset=foreign, settings=settings, vector=[1, 0], count=9, matching=everything
        )
        assert hits == []
