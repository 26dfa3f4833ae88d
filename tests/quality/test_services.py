"""Suggestions that follow the answers while people label."""

from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import InvalidError
from apps.core.tenancy import current, enter
from apps.datasets.models import Question
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.quality.models import SuggesterSettings
from apps.quality.services import configure_suggester, maybe_retrain, retrain_due, start_suggestions
from apps.records.models import Record
from tests.factories import make_dataset, make_member, make_organization, make_records
from tests.quality.conftest import answer, answer_theme

Find = Callable[[str], Question]


def run(job: Job) -> None:
    run_slice(organization_id=current(), job_id=job.id)


def test_a_training_starts_after_enough_new_answers(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    sentiment = question("sentiment")
    configure_suggester(question=sentiment, enabled=True, every=6, limit=10)
    started = []
    for count, record in enumerate(records[:20], start=1):
        answer_theme(record, annotator)
        job = maybe_retrain(question=sentiment)
        if job is not None:
            started.append(count)
            run(job)
    assert started == [6, 12, 18]
    assert Job.objects.filter(state="done", total=10).count() == 3


def test_no_second_training_while_one_runs(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    sentiment = question("sentiment")
    configure_suggester(question=sentiment, enabled=True, every=2)
    for record in records[:2]:
        answer_theme(record, annotator)
    first = maybe_retrain(question=sentiment)
    assert first is not None
    for record in records[2:6]:
        answer_theme(record, annotator)
    assert maybe_retrain(question=sentiment) is None
    run(first)
    assert maybe_retrain(question=sentiment) is not None


def test_answers_of_one_kind_start_nothing(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    configure_suggester(question=question("sentiment"), enabled=True, every=1)
    for record in records[:3]:
        answer(record, annotator, sentiment="mixed")
    assert maybe_retrain(question=question("sentiment")) is None
    answer(records[3], annotator, sentiment="positive")
    assert maybe_retrain(question=question("sentiment")) is not None


def test_a_suggester_that_is_off_starts_nothing(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    for record in records[:4]:
        answer_theme(record, annotator)
    assert maybe_retrain(question=question("sentiment")) is None
    configure_suggester(question=question("sentiment"), enabled=True, every=1)
    configure_suggester(question=question("sentiment"), enabled=False, every=1)
    assert maybe_retrain(question=question("sentiment")) is None
    assert SuggesterSettings.objects.count() == 1


def test_a_training_by_hand_counts_too(
    question: Find, records: list[Record], annotator: Membership
) -> None:
    configure_suggester(question=question("sentiment"), enabled=True, every=4)
    for record in records[:4]:
        answer_theme(record, annotator)
    run(start_suggestions(question=question("sentiment")))
    assert maybe_retrain(question=question("sentiment")) is None


def test_settings_must_make_sense(question: Find) -> None:
    with pytest.raises(InvalidError, match="at least 1"):
        configure_suggester(question=question("sentiment"), enabled=True, every=0)
    with pytest.raises(InvalidError, match="not for text questions"):
        configure_suggester(question=question("comment"), enabled=True)
    configure_suggester(question=question("sentiment"), enabled=True)
    refused = pytest.raises(IntegrityError, match="suggester_settings_numbers_positive")
    with refused, transaction.atomic():
        SuggesterSettings.objects.update(every=0)


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_the_sweep_reaches_every_organization() -> None:
    tenants = [make_organization(name) for name in ("One", "Two", "Three")]
    for tenant, answers in zip(tenants, (4, 4, 3), strict=True):
        Context().run(_prepare, tenant.id, answers)
    assert retrain_due() == 2
    assert retrain_due() == 0
    for tenant, jobs in zip(tenants, (1, 1, 0), strict=True):
        with enter(tenant.id):
            assert Job.objects.count() == jobs


def _prepare(organization_id: Any, answers: int) -> None:
    with enter(organization_id):
        dataset = make_dataset(questions=["sentiment"])
        question = Question.objects.get(dataset=dataset)
        configure_suggester(question=question, enabled=True, every=4)
        annotator = make_member()
        for number, record in enumerate(make_records(dataset, answers)):
            answer(record, annotator, sentiment="mixed" if number % 2 else "positive")
