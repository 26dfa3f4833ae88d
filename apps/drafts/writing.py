"""Writing drafts: what is new is stored, what is there already is not."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.core.errors import LimitReachedError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.drafts.content import compared_text, content_digest
from apps.drafts.inputs import DraftInput, Origin
from apps.drafts.likeness import Runs, bands_of, most_alike, runs_of
from apps.drafts.models import Draft, DraftState
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
    comparison = _Comparison(schema, compared, texts, sources or {})
    rows: list[Draft] = []
    for (draft, digest), text in zip(fresh, texts, strict=True):
        like = comparison.find(text)
        if (like is not None and refuses_like) or (left is not None and not left.get(draft.group)):
            continue
        row = _row(dataset, origin, draft, digest, like)
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
    dataset: Dataset, origin: Origin, draft: DraftInput, digest: str, like: UUID | None
) -> Draft:
    return Draft(
        dataset=dataset,
        job_id=origin.job_id,
        recipe=origin.recipe,
        agent=origin.agent[:200],
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
    )


def _counted(origin: Origin, count: int) -> dict[str, object]:
    return {"drafts": count, "job": str(origin.job_id), "recipe": origin.recipe}


# Which standing drafts share a band with the new ones: a probe a band, however little PostgreSQL
# knows of a table that just grew.
_CANDIDATES: Final = """
SELECT found.band, d.id, d.fields FROM unnest(%(bands)s::bigint[]) AS wanted (band), LATERAL (
    SELECT b.band, b.draft_id FROM draft_band b WHERE b.organization_id = %(o)s
        AND b.dataset_id = %(d)s AND b.band = wanted.band OFFSET 0) found, LATERAL (
    SELECT id, fields FROM draft WHERE organization_id = %(o)s AND id = found.draft_id
        AND state <> %(discarded)s OFFSET 0) d
ORDER BY d.id
"""
_REMEMBER: Final = """
INSERT INTO draft_band (organization_id, dataset_id, band, draft_id)
SELECT %(o)s, %(d)s, band, draft_id
FROM unnest(%(bands)s::bigint[], %(drafts)s::uuid[]) AS given (band, draft_id)
ON CONFLICT DO NOTHING
"""


class _Comparison:
    """New texts against those of the dataset's drafts, the sources, and one another."""

    def __init__(
        self,
        schema: DatasetSchema,
        compared: Sequence[str],
        texts: Sequence[str],
        sources: Mapping[UUID, str],
    ) -> None:
        self.schema = schema
        self.compared = compared
        self.scope = " ".join(sorted(compared))
        self.runs: dict[UUID, Runs] = {}
        self.by_band: dict[int, list[UUID]] = defaultdict(list)
        self.fresh: list[tuple[int, UUID]] = []
        self.signed: dict[str, tuple[Runs, list[int]]] = {}
        self._read({band for text in texts for band in self._signed(text)[1]})
        for id, text in sources.items():
            self._note(id, *self._signed(text))

    def find(self, text: str) -> UUID | None:
        """The id of what the text nearly repeats."""
        runs, bands = self._signed(text)
        ids = list(dict.fromkeys(id for band in bands for id in self.by_band.get(band, ())))
        best = most_alike(runs, [self.runs[id] for id in ids])
        return None if best is None else ids[best]

    def add(self, id: UUID, text: str, *, whole: str) -> None:
        """A new draft, which later texts are compared with; ``whole`` is all it says."""
        runs, bands = self._signed(text)
        self._note(id, runs, bands)
        everything = bands_of(runs_of(whole)) if self.scope else ()
        self.fresh += [(band, id) for band in {*bands, *everything}]

    def remember(self) -> None:
        """Store the bands of the new drafts. One statement."""
        facts = {
            "o": current(),
            "d": self.schema.dataset.id,
            "bands": [band for band, _ in self.fresh],
            "drafts": [id for _, id in self.fresh],
        }
        raw_cursor().execute(_REMEMBER, facts)

    def _signed(self, text: str) -> tuple[Runs, list[int]]:
        if text not in self.signed:
            runs = runs_of(text)
            self.signed[text] = runs, bands_of(runs, self.scope)
        return self.signed[text]

    def _note(self, id: UUID, runs: Runs, bands: Sequence[int]) -> None:
        self.runs[id] = runs
        for band in bands:
            self.by_band[band].append(id)

    def _read(self, bands: set[int]) -> None:
        facts = {
            "o": current(),
            "d": self.schema.dataset.id,
            "bands": list(bands),
            "discarded": DraftState.DISCARDED.value,
        }
        for band, id, fields in raw_cursor().execute(_CANDIDATES, facts).fetchall():
            if id not in self.runs:
                text = compared_text(json.loads(fields), self.schema, self.compared)
                self.runs[id] = runs_of(text)
            self.by_band[band].append(id)
