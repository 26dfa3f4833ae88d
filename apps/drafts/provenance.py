"""Where a generated record comes from, as its metadata says it, and what people changed of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.drafts.content import same
from apps.drafts.models import Draft


def provenance(draft: Draft) -> dict[str, Any]:
    """``{"synthetic": True, "recipe": …, "agent": …, "job": …, "parents": […], …}``.

    What there is none of is left out. A parent that was a draft is named by its id, which is its
    record's external id. Of an edited draft ``edited`` names what a person changed; what the model
    wrote there is kept with the draft (``written``).
    """
    return {name: value for name, value in facts(draft).items() if value}


def facts(draft: Draft) -> dict[str, Any]:
    """All that ``provenance`` may say, by name; nothing where there is none, or no longer."""
    return {
        "synthetic": True,
        "recipe": draft.recipe,
        "agent": draft.agent,
        "job": str(draft.job_id) if draft.job_id else None,
        "prompt_version": str(draft.prompt_version_id) if draft.prompt_version_id else None,
        "parents": [str(id) for id in draft.parents],
        "group": draft.group,
        "edited": edited_parts(draft),
        "edited_by": str(draft.edited_by_id) if draft.edited_by_id else None,
        "edited_at": draft.version,
    }


def edited_parts(draft: Draft) -> list[str]:
    """``["fields.text", "suggestions.sentiment"]``: what is no longer as the model wrote it."""
    return [f"{part}.{name}" for part, changes in edits(draft).items() for name in changes]


def edits(draft: Draft) -> dict[str, dict[str, Any]]:
    """Of ``fields``, ``metadata`` and ``suggestions`` what was changed, by name, as it was written.

    What a person added is there with None.
    """
    if draft.written is None:
        return {}
    written = draft.written
    return {
        "fields": _changed(written["fields"], draft.fields),
        "metadata": _changed(written["metadata"], draft.metadata),
        "suggestions": _changed(answers_of(written["suggestions"]), answers_of(draft.suggestions)),
    }


def answers_of(suggestions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The suggested value of each question."""
    return {one["question"]: one["value"] for one in suggestions}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys([*before, *after])
    return {name: before.get(name) for name in names if not same(before.get(name), after.get(name))}
