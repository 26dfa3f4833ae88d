"""A dataset that people have answered, prompts for it, and what was measured of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.evaluation.gold import freeze_gold
from apps.evaluation.models import Evaluation, GoldSet
from apps.evaluation.services import evaluate_agent
from apps.llms.models import Provider
from apps.monitoring.models import Monitor, PredictionCount
from apps.monitoring.predictions import PredictionInput, log_predictions
from apps.monitoring.services import configure_monitor, monitor_of
from apps.pipelines.models import PromptVersion
from apps.pipelines.versions import prompt_now, save_prompt
from apps.records.models import Record
from tests.evaluation.worlds import answered, other, skilled, suggest
from tests.factories import make_member

TEMPLATE = "{{ guidelines }}\n\n{{ text }}\n\nAnswer with one of: {{ options }}"
AGENTS = ("acme/tiny@v1", "acme/tiny@v2")


@dataclass
class Measured:
    """``a`` was measured on the development split alone, ``b`` on both."""

    question: Question
    gold: GoldSet
    a: Evaluation
    b: Evaluation

    @property
    def dataset(self) -> Dataset:
        return self.question.dataset


def save_version(
    question: Question, provider: Provider | None = None, **values: Any
) -> PromptVersion:
    """A version of the question's prompt; the same again is the same."""
    words = {"template": TEMPLATE, "shots": 2, "strategy": "nearest", **values}
    note = words.pop("note", "")
    return save_prompt(
        schema=load_schema(question.dataset),
        question=question,
        prompt=prompt_now(question.dataset, question, **words),
        provider_id=provider.id if provider else None,
        model="tiny" if provider else "",
        note=note,
    )


def measure(n: int = 240, **values: Any) -> Measured:
    """``n`` answered records, gold of them, and two agents of which the second is better."""
    question, truth = answered(n, people=2, **values)
    gold = freeze_gold(question=question)
    luck = np.random.default_rng(3).random(n).round(3).tolist()
    suggest(question, skilled(truth, luck, wrong=lambda x: x < 0.4), agent=AGENTS[0], scores=luck)
    a = evaluate_agent(agent=AGENTS[0], gold=gold)
    right = [t if x > 0.15 else other(t) for t, x in zip(truth, luck, strict=True)]
    # Wrong ones are equally unsure: where the sure ones begin must not hang on chance's split.
    sure = [x if x > 0.15 else 0.05 for x in luck]
    suggest(question, right, agent=AGENTS[1], scores=sure)
    b = evaluate_agent(agent=AGENTS[1], gold=gold, with_test=True)
    return Measured(question, gold, a, b)


def watch(question: Question, *, days: int = 20) -> Monitor:
    """Predictions of some days, of which people have seen a few."""
    monitor = configure_monitor(
        question=question, threshold=0.4, random_percent=50, retrain_every=1_000
    )
    items = [
        PredictionInput(
            external_id=f"{day}-{n}",
            fields={"text": f"seen on day {day}, number {n}"},
            value=("positive", "negative", "mixed")[(n * (1 + day // 9)) % 3],
            score=((7 * n + day) % 10) / 10 + 0.05,
            model="intent-7",
            predicted_at=timezone.now() - timedelta(days=day),
        )
        for day in range(days)
        for n in range(8)
    ]
    for start in range(0, len(items), 100):
        log_predictions(monitor=monitor_of(question=question), items=items[start : start + 100])
    person = make_member()
    seen = Record.objects.filter(dataset=question.dataset, fields__text__startswith="seen on")
    for n, record in enumerate(seen.order_by("id")[:40]):
        value = "negative" if n % 4 == 0 else "positive"
        values = {question.name: {"value": value}}
        save_response(record=record, annotator=person, status="submitted", values=values)
    assert PredictionCount.objects.filter(monitor=monitor).exists()
    return monitor
