"""Evaluations: started, finished, and what people do about what they show.

Who may do so is for the callers to check.
"""

from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.evaluation.models import Evaluation, EvaluationAnswer, GoldAnswer, GoldSet, Split
from apps.evaluation.reading import measured_of, report_of
from apps.evaluation.recipe import MEASURED
from apps.events.log import emit
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import Budget, RunOrder, start_run
from apps.pipelines.recipes.base import EVALUATION
from apps.pipelines.selection import Selection
from apps.quality.causes import Cause, replace_causes
from apps.quality.measures.comparison import disagreeing
from apps.quality.measures.report import score
from apps.quality.models import ReviewReason
from apps.records.models import Suggestion

MOST_SENT: Final = 5_000  # disagreements sent to review at once


@transaction.atomic
def evaluate(
    *,
    version: PromptVersion,
    gold: GoldSet,
    with_test: bool = False,
    provider_id: UUID | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    created_by: Membership | None = None,
) -> Evaluation:
    """Let the version answer the gold set, as a job (``evaluation.job``); suggestions stay.

    ``with_test`` measures the test split too and counts as a look at it. ``provider_id`` and
    ``model`` are asked where the version names none. Raises ``InvalidError`` for a version of
    another question or another recipe than suggesting, or one that cannot be run.
    """
    order = evaluation_order(
        version=version,
        gold=gold,
        with_test=with_test,
        provider_id=provider_id,
        model=model,
        budget=budget,
    )
    job = start_run(dataset=gold.dataset, order=order, created_by=created_by, measures=True)
    return _begin(
        gold,
        with_test=with_test,
        prompt_version=version,
        agent=job.params["agent"],
        job=job,
        created_by=created_by,
    )


def evaluation_order(
    *,
    version: PromptVersion,
    gold: GoldSet,
    with_test: bool = False,
    provider_id: UUID | None = None,
    model: str | None = None,
    budget: Budget | None = None,
) -> RunOrder:
    """The run that ``evaluate`` starts, for its price to be told before. Raises ``InvalidError``
    for a version of another question, or of a recipe that does not suggest."""
    if version.question_id != gold.question_id:
        raise InvalidError(
            gettext("The prompt version and the gold set are about different questions.")
        )
    if version.recipe not in MEASURED:
        told = gettext("%(version)s belongs to the recipe %(recipe)s: only suggesting is measured.")
        raise InvalidError(told % {"version": version, "recipe": version.recipe})
    return RunOrder(
        recipe="evaluate",
        prompt_version_id=version.id,
        provider_id=provider_id,
        model=model,
        params={**version.params, "test_percent": gold.test_percent},
        selection=Selection(record_ids=_records(gold, with_test)),
        write_mode=EVALUATION,
        budget=budget or Budget(),
    )


def _records(gold: GoldSet, with_test: bool) -> list[UUID]:
    rows = GoldAnswer.objects.filter(gold_set=gold).order_by("record")
    if not with_test:
        rows = rows.filter(split=Split.DEV)
    ids = list(rows.values_list("record_id", flat=True))
    if not ids:
        raise InvalidError(gettext("No record of this gold set is left to be asked about."))
    return ids


def _begin(
    gold: GoldSet,
    *,
    with_test: bool,
    agent: str,
    prompt_version: PromptVersion | None = None,
    job: Job | None = None,
    created_by: Membership | None = None,
) -> Evaluation:
    look = None
    if with_test:
        GoldSet.objects.filter(id=gold.id).update(test_looks=F("test_looks") + 1)
        look = GoldSet.objects.values_list("test_looks", flat=True).get(id=gold.id)
    evaluation = Evaluation.objects.create(
        gold_set=gold,
        prompt_version=prompt_version,
        agent=agent,
        job=job,
        look=look,
        created_by=created_by,
    )
    emit(
        "evaluation.created",
        dataset_id=gold.dataset_id,
        object_id=evaluation.id,
        payload={"gold_set": str(gold.id), "agent": agent, "look": look},
    )
    return evaluation


@transaction.atomic
def evaluate_agent(
    *,
    agent: str,
    gold: GoldSet,
    with_test: bool = False,
    created_by: Membership | None = None,
) -> Evaluation:
    """Measure what an agent has suggested for the gold set's records; nothing is asked.

    Raises ``InvalidError`` when it has suggested nothing there.
    """
    asked = _records(gold, with_test)
    rows = Suggestion.objects.filter(question=gold.question_id, agent=agent, record__in=asked)
    found = list(rows.values_list("record_id", "value", "certainty"))
    if not found:
        raise InvalidError(
            gettext("%r has suggested nothing for the records of this gold set.") % agent
        )
    evaluation = _begin(gold, with_test=with_test, agent=agent, created_by=created_by)
    EvaluationAnswer.objects.bulk_create(
        EvaluationAnswer(
            organization_id=current(),
            evaluation=evaluation,
            record_id=record_id,
            value=value,
            confidence=None if certainty is None else min(max(certainty, 0.0), 1.0),
        )
        for record_id, value, certainty in found
    )
    return finish(evaluation=evaluation)


