"""The functions that search the documents of words: what they give, and to whom."""

from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, ProgrammingError, connections, transaction

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.records.models import Record
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_organization, make_records

pytestmark = pytest.mark.django_db(databases=ALL_DATABASES)

COUNT = "SELECT count_documents(%s, %s, NULL)"
RANK = "SELECT record_id FROM rank_documents(%s, %s, NULL, 0, NULL)"


def ask(statement: str, *values: Any, alias: str = "default") -> list[Any]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, values)
        return [row[0] for row in cursor.fetchall()]


def filled() -> tuple[UUID, Dataset]:
    organization = make_organization()
    with enter(organization.id):
        dataset = make_dataset()
        make_records(dataset, 3)
    return organization.id, dataset


def test_only_the_entered_organization_is_searched() -> None:
    (ours, our_dataset), (theirs, their_dataset) = filled(), filled()
    for organization_id, own, foreign in (
        (ours, our_dataset, their_dataset),
        (theirs, their_dataset, our_dataset),
    ):
        with enter(organization_id):
            ids = list(Record.objects.in_order().values_list("id", flat=True))
            assert ask(COUNT, own.id, "'text'") == [3]
            assert ask(RANK, own.id, "'text'") == ids
            assert ask(COUNT, foreign.id, "'text'") == [0]
            assert ask(RANK, foreign.id, "'text'") == []
            among = "SELECT record_id FROM rank_documents(%s, %s, %s, 0, NULL)"
            assert ask(among, foreign.id, "'text'", ids) == []


def test_another_dataset_of_the_organization_is_not_searched() -> None:
    organization_id, dataset = filled()
    with enter(organization_id):
        other = make_dataset()
        make_records(other, 2)
        assert ask(COUNT, dataset.id, "'text'") == [3]
        assert ask(COUNT, other.id, "!'nothing'") == [2]


@pytest.mark.parametrize("statement", [COUNT, RANK])
def test_outside_an_organization_they_fail(statement: str) -> None:
    _, dataset = filled()
    with pytest.raises(DataError, match="no organization entered"), transaction.atomic():
        ask(statement, dataset.id, "'text'")


@pytest.mark.parametrize("statement", [COUNT, RANK])
def test_nobody_else_may_call_them(statement: str) -> None:
    _, dataset = filled()
    with (
        pytest.raises(ProgrammingError, match="permission denied for function"),
        transaction.atomic(using="operator"),
    ):
        ask(statement, dataset.id, "'text'", alias="operator")


def test_pages_of_matches_in_order() -> None:
    organization_id, dataset = filled()
    page = "SELECT record_id FROM rank_documents(%s, %s, NULL, %s, %s)"
    with enter(organization_id):
        ids = list(Record.objects.in_order().values_list("id", flat=True))
        assert ask(page, dataset.id, "'text'", 1, 1) == ids[1:2]
        assert ask(page, dataset.id, "'text'", 3, 1) == []
        assert ask("SELECT count_documents(%s, %s, 2)", dataset.id, "'text'") == [2]
        some = "SELECT record_id FROM rank_documents(%s, %s, %s, 0, NULL)"
        assert ask(some, dataset.id, "'text'", ids[1:]) == ids[1:]
        assert ask(some, dataset.id, "'absent'", ids[1:]) == []


@pytest.mark.parametrize("nothing", ["", "'!!'", "!'!!'"])
def test_without_a_word_nothing_matches(nothing: str) -> None:
    organization_id, dataset = filled()
    with enter(organization_id):
        assert ask(COUNT, dataset.id, nothing) == [0]
        assert ask(RANK, dataset.id, nothing) == []
