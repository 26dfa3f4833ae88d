"""What reviewers made of one's answers, and where one was named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.annotation.models import Response, ResponseStatus
from apps.datasets.models import Question, QuestionType
from apps.datasets.schema import QuestionRule
from apps.datasets.values import says_same
from apps.labeling.review_values import Shown, show_value, word_diff
from apps.organizations.models import Membership
from apps.quality.models import Feedback, FeedbackKind, Mention

NEWEST: Final = 100


@dataclass(frozen=True, slots=True)
class Change:
    """One question: what one said, and what was decided; ``after`` None: it can't be."""

    title: str
    before: Shown
    after: Shown | None
    is_ambiguous: bool
    is_same: bool


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One record's feedback; ``waits`` for one's second answer."""

    feedback: Feedback
    changes: list[Change]
    waits: bool
    is_new: bool


def feedback_of(
    member: Membership, kinds: Sequence[str] = FeedbackKind.values, newest: int = NEWEST
) -> list[FeedbackRow]:
    """The newest feedback to the member. Three queries for any number, one for none."""
    rows = Feedback.objects.filter(user=member, kind__in=kinds).select_related(
        "record", "dataset", "reviewer"
    )
    found = list(rows.order_by("-id")[:newest])
    questions = Question.objects.filter(dataset__in={row.dataset_id for row in found}).in_order()
    rules = {(q.dataset_id, q.name): QuestionRule(q) for q in questions}
    drafts = set(
        Response.objects.filter(
            user=member,
            record__in={row.record_id for row in found},
            status=ResponseStatus.DRAFT,
        ).values_list("record_id", flat=True)
    )
    return [
        FeedbackRow(
            feedback=row,
            changes=_changes(row, rules),
            waits=row.kind == FeedbackKind.RETURNED and row.record_id in drafts,
            is_new=row.seen_at is None,
        )
        for row in found
    ]


def mentions_of(member: Membership) -> Sequence[Mention]:
    """The newest comments that name the member, unread ones too. One query."""
    rows = Mention.objects.filter(member=member)
    rows = rows.select_related("comment__record__dataset", "comment__author")
    return list(rows.order_by("-comment_id")[:NEWEST])


def _changes(row: Feedback, rules: Mapping[Any, QuestionRule]) -> list[Change]:
    """In the dataset's order, changed ones first; questions that are gone are left out."""
    changes = []
    for (dataset_id, name), rule in rules.items():
        if dataset_id == row.dataset_id and name in row.before:
            changes.append(_change(row, rule))
    return sorted(changes, key=lambda change: change.is_same)


def _change(row: Feedback, rule: QuestionRule) -> Change:
    fields = row.record.fields
    before = row.before[rule.name].get("value")
    after = row.after.get(rule.name, {}).get("value")
    shown = None if after is None else show_value(rule, after, fields)
    if shown is not None and rule.type == QuestionType.TEXT and before != after:
        shown = Shown(text=shown.text, diff=word_diff(str(before), str(after)))
    return Change(
        title=rule.question.title,
        before=show_value(rule, before, fields),
        after=shown,
        is_ambiguous=rule.name in row.ambiguous,
        is_same=says_same(before, after),
    )
