"""Setting a question's monitor, and what happens by the clock. Who may do so is for the callers."""

from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import InvalidError
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.datasets.models import Question
from apps.events.log import emit
from apps.monitoring.models import Monitor
from apps.quality.answers import LEARNABLE, submitted_count

RETRAIN: Final = "monitor.retrain_due"


@transaction.atomic
def monitor_of(*, question: Question) -> Monitor:
    """The question's monitor, made without any rule where there is none yet."""
    monitors = Monitor.objects.select_related("dataset", "question")
    found: Monitor | None = monitors.filter(question=question).first()
    if found is not None:
        return found
    made, _ = Monitor.objects.get_or_create(
        question=question,
        defaults={
            "dataset_id": question.dataset_id,
            "answers": submitted_count(question.dataset_id),
        },
    )
    made.dataset, made.question = question.dataset, question
    return made


@transaction.atomic
def configure_monitor(
    *,
    question: Question,
    threshold: float | None = None,
    random_percent: float = 0,
    against_head: bool = False,
    daily_limit: int = 500,
    keep_days: int = 90,
    retrain_every: int | None = None,
) -> Monitor:
    """Set the rules by which predictions go to people, how long they are kept, and after how many
    new answers a notice to retrain is due. Raises ``InvalidError`` for what cannot be."""
    wanted: dict[str, Any] = {
        "threshold": threshold,
        "random_percent": random_percent,
        "against_head": against_head,
        "daily_limit": daily_limit,
        "keep_days": keep_days,
        "retrain_every": retrain_every,
    }
    _check(question, **wanted)
    monitor = monitor_of(question=question)
    changes = dict(wanted)
    if retrain_every != monitor.retrain_every:
        changes["answers"] = submitted_count(question.dataset_id)
    Monitor.objects.filter(question=question).update(**changes)
    for name, value in changes.items():
        setattr(monitor, name, value)
    emit(
        "monitor.configured",
        dataset_id=question.dataset_id,
        object_id=question.id,
        payload=wanted,
    )
    return monitor


def _check(
    question: Question,
    *,
    threshold: float | None,
    random_percent: float,
    against_head: bool,
    daily_limit: int,
    keep_days: int,
    retrain_every: int | None,
) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidError(gettext("The threshold lies between 0 and 1."))
    if not 0 <= random_percent <= 100:
        raise InvalidError(gettext("The random share lies between 0 and 100 %."))
    least = 1 if retrain_every is None else retrain_every
    if daily_limit < 0 or not 1 <= keep_days <= 3_650 or least < 1:
        raise InvalidError(gettext("The limit is at least 0, days and answers at least 1."))
    if against_head and question.type not in LEARNABLE:
        raise InvalidError(f"There is no few-shot head for {question.type} questions.")


# --- By the clock --------------------------------------------------------------------------------
_DUE: Final = """
SELECT m.organization_id, m.question_id FROM monitor m
WHERE m.retrain_every IS NOT NULL AND m.answers + m.retrain_every <= (
    SELECT count(*) FROM response r WHERE r.organization_id = m.organization_id
        AND r.dataset_id = m.dataset_id AND r.status = 'submitted')
"""
_PRUNE: Final = """
DELETE FROM prediction p USING monitor m
WHERE m.organization_id = p.organization_id AND m.question_id = p.monitor_id
    AND p.predicted_at < %s - make_interval(days => m.keep_days)
"""


def notice_due() -> int:
    """Tell of the monitors with enough new answers, of all organizations; returns how many."""
    return sum(for_each(find(_DUE), _notice))


def _notice(organization_id: UUID, question_id: UUID) -> bool:
    with enter(organization_id):
        return notice_retrain(question_id=question_id)


@transaction.atomic
def notice_retrain(*, question_id: UUID) -> bool:
    """Tell, once, that there are enough new answers to retrain; False while there are not."""
    # The lock makes two who notice at once take turns.
    rows = Monitor.objects.select_for_update(of=("self",)).filter(question=question_id)
    monitor = rows.first()
    if monitor is None or monitor.retrain_every is None:
        return False
    answers = submitted_count(monitor.dataset_id)
    if answers < monitor.answers + monitor.retrain_every:
        return False
    rows.update(answers=answers, noticed_at=timezone.now())
    emit(
        RETRAIN,
        dataset_id=monitor.dataset_id,
        object_id=question_id,
        payload={"answers": answers, "new": answers - monitor.answers},
    )
    return True


def prune() -> int:
    """Forget the predictions that have been kept long enough; returns how many."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(_PRUNE, [timezone.now()])
        return int(cursor.rowcount)
