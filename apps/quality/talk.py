"""What people say beside their answers: comments, flags and gaps in the guidelines."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import ConflictError, InvalidError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Question
from apps.events.log import emit
from apps.organizations.models import Membership, Role
from apps.quality.models import Comment, Feedback, Flag, GuidelineGap, Mention
from apps.quality.review import refresh_records
from apps.records.models import Record

MAX_TEXT: Final = 10_000  # characters
_UNREAD: Final = """
SELECT (SELECT count(*) FROM mention WHERE organization_id = %(o)s AND member_id = %(m)s
        AND seen_at IS NULL),
    (SELECT count(*) FROM feedback WHERE organization_id = %(o)s AND user_id = %(m)s
        AND seen_at IS NULL)
"""
_NAME: Final = re.compile(r"(?<![\w.@])@([\w.+\-]+)")


@transaction.atomic
def add_comment(*, record: Record, author: Membership, text: str) -> Comment:
    """Say something about the record; ``@username`` tells members of its workspace of it.

    A name of nobody there is plain text. Raises ``InvalidError`` for an empty or endless text.
    """
    text = checked_text(text)
    comment = Comment.objects.create(record=record, author=author, text=text)
    named = mentioned(record, text)
    Mention.objects.bulk_create(
        [Mention(comment=comment, member=member) for member in named if member.id != author.id]
    )
    emit(
        "comment.created",
        dataset_id=record.dataset_id,
        object_id=comment.id,
        payload={"record": str(record.id), "mentions": [str(member.id) for member in named]},
    )
    return comment


def checked_text(text: str) -> str:
    """Without blanks around. Raises ``InvalidError`` for an empty or endless one."""
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidError(gettext("Write something first."))
    if len(text) > MAX_TEXT:
        raise InvalidError(gettext("A text has at most %d characters.") % MAX_TEXT)
    return text


def names_in(text: str) -> set[str]:
    """The usernames that a text may mean; a full stop after one may belong to it or not."""
    found = set(_NAME.findall(text))
    return found | {name.rstrip(".-") for name in found}


def mentioned(record: Record, text: str) -> list[Membership]:
    """The members of the record's workspace, and owners, whom the text names. One query."""
    names = names_in(text)
    if not names:
        return []
    here = Q(workspace_memberships__workspace=record.dataset.workspace_id) | Q(role=Role.OWNER)
    members = Membership.objects.active().filter(here, username__in=names)
    return list(members.distinct().order_by("username"))


@transaction.atomic
def read_mentions(*, member: Membership, records: Iterable[Record]) -> int:
    """What the member was told about these records is read now; returns how much."""
    unread = Mention.objects.filter(member=member, seen_at__isnull=True)
    comments = Comment.objects.filter(record__in=list(records))
    return unread.filter(comment__in=comments).update(seen_at=timezone.now())


def count_unread(member: Membership) -> tuple[int, int]:
    """Mentions and feedback that the member has not seen. One statement, two index scans."""
    row = raw_cursor().execute(_UNREAD, {"o": current(), "m": member.id}).fetchone()
    return (row[0], row[1]) if row else (0, 0)


@transaction.atomic
def read_feedback(*, member: Membership, feedback: Sequence[Feedback]) -> None:
    """The member has seen these."""
    ids = [one.id for one in feedback if one.seen_at is None]
    if ids:
        own = Feedback.objects.filter(user=member, id__in=ids)
        own.update(seen_at=timezone.now(), updated_at=timezone.now())


@transaction.atomic
def flag_record(*, record: Record, member: Membership, note: str = "") -> Flag:
    """Ask a reviewer to look at the record, which enters the queue at once."""
    note = note.replace("\0", "").strip()[:MAX_TEXT]
    flag, _ = Flag.objects.update_or_create(record=record, member=member, defaults={"note": note})
    emit("record.flagged", dataset_id=record.dataset_id, object_id=record.id)
    refresh_records(dataset=record.dataset, record_ids=[record.id])
    return flag


@transaction.atomic
def unflag_record(*, record: Record, member: Membership) -> None:
    """Take one's own flag back."""
    if Flag.objects.filter(record=record, member=member).delete()[0]:
        emit("record.unflagged", dataset_id=record.dataset_id, object_id=record.id)
        refresh_records(dataset=record.dataset, record_ids=[record.id])


@transaction.atomic
def report_gap(
    *, record: Record, author: Membership, text: str, question: Question | None = None
) -> GuidelineGap:
    """Tell the admins what the guidelines do not say. Raises ``InvalidError``."""
    gap = GuidelineGap.objects.create(
        dataset_id=record.dataset_id,
        record=record,
        question=question,
        author=author,
        text=checked_text(text),
    )
    emit("guideline_gap.created", dataset_id=record.dataset_id, object_id=gap.id)
    return gap


@transaction.atomic
def resolve_gap(*, gap: GuidelineGap, member: Membership, resolution: str = "") -> GuidelineGap:
    """Close the gap with what was done about it. Raises ``ConflictError`` when it is closed."""
    now = timezone.now()
    still_open = GuidelineGap.objects.filter(id=gap.id, resolved_at__isnull=True)
    closed = still_open.update(
        resolved_at=now,
        resolved_by=member,
        resolution=resolution.replace("\0", "").strip()[:MAX_TEXT],
        updated_at=now,
    )
    if not closed:
        raise ConflictError(gettext("This is resolved already."))
    emit("guideline_gap.resolved", dataset_id=gap.dataset_id, object_id=gap.id)
    return GuidelineGap.objects.get(id=gap.id)
