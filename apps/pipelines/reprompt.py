"""After the guidelines have changed: which prompts are out of date, what asking again would change.

First ``affected_prompts`` says how many suggestions come from prompts that no longer hold. Then
``try_again`` asks the model anew about a few of their records, as a dry run with the new
guidelines, even before those are saved; ``changes_of`` sets old and new answers side by side.
``reprompt`` does it: a new version, asked about all of those records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.core.errors import ConflictError, InvalidError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.datasets.values import says_same
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.pipelines.dry_runs import dry_run_items
from apps.pipelines.models import DryRunItem, PromptVersion
from apps.pipelines.orders import Budget, RunOrder, start_run
from apps.pipelines.recipes.base import Asking
from apps.pipelines.recipes.registry import load
from apps.pipelines.selection import Selection, SuggestedBy
from apps.pipelines.versions import rebase_prompt, staleness
from apps.records.models import Suggestion

TRIED: Final = 10  # records that are asked about to see what would change

_IN_FORCE: Final = """
SELECT v.prompt_version_id, v.agent, count(*), count(*) FILTER (WHERE r.status = 'pending')
FROM suggestion_version v
JOIN suggestion s ON s.organization_id = v.organization_id AND s.record_id = v.record_id
    AND s.question_id = v.question_id AND s.agent = v.agent
JOIN record r ON r.organization_id = v.organization_id AND r.id = v.record_id
WHERE v.organization_id = %(o)s AND v.dataset_id = %(d)s AND v.prompt_version_id IS NOT NULL
GROUP BY v.prompt_version_id, v.agent ORDER BY count(*) DESC, v.agent
"""


@dataclass(frozen=True, slots=True)
class Affected:
    """A version whose suggestions are in force: how many, of them on pending records, and what
    has changed since (``guidelines``, ``question``)."""

    version: PromptVersion
    agent: str
    suggestions: int
    pending: int
    stale: Sequence[str]


def affected_prompts(dataset: Dataset, *, guidelines: str | None = None) -> list[Affected]:
    """The versions whose suggestions stand beside the dataset's records, the most of them first.

    ``guidelines``: as if they were the dataset's already. Two statements.
    """
    rows = raw_cursor().execute(_IN_FORCE, {"o": current(), "d": dataset.id}).fetchall()
    versions = PromptVersion.objects.of(dataset.id).filter(id__in=[row[0] for row in rows])
    found = {version.id: version for version in versions.select_related("question")}
    if guidelines is not None:
        dataset = _with_guidelines(dataset, guidelines)
    return [
        Affected(version, agent, count, pending, staleness(version, dataset, version.question))
        for id, agent, count, pending in rows
        if (version := found.get(id)) is not None
    ]


def _with_guidelines(dataset: Dataset, guidelines: str) -> Dataset:
    """A copy that nobody saves."""
    values = {field.attname: getattr(dataset, field.attname) for field in Dataset._meta.fields}
    return Dataset(**{**values, "guidelines": guidelines})


def _find(dataset: Dataset, version: PromptVersion) -> Affected:
    for one in affected_prompts(dataset):
        if one.version.id == version.id:
            return one
    raise ConflictError(_("No suggestion of this prompt version is in force."))


def _question_name(version: PromptVersion) -> str:
    if version.question is None:
        raise InvalidError(_("This prompt version is about no question."))
    return version.question.name


def _selection(affected: Affected) -> Selection:
    by = SuggestedBy(question=_question_name(affected.version), agent=affected.agent)
    return Selection(suggested_by=by)


@transaction.atomic
def try_again(
    *,
    dataset: Dataset,
    version: PromptVersion,
    guidelines: str | None = None,
    count: int = TRIED,
    created_by: Membership | None = None,
) -> Job:
    """Ask about some of the version's records with the present guidelines, or these, as a dry run.

    Raises ``ConflictError`` when no suggestion of the version is in force.
    """
    affected = _find(dataset, version)
    asking = Asking.model_validate(version.asking).model_dump(exclude_defaults=True)
    order = RunOrder(
        recipe=version.recipe,
        question=_question_name(version),
        provider_id=version.provider_id,
        model=version.model or None,
        template=version.template,
        guidelines=guidelines,
        shots=version.shots,
        strategy=version.strategy,
        params={**version.params, **asking},
        selection=_selection(affected),
        dry_run=count,
    )
    return start_run(dataset=dataset, order=order, created_by=created_by)


@transaction.atomic
def reprompt(
    *,
    dataset: Dataset,
    version: PromptVersion,
    budget: Budget | None = None,
    created_by: Membership | None = None,
) -> Job:
    """Bring the version up to date and ask again about all records it made suggestions for.

    The new answers take their place, also where the version left other agents' as they are.
    Raises ``ConflictError`` when no suggestion of the version is in force, or nothing has changed.
    """
    affected = _find(dataset, version)
    renewed = rebase_prompt(version=version, schema=load_schema(dataset), author=created_by)
    if renewed.id == version.id:
        raise ConflictError(_("Nothing has changed since this prompt version was made."))
    order = RunOrder(
        recipe=renewed.recipe,
        prompt_version_id=renewed.id,
        params=_replacing(renewed),
        selection=_selection(affected),
        budget=budget or Budget(),
    )
    return start_run(dataset=dataset, order=order, created_by=created_by)


def _replacing(version: PromptVersion) -> dict[str, bool]:
    """The renewed version signs as another agent: without this it would pay and leave the old."""
    takes = load(version.recipe).Params.model_fields
    return {"overwrite": True} if "overwrite" in takes else {}


@dataclass(frozen=True, slots=True)
class Change:
    """A record's suggestion as it is, and as it would be."""

    item: DryRunItem
    before: Any
    before_agent: str | None
    after: Any

    @property
    def is_changed(self) -> bool:
        return not self.item.error and not says_same(self.before, self.after)


def changes_of(job: Job) -> list[Change]:
    """What a dry run would change, record by record. Two queries."""
    items = dry_run_items(job)
    ids = [item.record_id for item in items if item.record_id]
    question = job.params.get("question_id")
    rows = Suggestion.objects.filter(record_id__in=ids, question_id=question)
    now: dict[UUID, tuple[Any, str | None]] = {
        record_id: (value, agent)
        for record_id, value, agent in rows.values_list("record_id", "value", "agent")
    }
    return [_change(item, now) for item in items]


def _change(item: DryRunItem, now: dict[UUID, tuple[Any, str | None]]) -> Change:
    before, agent = now.get(item.record_id, (None, None)) if item.record_id else (None, None)
    return Change(item, before, agent, (item.shown or {}).get("value"))
