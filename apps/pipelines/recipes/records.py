"""Recipes about the records of a dataset, one item each."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from apps.core.prepared import fetch
from apps.core.tenancy import enter
from apps.pipelines.recipes.base import Context, Material, Payload, Recipe, Result
from apps.pipelines.selection import Sample, Selection, Strategy, draw
from apps.records.models import Record

# What a few records are chosen by, so that they show more than chance would.
SHOWING: Final[Sequence[tuple[Strategy, int]]] = (
    ("random", 2),
    ("disagreement", 2),
    ("longest", 1),
)


class RecordRecipe(Recipe[Material, Result]):
    """An item is a chosen record: ``{"record": id}``."""

    def plan(self, context: Context) -> Iterator[Payload]:
        for page in context.selection.pages(context):
            for id in page:
                yield {"record": str(id)}

    def count(self, context: Context) -> int:
        return context.selection.count(context)

    def sample(self, context: Context, count: int) -> list[Payload]:
        """Of five records two by chance, the two that people disagree on most, the longest."""
        return [{"record": str(id)} for id in sample_records(context, count)]

    def probe(self, context: Context, count: int) -> list[Payload]:
        return [{"record": str(id)} for id in sample_records(context, count, (("random", count),))]


def sample_records(
    context: Context, count: int, strategies: Sequence[tuple[Strategy, int]] = SHOWING
) -> list[UUID]:
    """Up to ``count`` of the chosen records, unlike each other. Enters the organization itself."""
    selection = context.selection
    with enter(context.organization_id):
        matcher = selection.matcher(context.schema, context.created_by_id)
        if selection.sample is not None:
            pool = draw(matcher, selection.sample)
            narrowed = Selection(record_ids=pool) if pool else selection
            matcher = narrowed.matcher(context.schema, context.created_by_id)
        chosen: list[UUID] = []
        while len(chosen) < count:
            before = len(chosen)
            for strategy, some in strategies:
                n = min(some, count - len(chosen))
                if n:
                    asked = Sample(n=n, seed=context.asking.seed or 0, strategy=strategy)
                    chosen += draw(matcher, asked, without=chosen)
            if len(chosen) == before:
                break
    return chosen


def read_records(payloads: Sequence[Payload]) -> dict[str, Record]:
    """The records of the payloads that are still there, by id as text. One query."""
    ids = [payload["record"] for payload in payloads]
    found = fetch(Record, "t.id = ANY(%(ids)s::uuid[])", ids=ids)
    return {str(record.id): record for record in found}


def by_payload(payloads: Sequence[Payload], found: dict[str, Any]) -> list[Any]:
    """What was found for each payload, None where its record is gone."""
    return [found.get(payload["record"]) for payload in payloads]
