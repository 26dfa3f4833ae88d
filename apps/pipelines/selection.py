"""Which records a run is about: those that a search matches, named ones, or a sample of either."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.schema import DatasetSchema
from apps.quality.embeddings import DIMENSIONS, embed
from apps.search.asked import MAX_TEXT, WORDS, Asked, read_text
from apps.search.matching import FIRST, Matcher
from apps.search.query import EVERYBODY, SuggestionScope, Terms
from apps.search.searching import matcher_for, phrase_settings

if TYPE_CHECKING:
    from apps.pipelines.recipes.base import Context

PAGE: Final = 2_000  # ids a query
MAX_NAMED: Final = 100_000  # records named one by one, or drawn
Strategy = Literal["random", "uncertain", "disagreement", "errors", "longest"]

# Of equal records the seed decides, so a sample is the same each time.
_CHANCE: Final = "uuid_hash_extended(r.id, %(seed)s)"
_ORDERS: Final[dict[str, str]] = {
    "random": _CHANCE,
    "uncertain": f"coalesce((SELECT k.certainty FROM record_task k WHERE k.organization_id = "
    f"%(organization)s AND k.record_id = r.id), 0), {_CHANCE}",
    "disagreement": "(SELECT min(c.score) FROM review_cause c WHERE c.organization_id = "
    "%(organization)s AND c.record_id = r.id AND c.reason IN ('disagreement', 'uncertain')), "
    "(SELECT min(s.certainty) FROM suggestion s WHERE s.organization_id = %(organization)s "
    f"AND s.record_id = r.id), {_CHANCE}",
    "errors": "(SELECT count(*) FROM review_cause c WHERE c.organization_id = %(organization)s "
    f"AND c.record_id = r.id AND c.reason IN ('model', 'evaluation')) DESC, {_CHANCE}",
    "longest": "length(r.fields::text) DESC, r.id",
}


class Sample(BaseModel):
    """``n`` of the records: by chance, the least certain first, those that people (else models)
    disagree on most, those where a model was found to differ from people, or the longest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=1, le=MAX_NAMED)
    seed: int = Field(default=0, ge=0, lt=2**31)
    strategy: Strategy = "random"


class SuggestedBy(BaseModel):
    """Records whose present suggestion to the question comes from the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(max_length=200)
    agent: str = Field(max_length=200)


class Selection(BaseModel):
    """``filter`` is a search as text (``apps.search.asked``); of several kinds of choice all must
    hold. Nothing at all means every record. Records that came after ``upto`` are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: str = Field(default="", max_length=MAX_TEXT)
    record_ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MAX_NAMED)
    suggested_by: SuggestedBy | None = None
    sample: Sample | None = None
    upto: UUID | None = None

    def matcher(self, schema: DatasetSchema, me: UUID | None) -> Matcher:
        """All that is selected, but for the sample. Raises ``InvalidError`` for a filter that
        makes no sense here: with fewer filters, more records would be paid for."""
        asked, problems = read_text(schema, self.filter, EVERYBODY)
        if problems:
            raise InvalidError(problems[0])
        found = matcher_for(
            schema,
            asked,
            me or FIRST,
            EVERYBODY,
            phrase=_phrase(schema, asked),
            upto=self.upto,
        )
        by = self.suggested_by
        if by is None:
            return replace(found, only=self.record_ids)
        agent = Terms(SuggestionScope(by.question, "agent"), [by.agent])
        return replace(found, filters=[*found.filters, agent], only=self.record_ids)

    def pages(self, context: "Context") -> Iterator[list[UUID]]:
        """The chosen records' ids, up to ``PAGE`` at a time. Enters the organization itself."""
        if self.sample is not None:
            with enter(context.organization_id):
                matcher = self.matcher(context.schema, context.created_by_id)
                drawn = draw(matcher, self.sample)
            yield from (drawn[n : n + PAGE] for n in range(0, len(drawn), PAGE))
            return
        last = FIRST
        while True:
            with enter(context.organization_id):
                matcher = self.matcher(context.schema, context.created_by_id)
                page = matcher.ids_after(last, limit=PAGE)
            if not page:
                return
            yield page
            last = page[-1]

    def count(self, context: "Context") -> int:
        """How many records are chosen. Enters the organization itself; one statement."""
        with enter(context.organization_id):
            matched = self.matcher(context.schema, context.created_by_id).count()
        return matched if self.sample is None else min(matched, self.sample.n)


def draw(matcher: Matcher, sample: Sample, *, without: list[UUID] | None = None) -> list[UUID]:
    """The ids of the sample in its order, passing over those of ``without``. One statement."""
    rows = matcher.select(
        "SELECT r.id FROM record r WHERE {matching} AND r.id <> ALL (%(without)s::uuid[]) "
        f"ORDER BY {_ORDERS[sample.strategy]} LIMIT %(n)s",
        without=without or [],
        n=sample.n,
        **({"seed": sample.seed} if sample.strategy != "longest" else {}),
    )
    return [row[0] for row in rows]


def _phrase(schema: DatasetSchema, asked: Asked) -> Any:
    """The vector of the phrase, where it is to be compared with the records' vectors."""
    if not asked.q or asked.mode == WORDS or phrase_settings(schema, DIMENSIONS) is None:
        return None
    return embed([asked.q])[0]
