"""What filters have in common: they read records or drafts, and note a verdict on each.

A filter proposes and never deletes. On a record its verdict is metadata, ``<filter>_keep`` as
``"yes"`` or ``"no"`` with ``<filter>_score`` and ``<filter>_reason``; on a draft it is a reason to
accept or discard (``drafts.services.judge_drafts``), and metadata of the record it may become.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from apps.core.tenancy import enter
from apps.drafts.inputs import Verdict
from apps.drafts.models import Draft, DraftQuerySet
from apps.drafts.services import judge_drafts
from apps.pipelines.recipes import base
from apps.pipelines.recipes.base import METADATA, Answered, Context, Payload, Recipe
from apps.pipelines.recipes.materials import load_records
from apps.pipelines.recipes.records import RecordRecipe
from apps.pipelines.recipes.writes import Mark, check_metadata, mark_records
from apps.records.text import field_texts

PAGE: Final = 2_000  # drafts a query
MAX_REASON: Final = 500  # characters


class FilterParams(base.Params):
    """``over`` what is judged: the selected records, or the drafts that wait (of one job)."""

    over: Literal["records", "drafts"] = "records"
    draft_job: UUID | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A record or a draft; ``facts`` is what a filter found out while it could ask the database.

    ``version`` is the draft's, whose texts these are.
    """

    id: UUID
    texts: Mapping[str, str]
    is_draft: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A filter's verdict; ``score`` from 0 to 1. ``more`` metadata is put under its own names."""

    keep: bool
    reason: str = ""
    score: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


class FilterRecipe(RecordRecipe[Subject | None, Finding | None]):
    """The steps of a filter but for what it asks and how it judges."""

    Params: ClassVar[type[base.Params]] = FilterParams
    write_modes: ClassVar[tuple[str, ...]] = (METADATA,)

    def check(self, context: Context) -> None:
        if context.params.over == "records":
            check_metadata(context, {f"{self.name}_keep": "yes", f"{self.name}_score": 0.5})

    def plan(self, context: Context) -> Iterator[Payload]:
        if context.params.over == "records":
            yield from super().plan(context)
            return
        last = UUID(int=0)
        while True:
            with enter(context.organization_id):
                rows = _drafts(context).in_order().filter(id__gt=last)
                page = list(rows.values_list("id", flat=True)[:PAGE])
            if not page:
                return
            yield from ({"draft": str(id)} for id in page)
            last = page[-1]

    def count(self, context: Context) -> int:
        if context.params.over == "records":
            return super().count(context)
        with enter(context.organization_id):
            return _drafts(context).count()

    def sample(self, context: Context, count: int) -> list[Payload]:
        if context.params.over == "records":
            return super().sample(context, count)
        return Recipe.sample(self, context, count)

    def probe(self, context: Context, count: int) -> list[Payload]:
        if context.params.over == "records":
            return super().probe(context, count)
        return Recipe.sample(self, context, count)

    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Subject | None]:
        if context.params.over == "records":
            sources = load_records(context, payloads)
            return [None if one is None else Subject(one.id, one.texts) for one in sources]
        ids = [UUID(payload["draft"]) for payload in payloads]
        found = {draft.id: draft for draft in _drafts(context).filter(id__in=ids)}
        return [_subject(context, found.get(id)) for id in ids]

    @abstractmethod
    def parse(
        self, context: Context, material: Subject | None, answers: list[Any]
    ) -> Finding | None:
        """The verdict; None on what is gone."""

    def write(
        self, context: Context, pairs: Sequence[Answered[Subject | None, Finding | None]]
    ) -> None:
        marks, verdicts = [], []
        for pair in pairs:
            subject, finding = pair.material, pair.result
            if subject is None or finding is None:
                continue
            if not subject.is_draft:
                marks.append(Mark(subject.id, pair.usage, self._noted(finding)))
                continue
            reason, noted = finding.reason[:MAX_REASON], self._noted(finding)
            verdicts.append(
                Verdict(subject.id, finding.keep, reason, finding.score, noted, subject.version)
            )
        mark_records(context, marks)
        if verdicts:
            judge_drafts(filter=self.name, verdicts=verdicts)

    def shown(
        self, context: Context, material: Subject | None, result: Finding | None
    ) -> dict[str, Any]:
        if material is None or result is None:
            return {"value": None}
        key = "draft_id" if material.is_draft else "record_id"
        return {key: str(material.id), "value": self._noted(result)}

    def _noted(self, finding: Finding) -> dict[str, Any]:
        noted: dict[str, Any] = {f"{self.name}_keep": "yes" if finding.keep else "no"}
        if finding.score is not None:
            noted[f"{self.name}_score"] = round(finding.score, 4)
        if finding.reason:
            noted[f"{self.name}_reason"] = finding.reason[:MAX_REASON]
        return {**noted, **finding.more}


def _drafts(context: Context) -> DraftQuerySet:
    waiting = Draft.objects.of_dataset(context.dataset).waiting()
    job: UUID | None = context.params.draft_job
    return waiting if job is None else waiting.filter(job_id=job)


def _subject(context: Context, draft: Draft | None) -> Subject | None:
    if draft is None:
        return None
    texts = dict(field_texts(draft.fields, context.schema.fields))
    return Subject(draft.id, texts, is_draft=True, version=draft.version)
