"""J11: a prompt version answers a gold set; no suggestion is touched."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final
from uuid import UUID

import numpy as np

from apps.core.tenancy import current
from apps.evaluation.gold import split_of
from apps.evaluation.models import Evaluation, EvaluationAnswer, Split
from apps.jobs.errors import AbandonJobError
from apps.pipelines.parsers import Answer
from apps.pipelines.recipes.base import EVALUATION, Answered, Context
from apps.pipelines.recipes.suggest import Asked, Suggest, SuggestParams
from apps.pipelines.shots import Pool

# Whose prompt versions can be measured: what is asked with them is what suggesting asks.
MEASURED: Final = (Suggest.name, "evaluate")


class EvaluateParams(SuggestParams):
    """``test_percent`` of the gold set says which records are never shown as examples."""

    test_percent: int = 50


class Evaluate(Suggest):
    """Asks what suggesting asks, so that the cache serves both; its answers are measured."""

    name = "evaluate"
    title = "Evaluate a prompt version"
    Params = EvaluateParams
    write_modes: ClassVar[tuple[str, ...]] = (EVALUATION,)

    def pool(self, context: Context) -> Pool:
        """Examples come from what may be looked at: an answer of the test split gives nothing
        away."""
        return without_test(super().pool(context), context.params.test_percent)

    def write(self, context: Context, pairs: Sequence[Answered[Asked, Answer | None]]) -> None:
        evaluation = Evaluation.objects.filter(job=context.job_id).first()
        if evaluation is None:
            raise AbandonJobError("The evaluation was deleted.")
        rows = [
            _answer(evaluation, pair.material.record_id, pair.result, pair)
            for pair in pairs
            if pair.result is not None and pair.material.record_id is not None
        ]
        EvaluationAnswer.objects.bulk_create(rows, ignore_conflicts=True)


def without_test(pool: Pool, test_percent: int) -> Pool:
    """The pool without the records of the test split."""
    splits = [split_of(id, test_percent) for id in pool.ids]
    places = [place for place, split in enumerate(splits) if split == Split.DEV]
    return replace(
        pool,
        ids=[pool.ids[place] for place in places],
        shots=[pool.shots[place] for place in places],
        vectors=pool.vectors[np.array(places, dtype=np.int64)],
        wrong=pool.wrong[np.array(places, dtype=np.int64)],
    )


def _answer(
    evaluation: Evaluation, record_id: UUID, answer: Answer, pair: Answered[Any, Any]
) -> EvaluationAnswer:
    return EvaluationAnswer(
        organization_id=current(),
        evaluation=evaluation,
        record_id=record_id,
        value=answer.value,
        confidence=answer.confidence,
        rationale=answer.rationale[:5_000],
        prompt_tokens=pair.usage.prompt_tokens,
        completion_tokens=pair.usage.completion_tokens,
        usd=pair.usage.usd,
    )
