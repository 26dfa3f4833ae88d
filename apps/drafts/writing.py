"""Writing drafts: what is new is stored, what is there already is not."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.core.errors import LimitReachedError
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.drafts.comparison import Comparison
from apps.drafts.content import compared_text, content_digest
from apps.drafts.inputs import DraftInput, Origin
from apps.drafts.models import Draft
from apps.events.log import emit

MAX_WAITING: Final = 100_000  # drafts of a dataset that nobody has decided on


def check_room(dataset: Dataset, count: int) -> None:
    """Raise ``LimitReachedError`` unless ``count`` more drafts may wait."""
    waiting = Draft.objects.of_dataset(dataset).waiting().count()
    if waiting + count > MAX_WAITING:
        raise LimitReachedError(
            f"{waiting} drafts wait already; with {count} more they would be over {MAX_WAITING}."
        )


@transaction.atomic
def write_drafts(
    *,
    dataset: Dataset,
    origin: Origin,
    drafts: Sequence[DraftInput],
    room: Mapping[str, int] | None = None,
    refuses_like: bool = False,
    compared: Sequence[str] = (),
    sources: Mapping[UUID, str] | None = None,
) -> list[Draft]:
    """Store drafts, and return those that are new, in order. Doing it again stores nothing.

    What another draft of the job says word for word is passed over. What nearly repeats a draft
    of the dataset, one of ``sources`` (texts by id) or an earlier one of these is stored with
    ``like``, or passed over where ``refuses_like``; the fields named in ``compared`` are looked
    at, or all. ``room`` is how many more may be stored of each group; others have none.
    """
    schema = load_schema(dataset)
    left = None if room is None else dict(room)
    fresh = _fresh(origin, drafts)
    texts = [compared_text(draft.fields, schema, compared) for draft, _ in fresh]
    comparison = Comparison(schema, compared, texts, sources or {})
    rows: list[Draft] = []
    for (draft, digest), text in zip(fresh, texts, strict=True):
        like = comparison.find(text)
        if (like is not None and refuses_like) or (left is not None and not left.get(draft.group)):
            continue
        row = _row(dataset, origin, draft, digest, like, compared)
        comparison.add(row.id, text, whole=compared_text(draft.fields, schema))
        rows.append(row)
        if left is not None:
            left[draft.group] -= 1
    _put_in_line(rows, drafts)
    Draft.objects.bulk_create(rows, batch_size=500)
    comparison.remember()
    if rows:
        emit("draft.created", dataset_id=dataset.id, payload=_counted(origin, len(rows)))
    return rows


def _put_in_line(rows: Sequence[Draft], drafts: Sequence[DraftInput]) -> None:
    """Make drafts of the same item the parents of those that came after them."""
    ids = {(row.seq, row.ordinal): row.id for row in rows}
    after = {(draft.seq, draft.ordinal): draft.after for draft in drafts}
    for row in rows:
        former = after[row.seq, row.ordinal]
        if former is not None and (row.seq, former) in ids:
            row.parents = [ids[row.seq, former]]


def _fresh(origin: Origin, drafts: Sequence[DraftInput]) -> list[tuple[DraftInput, str]]:
    """Those that the job has not written yet, each with its digest."""
    digested = [(draft, content_digest(draft.fields, draft.key)) for draft in drafts]
    mine = Draft.objects.filter(job_id=origin.job_id)
    places = set(mine.filter(seq__in={draft.seq for draft in drafts}).values_list("seq", "ordinal"))
    said = set(
        mine.filter(digest__in=[digest for _, digest in digested]).values_list("digest", flat=True)
    )
    fresh = []
    for draft, digest in digested:
        if digest not in said and (draft.seq, draft.ordinal) not in places:
            fresh.append((draft, digest))
            said.add(digest)
    return fresh


def _row(
    dataset: Dataset,
    origin: Origin,
    draft: DraftInput,
    digest: str,
    like: UUID | None,
    compared: Sequence[str],
) -> Draft:
    return Draft(
        dataset=dataset,
        job_id=origin.job_id,
        recipe=origin.recipe,
        agent=(draft.agent or origin.agent)[:200],
        prompt_version_id=origin.prompt_version_id,
        seq=draft.seq,
        ordinal=draft.ordinal,
        parents=list(draft.parents),
        group=draft.group,
        fields=dict(draft.fields),
        metadata=dict(draft.metadata),
        suggestions=[dict(one) for one in draft.suggestions],
        digest=digest,
        like=like,
        compared=list(compared),
    )


def _counted(origin: Origin, count: int) -> dict[str, object]:
    return {"drafts": count, "job": str(origin.job_id), "recipe": origin.recipe}
