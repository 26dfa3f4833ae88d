"""Which drafts nearly repeat one another: new texts, and texts that a person has changed."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.schema import DatasetSchema, load_schema
from apps.drafts.content import compared_text
from apps.drafts.likeness import Runs, bands_of, most_alike, runs_of
from apps.drafts.models import Draft, DraftBand, DraftState
from apps.records.models import Record

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


def compare_again(schema: DatasetSchema, draft: Draft) -> None:
    """Follow a changed text: the draft's bands and mark, and the marks of those that repeat it.

    ``draft.like`` is set, and left to the caller to save. What still repeats the draft keeps
    saying so, and is not what the draft repeats; the others look for something earlier.
    """
    text = _text_of(schema, draft)
    still = _mark_repeating(schema, draft, runs_of(text))
    DraftBand.objects.filter(dataset_id=draft.dataset_id, draft=draft).delete()
    comparison = Comparison(schema, draft.compared, [text], _record_like(draft))
    draft.like = comparison.find(text, besides=still)
    comparison.add(draft.id, text, whole=compared_text(draft.fields, schema))
    comparison.remember()


def _mark_repeating(schema: DatasetSchema, draft: Draft, runs: Runs) -> set[UUID]:
    """Mark those anew that nearly repeated the draft; returns the ids of those that still do."""
    bands = DraftBand.objects.filter(dataset_id=draft.dataset_id)
    mine = list(bands.filter(draft=draft).values_list("band", flat=True))
    near = bands.filter(band__in=mine).values("draft_id")
    still = set()
    for row in Draft.objects.waiting().filter(like=draft.id, id__in=near).in_order():
        text = _text_of(schema, row)
        if most_alike(runs_of(text), [runs]) is not None:
            still.add(row.id)
            continue
        comparison = Comparison(schema, row.compared, [text], {})
        later = {id for id in comparison.runs if id >= row.id}
        found = comparison.find(text, besides={draft.id, *later})
        Draft.objects.waiting().filter(id=row.id).update(like=found)
    return still


def _text_of(schema: DatasetSchema, draft: Draft) -> str:
    return compared_text(draft.fields, schema, draft.compared)


def _record_like(draft: Draft) -> dict[UUID, str]:
    """The text of the record that the draft is marked to repeat, by its id; none of a draft."""
    if draft.like is None:
        return {}
    records = Record.objects.filter(id=draft.like).select_related("dataset")
    return {
        record.id: compared_text(
            record.fields,
            load_schema(record.dataset),
            draft.compared if record.dataset_id == draft.dataset_id else (),
        )
        for record in records
    }


class Comparison:
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

    def find(self, text: str, *, besides: Collection[UUID] = ()) -> UUID | None:
        """The id of what the text nearly repeats, of all but those ``besides``."""
        runs, bands = self._signed(text)
        met = dict.fromkeys(id for band in bands for id in self.by_band.get(band, ()))
        ids = [id for id in met if id not in besides]
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
