"""What started by itself does not pile up; what people asked for stays."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from apps.core.tenancy import enter
from apps.jobs import kinds, upkeep
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem
from apps.jobs.services import enqueue
from apps.jobs.tasks import prune
from apps.organizations.models import Organization
from tests.factories import make_member, make_organization
from tests.trouble import refusing

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def acme() -> Organization:
    return make_organization()


def make_job(organization: Organization, kind: str = "tidy", *, days_ago: float = 8) -> Job:
    """A job of two items that ended so many days ago."""
    with enter(organization.id):
        job = enqueue(kind=kind, params={"items": 2})
    run_slice(organization_id=organization.id, job_id=job.id)
    with enter(organization.id):
        Job.objects.filter(id=job.id).update(
            finished_at=F("finished_at") - timedelta(days=days_ago)
        )
    return job


def left(organization: Organization) -> tuple[set[Any], int]:
    """The jobs there are, and how many items they have."""
    with enter(organization.id):
        return set(Job.objects.values_list("id", flat=True)), JobItem.objects.count()


def test_jobs_of_upkeep_are_forgotten_a_week_after_their_end(acme: Organization) -> None:
    make_job(acme)
    with enter(acme.id):
        running = enqueue(kind="tidy", params={"items": 2})
    young = make_job(acme, days_ago=6.9)
    usual = make_job(acme, "count")
    asked_for = make_job(acme)
    with enter(acme.id):
        Job.objects.filter(id=asked_for.id).update(created_by=make_member())
    assert prune() == 1
    assert left(acme) == ({running.id, young.id, usual.id, asked_for.id}, 6)
    assert prune() == 0


def test_they_go_batch_by_batch_in_every_organization(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    other = make_organization("Other")
    for organization in (acme, acme, acme, acme, acme, other):
        make_job(organization)
    with refusing(other, "DELETE", "job"):
        assert prune() == 5
    assert left(acme) == (set(), 0)
    assert left(other)[1] == 2
    assert prune() == 1


def test_what_starts_by_itself_while_people_label_is_upkeep() -> None:
    assert {"refresh_review", "suggest_few_shot"} <= set(kinds.of_upkeep())
