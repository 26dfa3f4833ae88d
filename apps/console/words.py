"""What the pages call kinds and states of jobs, and what recipes are for."""

from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from apps.jobs.models import JobState
from apps.labeling.work import JOB_NAMES

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
        JOB_NAMES["suggest"], _("A model answers a question for each record; people decide.")
    ),
    "feedback": RecipeWords(
        JOB_NAMES["feedback"], _("A model rates the responses in a record by aspects or a rubric.")
    ),
    "preference": RecipeWords(
        JOB_NAMES["preference"],
        _("A model compares responses in pairs, both ways round."),
    ),
    "like_this": RecipeWords(
        JOB_NAMES["like_this"], _("New records in the manner of some, with what you want changed.")
    ),
    "classification": RecipeWords(
        JOB_NAMES["classification"],
        _("Texts that deserve a label, until each label has its number."),
    ),
    "self_instruct": RecipeWords(
        JOB_NAMES["self_instruct"],
        _("Instructions in the manner of those you have, on your topics."),
    ),
    "evolve": RecipeWords(
        JOB_NAMES["evolve"], _("Each instruction is made harder or rarer, step by step.")
    ),
    "genstruct": RecipeWords(
        JOB_NAMES["genstruct"],
        _("A question that each document answers, with the answer."),
    ),
    "responses": RecipeWords(
        JOB_NAMES["responses"],
        _("One or more models respond to each record, side by side if you like."),
    ),
    "retrieval": RecipeWords(
        JOB_NAMES["retrieval"],
        _("Queries for each document, and texts that only look right."),
    ),
    "quality": RecipeWords(
        JOB_NAMES["quality"],
        _("A model rates texts from 1 to 5 and advises against the weak ones."),
    ),
    "self_check": RecipeWords(
        JOB_NAMES["self_check"], _("Each claim of a text is looked up in another field.")
    ),
    "rules": RecipeWords(
        JOB_NAMES["rules"], _("Length, language and patterns; no model is asked, nothing is paid.")
    ),
    "embed": RecipeWords(
        JOB_NAMES["embed"], _("For search by likeness; no model is asked, nothing is paid.")
    ),
}


def kind_words(kind: str) -> str:
    """What people call the kind of a job."""
    name = str(JOB_NAMES.get(kind, kind.replace("_", " ")))
    return name[:1].upper() + name[1:]
