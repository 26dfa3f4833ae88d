"""What the pages call kinds and states of jobs, and what recipes are for."""

from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from apps.jobs.models import JobState

# Word, and the shape and colour of a status.
STATES: Final[dict[str, tuple[Any, str]]] = {
    JobState.QUEUED: (_("Waiting to begin"), "pending"),
    JobState.RUNNING: (_("Running"), "submitted"),
    JobState.PAUSED: (_("Paused"), "draft"),
    JobState.CANCELLING: (_("Stopping"), "discarded"),
    JobState.CANCELLED: (_("Stopped"), "discarded"),
    JobState.DONE: (_("Done"), "completed"),
    JobState.FAILED: (_("Failed"), "danger"),
}

OTHER_KINDS: Final[dict[str, Any]] = {
    "recompute_dataset": _("Count the dataset anew"),
    "suggest_few_shot": _("Suggestions learned from answers"),
    "pick_records": _("Choose the records that teach most"),
    "refresh_review": _("Refresh the review"),
    "accept_suggestions": _("Accept suggestions"),
    "find_near_duplicates": _("Find near-duplicates"),
    "evaluate": _("Evaluate a prompt"),
    "bulk_answer": _("Answer many records"),
    "bulk_undo": _("Take answers back"),
    "hub_import": _("Import from the Hub"),
    "hub_export": _("Export to the Hub"),
    "compare_drafts": _("Compare drafts with records"),
}


@dataclass(frozen=True, slots=True)
class RecipeWords:
    """The name of a recipe, and what one gets of it."""

    title: Any
    about: Any


SUGGEST: Final = _("Suggestions and judgements")
GENERATE: Final = _("New records")
FILTER: Final = _("Filters")

GROUPS: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (SUGGEST, ("suggest", "feedback", "preference")),
    (
        GENERATE,
        (
            "like_this",
            "classification",
            "self_instruct",
            "evolve",
            "genstruct",
            "responses",
            "retrieval",
        ),
    ),
    (FILTER, ("quality", "self_check", "rules", "embed")),
)

RECIPES: Final[dict[str, RecipeWords]] = {
    "suggest": RecipeWords(
        _("Suggest answers"), _("A model answers a question for each record; people decide.")
    ),
    "feedback": RecipeWords(
        _("Rate responses"), _("A model rates the responses in a record by aspects or a rubric.")
    ),
    "preference": RecipeWords(
        _("Rank responses"),
        _("A model compares responses in pairs, both ways round."),
    ),
    "like_this": RecipeWords(
        _("Like this, but …"), _("New records in the manner of some, with what you want changed.")
    ),
    "classification": RecipeWords(
        _("Texts for labels"), _("Texts that deserve a label, until each label has its number.")
    ),
    "self_instruct": RecipeWords(
        _("New instructions"), _("Instructions in the manner of those you have, on your topics.")
    ),
    "evolve": RecipeWords(
        _("Harder instructions"), _("Each instruction is made harder or rarer, step by step.")
    ),
    "genstruct": RecipeWords(
        _("Questions and answers from documents"),
        _("A question that each document answers, with the answer."),
    ),
    "responses": RecipeWords(
        _("Responses"), _("One or more models respond to each record, side by side if you like.")
    ),
    "retrieval": RecipeWords(
        _("Retrieval set"),
        _("Queries for each document, and texts that only look right."),
    ),
    "quality": RecipeWords(
        _("Quality score"), _("A model rates texts from 1 to 5 and advises against the weak ones.")
    ),
    "self_check": RecipeWords(
        _("Check against a context"), _("Each claim of a text is looked up in another field.")
    ),
    "rules": RecipeWords(
        _("Rules"), _("Length, language and patterns; no model is asked, nothing is paid.")
    ),
    "embed": RecipeWords(
        _("Vectors of texts"), _("For search by likeness; no model is asked, nothing is paid.")
    ),
}


def kind_words(kind: str) -> str:
    """What people call the kind of a job."""
    if kind in RECIPES:
        return str(RECIPES[kind].title)
    return str(OTHER_KINDS.get(kind, kind.replace("_", " ")))
