"""Starting few-shot suggestions, and keeping them up with the answers people give.

Who may do so is for the callers to check.
"""

from typing import Any, Final
from uuid import UUID

from django.db import transaction

from apps.core.errors import ConflictError, InvalidError
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.datasets.models import Question
from apps.events.log import emit
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.quality.answers import LEARNABLE, has_two_kinds, submitted_count
from apps.quality.models import SuggesterSettings

KIND: Final = "suggest_few_shot"
PICK: Final = "pick_records"


_DUE = """
SELECT s.organization_id, s.question_id FROM suggester_settings s
WHERE s.enabled AND s.answers + s.every <= (
    SELECT count(*) FROM response r WHERE r.organization_id = s.organization_id
      AND r.dataset_id = s.dataset_id AND r.status = 'submitted')
"""


@transaction.atomic
def start_suggestions(
    *,
    question: Question,
    created_by: Membership | None = None,
    overwrite: bool = False,
    limit: int | None = None,
) -> Job:
    """Train on the answers so far and suggest for the pending records, as a job.

    ``limit`` takes only the records next in the queue. Suggestions of others stay unless
    ``overwrite``. Raises ``InvalidError`` when the question cannot be learnt or has answers of
    fewer than two kinds, ``ConflictError`` while such a job runs.
    """
    _require_learnable(question)
    if not has_two_kinds(question):
        raise InvalidError("There are answers of fewer than two kinds so far: nothing to learn.")
    job = enqueue(
        kind=KIND,
        params={"question_id": str(question.id), "overwrite": overwrite, "limit": limit},
        workspace=question.dataset.workspace,
        dataset_id=question.dataset_id,
        subject=str(question.id),
        created_by=created_by,
    )
    known = SuggesterSettings.objects.filter(question=question)
    known.update(answers=submitted_count(question.dataset_id))
    return job


@transaction.atomic
def start_picking(
    *, question: Question, count: int = 100, created_by: Membership | None = None
) -> Job:
    """Move the ``count`` records that teach most about the question to the front, as a job.

    It shows in datasets whose queue is least certain first. Before the first training these are
    typical records, later those that the head cannot decide. Raises ``InvalidError`` when the
    question cannot be learnt, ``ConflictError`` while such a job runs.
    """
    _require_learnable(question)
    if count < 1:
        raise InvalidError("The number of records is at least 1.")
    return enqueue(
        kind=PICK,
        params={"question_id": str(question.id), "count": count},
        workspace=question.dataset.workspace,
        dataset_id=question.dataset_id,
        subject=str(question.id),
        created_by=created_by,
    )


@transaction.atomic
def configure_suggester(
    *, question: Question, enabled: bool, every: int = 20, limit: int = 10_000
) -> SuggesterSettings:
    """Turn suggestions while people label on or off.

    After ``every`` new submitted answers the next ``limit`` records of the queue get fresh
    suggestions. Raises ``InvalidError`` when the question cannot be learnt.
    """
    _require_learnable(question)
    if every < 1 or limit < 1:
        raise InvalidError("The number of answers and the number of records are at least 1.")
    settings, _ = SuggesterSettings.objects.update_or_create(
        question=question,
        defaults={
            "dataset_id": question.dataset_id,
            "enabled": enabled,
            "every": every,
            "limit": limit,
        },
    )
    emit(
        "suggester.configured",
        dataset_id=question.dataset_id,
        object_id=question.id,
        payload={"enabled": enabled, "every": every, "limit": limit},
    )
    return settings


@transaction.atomic
def maybe_retrain(*, question: Question) -> Job | None:
    """Start a training if enough answers are new; None if not, or while one is running."""
    # The lock makes two who notice at once take turns.
    rows = SuggesterSettings.objects.select_for_update(of=("self",))
    settings = rows.filter(question=question, enabled=True).first()
    if settings is None or not has_two_kinds(question):
        return None
    if submitted_count(question.dataset_id) < settings.answers + settings.every:
        return None
    try:
        return start_suggestions(question=question, limit=settings.limit)
    except ConflictError:
        return None


def retrain_due() -> int:
    """Start the trainings that are due, of all organizations; returns how many."""
    return sum(for_each(find(_DUE), _retrain))


def _retrain(organization_id: UUID, question_id: UUID) -> bool:
    with enter(organization_id):
        questions: Any = Question.objects.select_related("dataset__workspace")
        question = questions.filter(id=question_id).first()
        return question is not None and maybe_retrain(question=question) is not None


def _require_learnable(question: Question) -> None:
    if question.type not in LEARNABLE:
        raise InvalidError(
            "Suggestions are learnt for label, multi-label and rating questions,"
            f" not for {question.type} questions."
        )