@transaction.atomic
def finish(*, evaluation: Evaluation) -> Evaluation:
    """Measure the evaluation once its job has ended, and again when that has gone on since.

    While the job is unfinished there is no report, also where there was one before.
    """
    rows = Evaluation.objects.select_for_update(of=("self",)).filter(id=evaluation.id)
    locked = rows.select_related("gold_set__question", "gold_set__dataset", "job").get()
    if locked.job is not None and not locked.job.has_ended:
        return _unmeasured(locked)
    if locked.is_current:
        return locked
    locked.reports = {split.value: report_of(locked, split) for split in locked.splits}
    locked.measured_at = timezone.now()
    locked.save(update_fields=["reports", "measured_at", "updated_at"])
    emit(
        "evaluation.measured",
        dataset_id=locked.gold_set.dataset_id,
        object_id=locked.id,
        payload={"agent": locked.agent},
    )
    return locked


def _unmeasured(evaluation: Evaluation) -> Evaluation:
    if evaluation.measured_at is not None:
        evaluation.reports, evaluation.measured_at = {}, None
        evaluation.save(update_fields=["reports", "measured_at", "updated_at"])
    return evaluation


@transaction.atomic
def finish_all(*, dataset: Dataset) -> None:
    """Measure the dataset's evaluations whose jobs have ended meanwhile, as ``finish``."""
    rows = Evaluation.objects.of_dataset(dataset).outdated()
    for evaluation in rows.select_related("job"):
        if evaluation.measured_at or evaluation.job is None or evaluation.job.has_ended:
            finish(evaluation=evaluation)


@transaction.atomic
def promote(
    *,
    version: PromptVersion,
    selection: Selection | None = None,
    provider_id: UUID | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    created_by: Membership | None = None,
) -> Job:
    """Let the version suggest from now on: a job writes its answers as the records' suggestions.

    ``selection`` None is every record. Others' suggestions stay in the history. Raises
    ``InvalidError`` for a version that cannot be run.
    """
    order = RunOrder(
        recipe=version.recipe,
        prompt_version_id=version.id,
        provider_id=provider_id,
        model=model,
        selection=selection or Selection(),
        budget=budget or Budget(),
    )
    job = start_run(dataset=version.dataset, order=order, created_by=created_by)
    emit(
        "prompt.promoted",
        dataset_id=version.dataset_id,
        object_id=version.id,
        payload={"number": version.number, "job": str(job.id)},
    )
    return job


@transaction.atomic
def send_to_review(*, evaluation: Evaluation, record_ids: list[UUID] | None = None) -> int:
    """Put the records that the evaluation disagrees about into the review queue; returns how many.

    Those of the development split, whose records may be looked at: all, or those of
    ``record_ids``. What reviewers decide there is the next gold set's. Raises ``ConflictError``
    before the evaluation is measured.
    """
    if evaluation.measured_at is None:
        raise ConflictError(gettext("The evaluation is not finished yet."))
    ids, measured = measured_of(evaluation, Split.DEV)
    wanted = None if record_ids is None else set(record_ids)
    question: Question = evaluation.gold_set.question
    causes = [
        Cause(ids[place], ReviewReason.EVALUATION, question.id, likeness)
        for place in disagreeing(measured)
        if wanted is None or ids[place] in wanted
        for likeness in [score(measured.rule, measured.truth[place], measured.predicted[place])]
    ][:MOST_SENT]
    if causes:
        replace_causes(
            evaluation.gold_set.dataset_id,
            causes,
            kinds=[ReviewReason.EVALUATION],
            scope=[cause.record_id for cause in causes],
            question_id=question.id,
        )
    return len(causes)


@transaction.atomic
def delete_evaluation(*, evaluation: Evaluation) -> None:
    """Delete an evaluation; looks at the test split stay counted. A running job finds out."""
    Evaluation.objects.filter(id=evaluation.id).delete()
    emit(
        "evaluation.deleted",
        dataset_id=evaluation.gold_set.dataset_id,
        object_id=evaluation.id,
        payload={"agent": evaluation.agent},
    )
