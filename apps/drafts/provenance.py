"""Where a generated record comes from, as its metadata says it."""

from typing import Any

from apps.drafts.models import Draft


def provenance(draft: Draft) -> dict[str, Any]:
    """``{"synthetic": True, "recipe": …, "agent": …, "job": …, "parents": […], …}``.

    What there is none of is left out. A parent that was a draft is named by its id, which is its
    record's external id.
    """
    known = {
        "synthetic": True,
        "recipe": draft.recipe,
        "agent": draft.agent,
        "job": str(draft.job_id) if draft.job_id else None,
        "prompt_version": str(draft.prompt_version_id) if draft.prompt_version_id else None,
        "parents": [str(id) for id in draft.parents],
        "group": draft.group,
    }
    return {name: value for name, value in known.items() if value}
