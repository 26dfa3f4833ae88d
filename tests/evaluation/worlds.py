"""Datasets that people have answered, with agents of known skill."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.datasets.models import Question
from apps.records.inputs import RecordInput, ResponseInput
from apps.records.models import Record, Suggestion
from tests.factories import make_dataset, make_member

VALUES = ["positive", "negative", "mixed"]


def answered(
    n: int, *, seed: int = 0, people: int = 1, **values: Any
) -> tuple[Question, list[str]]:
    """A question about ``n`` records that ``people`` answer alike, and the answers in order."""
    dataset = make_dataset(min_submitted=people, **values)
    truth = [VALUES[i] for i in np.random.default_rng(seed).integers(0, 3, n)]
    members = [make_member() for _ in range(people)]
    items = [
        RecordInput(
            fields={"text": f"sentence {i}"},
            responses=[
                ResponseInput(
                    user_id=member.id,
                    status="submitted",
                    values={"sentiment": {"value": value}},
                )
                for member in members
            ],
        )
        for i, value in enumerate(truth)
    ]
    log_records(dataset=dataset, items=items)
    question = Question.objects.select_related("dataset__workspace").get(dataset=dataset)
    return question, truth


def suggest(
    question: Question,
    answers: Sequence[str],
    *,
    agent: str = "acme/tiny@v1",
    scores: Sequence[float] | None = None,
) -> None:
    """What the agent suggests for the dataset's records, in order; in place of any other."""
    ids = Record.objects.filter(dataset=question.dataset_id).in_order().values_list("id", flat=True)
    Suggestion.objects.filter(question=question).delete()
    Suggestion.objects.bulk_create(
        Suggestion(
            record_id=id,
            question=question,
            dataset_id=question.dataset_id,
            value=value,
            value_key=value,
            score=score,
            certainty=score,
            agent=agent,
            type="model",
            updated_at=timezone.now(),
        )
        for id, value, score in zip(ids, answers, scores or [0.9] * len(answers), strict=True)
    )


def other(value: str) -> str:
    return VALUES[(VALUES.index(value) + 1) % 3]


def skilled(truth: Sequence[str], luck: Any, *, wrong: Any) -> list[str]:
    """The truth, but where ``wrong(luck)`` says so."""
    return [other(t) if wrong(x) else t for t, x in zip(truth, luck, strict=True)]
