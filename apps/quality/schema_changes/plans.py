"""How a change's answers are rewritten, and which they are; for an undo from what it takes back."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode
from uuid import UUID

from django.utils.translation import gettext

from apps.annotation.models import RewrittenAnswer, SchemaChange
from apps.core.errors import InvalidError
from apps.datasets.edits import Answers, AnyEdit, Rewritten, Shapes, SplitLabel, read_edit
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.quality.schema_changes.reach import FIRST, Where, records_after, where
from apps.quality.schema_changes.rewriting import Plan
from apps.search.asked import read_text
from apps.search.matching import Matcher
from apps.search.query import EVERYBODY
from apps.search.searching import matcher_for


def by_name(shapes: Shapes) -> Shapes:
    """Questions by id, as a change keeps them, by name."""
    return {shape["name"]: shape for shape in shapes.values()}


def edit_of(change: SchemaChange) -> tuple[AnyEdit | None, Shapes]:
    """What rewrites the answers, and the questions that they answered until now.

    Of an undo: the inverse of what it takes back, if answers given since need it.
    """
    edit = read_edit(change.edit)
    if change.undoes is None:
        return edit, by_name(change.before)
    undone = SchemaChange.objects.get(id=change.undoes)
    return edit.inverse(by_name(undone.before)), by_name(undone.after)


def where_of(edit: AnyEdit | None, shapes: Shapes) -> Where:
    found = where(edit.reach(shapes), shapes) if edit else Where()
    if edit is not None and edit.keeps_suggestions:
        found.suggestions = Where().suggestions
    return found


def concerned_by(change: SchemaChange, *, after: UUID, limit: int) -> list[UUID]:
    """The next records that the change rewrites."""
    found = where_of(*edit_of(change))
    return records_after(change.dataset_id, found, after=after, limit=limit, undone=change.undoes)


def plan_for(change: SchemaChange, record_ids: Sequence[UUID]) -> Plan:
    """How a page of records is rewritten."""
    edit, shapes = edit_of(change)
    earlier = {}
    if change.undoes:
        rows = RewrittenAnswer.objects.filter(change=change.undoes, record__in=record_ids)
        earlier = {(row.record_id, row.part, row.user_id): row for row in rows}
    schema = load_schema(change.dataset)
    plan = plan_of(edit, shapes, parts_of(edit, schema, record_ids))
    return replace(
        plan,
        earlier=earlier,
        spares=isinstance(edit, SplitLabel) and not change.undoes,
        keeps_suggestions=read_edit(change.edit).keeps_suggestions,
        note=gettext("The question was changed, so this answer is asked for again."),
    )


def plan_of(edit: AnyEdit | None, shapes: Shapes, parts: dict[UUID, int]) -> Plan:
    """``parts`` says of a split which part takes the record."""

    def rewrite(values: Answers, record_id: UUID) -> Rewritten:
        if edit is None:
            return Rewritten(dict(values))
        return edit.rewrite(shapes, values, parts.get(record_id))

    return Plan(rewrite, only_submitted=edit is not None and edit.only_submitted)


def parts_of(
    edit: AnyEdit | None, schema: DatasetSchema, record_ids: Sequence[UUID]
) -> dict[UUID, int]:
    """Of each record the first part of a split whose search it matches."""
    found: dict[UUID, int] = {}
    if not isinstance(edit, SplitLabel):
        return found
    for number, part in reversed(list(enumerate(edit.parts))):
        if part.query:
            rows = matcher(schema, part.query).select(
                "SELECT r.id FROM record r WHERE {matching} AND r.id = ANY(%(page)s)",
                page=list(record_ids),
            )
            found |= {row[0]: number for row in rows}
    return found


def matcher(schema: DatasetSchema, query: str) -> Matcher:
    """The records of a search: words, or an address as Explore has it (``q=…&meta.language=…``).

    Raises ``InvalidError`` where it is none.
    """
    text = query if "=" in query else urlencode({"q": query})
    asked, problems = read_text(schema, text, EVERYBODY)
    if problems or not asked.pairs:
        raise InvalidError(problems[0] if problems else gettext("Say which records."))
    return matcher_for(schema, asked, FIRST, EVERYBODY)


def check_queries(edit: AnyEdit, dataset: Dataset) -> None:
    """Raises ``InvalidError`` where a part of a split names a search that makes no sense."""
    if isinstance(edit, SplitLabel):
        for part in edit.parts:
            if part.query:
                matcher(load_schema(dataset), part.query)
