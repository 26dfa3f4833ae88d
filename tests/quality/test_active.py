"""Choosing what to label next."""

from typing import Any

import numpy as np
import pytest

from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.jobs.engine import run_slice
from apps.organizations.models import Membership
from apps.quality.active import margins, pick_typical, pick_uncertain
from apps.quality.services import start_picking, start_suggestions
from apps.records.models import Record, RecordTask
from tests.quality.conftest import answer_theme

_random = np.random.default_rng(3)


def test_one_record_of_every_cluster_is_picked() -> None:
    centres = _random.normal(size=(8, 32)) * 5
    points = np.repeat(centres, 50, axis=0) + _random.normal(scale=0.1, size=(400, 32))
    picked = pick_typical(points.astype(np.float32), 8)
    assert sorted(picked // 50) == list(range(8))


@pytest.mark.parametrize("count", [3, 5, 9])
def test_never_more_than_asked_for_and_no_row_twice(count: int) -> None:
    points = _random.normal(size=(5, 4)).astype(np.float32)
    picked = pick_typical(points, count)
    assert len(picked) <= min(count, 5)
    assert len(set(picked)) == len(picked)


def test_the_margin_is_the_lead_of_the_likeliest_class() -> None:
    scores = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]], np.float32)
    assert margins(scores) == pytest.approx([0.0, 0.5])


def test_undecided_records_are_picked() -> None:
    points = _random.normal(size=(200, 8)).astype(np.float32)
    sure = np.linspace(0.5, 1, 200, dtype=np.float32)
    picked = pick_uncertain(points, np.stack([sure, 1 - sure], axis=1), 4)
    assert len(picked) == 4
    assert max(picked) < 40


def test_picked_records_come_first_and_a_new_pick_replaces_them(
    dataset: Dataset, question: Any, records: list[Record], annotator: Membership
) -> None:
    def pick() -> set[Any]:
        job = start_picking(question=question("sentiment"), count=6)
        run_slice(organization_id=current(), job_id=job.id)
        job.refresh_from_db()
        assert (job.state, job.done) == ("done", 6)
        tasks = RecordTask.objects.filter(dataset=dataset).order_by("certainty", "record_id")
        assert tasks.filter(certainty__lt=0).count() <= 6
        return {task.record_id for task in tasks if task.certainty < 0}

    first = pick()
    assert len(first) == 6
    for record in records[:10]:
        answer_theme(record, annotator)
    job = start_suggestions(question=question("sentiment"))
    run_slice(organization_id=current(), job_id=job.id)
    second = pick()
    assert second - first
    for task in RecordTask.objects.filter(record_id__in=first - second, open_slots__gt=0):
        assert task.certainty > 0
    assert second.isdisjoint({record.id for record in records[:10]})
