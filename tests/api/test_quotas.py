"""Quotas of a dataset and of its people."""

from uuid import uuid4

import pytest

from apps.datasets.models import Dataset
from tests import factories
from tests.api.conftest import Cast


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        return factories.make_dataset(cast.workspace)


def test_a_persons_quotas_are_set_and_listed(cast: Cast, dataset: Dataset) -> None:
    ann = cast.people["annotator_in"]
    cast["admin_in"].patch(f"/datasets/{dataset.id}", {"daily_quota": 9, "total_quota": 90})
    given = {"daily_quota": 0, "total_quota": 5}
    answer = cast["admin_in"].put(f"/datasets/{dataset.id}/users/{ann.id}/quotas", given)
    assert (answer.status_code, answer.json()) == (200, given)
    listed = cast["admin_in"].get(f"/datasets/{dataset.id}/quotas").json()
    assert (listed["daily_quota"], listed["total_quota"]) == (9, 90)
    mine = next(row for row in listed["users"] if row["user_id"] == str(ann.id))
    assert mine["username"] == ann.username
    assert {name: mine[name] for name in given} == given
    metrics = cast["annotator_in"].get(f"/me/datasets/{dataset.id}/metrics").json()
    assert metrics["today"] == {"submitted": 0, "daily_quota": 0}
    assert metrics["total_quota"] == 5


@pytest.mark.parametrize("who", ["annotator_out", None])
def test_quotas_are_for_people_of_the_workspace(
    cast: Cast, dataset: Dataset, who: str | None
) -> None:
    user_id = cast.people[who].id if who else uuid4()
    path = f"/datasets/{dataset.id}/users/{user_id}/quotas"
    answer = cast["admin_in"].put(path, {"daily_quota": 1, "total_quota": None})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"daily_quota": -1, "total_quota": None}, {"daily_quota": "x"}, {"total_quota": 1}]
)
def test_wrong_quotas_are_a_422(cast: Cast, dataset: Dataset, body: dict[str, object]) -> None:
    ann = cast.people["annotator_in"]
    path = f"/datasets/{dataset.id}/users/{ann.id}/quotas"
    assert cast["admin_in"].put(path, body).status_code == 422
