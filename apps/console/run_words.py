"""What a form calls the parameters of recipes, and where the choices of each come from."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from django.utils.translation import gettext_lazy as _


class Source(Enum):
    """What a parameter is chosen from, or how it is written."""

    PLAIN = "plain"  # as its type says
    AREA = "area"  # several lines of text
    LINES = "lines"  # a list, one a line
    FIELD = "field"
    FIELDS = "fields"
    TARGET_FIELD = "target_field"
    TARGET_FIELDS = "target_fields"
    TARGET = "target"
    VECTOR = "vector"
    MODELS = "models"
    LABEL_NUMBERS = "label_numbers"
    LABEL_TEXTS = "label_texts"
    RATINGS = "ratings"
    RECORDS = "records"
    DRAFT_JOB = "draft_job"


@dataclass(frozen=True, slots=True)
class Words:
    """The label of a parameter, more about it, and its source."""

    label: Any
    help: Any = ""
    source: Source = Source.PLAIN


S = Source
PARAMS: Final[dict[str, Words]] = {
    "rationale": Words(_("Ask for a reason"), _("Costs more tokens; shown beside the answer.")),
    "confidence": Words(_("Ask how sure the model is")),
    "overwrite": Words(
        _("Replace suggestions that are there"), _("What they said stays in the history.")
    ),
    "vector": Words(_("Vector"), _("Records are near each other by it."), S.VECTOR),
    "instruction": Words(_("Field with the instruction"), "", S.FIELD),
    "responses": Words(_("Fields with the responses"), "", S.FIELDS),
    "aspects": Words(_("Aspects"), _("One call for each.")),
    "rubric": Words(_("Rubric of your own"), _("What each rating means."), S.AREA),
    "relative": Words(_("Ask which of two is better, rather than for ratings")),
    "reference": Words(_("Field with an ideal answer"), "", S.FIELD),
    "ratings": Words(_("Rating questions that get the suggestions"), "", S.RATINGS),
    "chosen": Words(_("Note the best and the worst response as metadata")),
    "rationales": Words(_("Note the reasons as metadata")),
    "criteria": Words(_("What is good"), _("In your own words."), S.AREA),
    "aggregate": Words(_("How pairs become a ranking")),
    "models": Words(_("Models that respond"), _("None: the model above."), S.MODELS),
    "outputs": Words(
        _("Fields for the responses"),
        _("One field: each response is a record. Several: they stand side by side."),
        S.TARGET_FIELDS,
    ),
    "target": Words(
        _("Dataset that gets the drafts"), _("None: this one. They wait until accepted."), S.TARGET
    ),
    "improve": Words(
        _("Field with a response to improve"),
        _("The fields above are then the better and the worse one."),
        S.FIELD,
    ),
    "system": Words(_("System message"), "", S.AREA),
    "sources": Words(_("Records to start from"), _("Their ids, one a line."), S.RECORDS),
    "change": Words(
        _("Like these, but …"), _("E.g. about trains, angrier, as a chat message."), S.AREA
    ),
    "vary": Words(_("Fields to write anew"), _("The others are copied."), S.FIELDS),
    "total": Words(_("How many")),
    "quotas": Words(_("How many for each label"), "", S.LABEL_NUMBERS),
    "field": Words(_("Field"), "", S.FIELD),
    "fields": Words(_("Fields"), "", S.FIELDS),
    "task": Words(
        _("What kind of texts"), _("E.g. messages of a bank's customers to its chat."), S.AREA
    ),
    "descriptions": Words(
        _("What each label means"), _("Empty: as the question says."), S.LABEL_TEXTS
    ),
    "misleading": Words(_("Also ask which label a careless reader would take")),
    "topics": Words(_("Topics"), _("One a line; they take turns."), S.LINES),
    "steps": Words(_("Steps")),
    "ways": Words(_("Ways to make them harder")),
    "document": Words(_("Field with the document"), "", S.FIELD),
    "title": Words(_("Field with its title"), "", S.FIELD),
    "user": Words(_("Field for the question"), "", S.TARGET_FIELD),
    "assistant": Words(_("Field for the answer"), "", S.TARGET_FIELD),
    "queries": Words(_("Queries for each document")),
    "types": Words(_("Kinds of queries"), _("One a line; they take turns."), S.LINES),
    "negatives": Words(_("Texts that only look right, for each query")),
    "hard": Words(_("Where those come from")),
    "checked": Words(_("Ask the model whether they really do not answer")),
    "context": Words(_("Field that must support it"), "", S.FIELD),
    "least": Words(_("Keep from")),
    "over": Words(_("What is judged")),
    "draft_job": Words(_("Drafts of the job"), _("None: all that wait."), S.DRAFT_JOB),
    "shortest": Words(_("Fewest characters")),
    "longest": Words(_("Most characters")),
    "languages": Words(_("Languages"), _("Codes, one a line, e.g. en."), S.LINES),
    "must_match": Words(_("Patterns that must be found"), _("One a line."), S.LINES),
    "must_not_match": Words(_("Patterns that must not be found"), _("One a line."), S.LINES),
}

ASKING: Final[dict[str, Words]] = {
    "temperature": Words(_("Temperature"), _("0: nearly always the same answer.")),
    "n": Words(_("Answers for each prompt"), _("Several are counted as votes, or all are kept.")),
    "max_tokens": Words(_("Longest answer, in tokens")),
    "seed": Words(_("Seed")),
}

CHOICES: Final[dict[str, Any]] = {
    "wins": _("by pairs won"),
    "bradley_terry": _("by Bradley and Terry"),
    "neighbours": _("near records of the dataset"),
    "written": _("written by the model"),
    "none": _("none"),
    "records": _("the chosen records"),
    "drafts": _("drafts that wait"),
    "helpfulness": _("helpfulness"),
    "honesty": _("honesty"),
    "truthfulness": _("truthfulness"),
    "instruction_following": _("following the instruction"),
    "overall": _("overall"),
    "quality": _("quality"),
    "complexity": _("complexity"),
    "backtranslation": _("whether the response gives the instruction away"),
    "constraints": _("more constraints"),
    "deepening": _("deeper"),
    "concretizing": _("more concrete"),
    "reasoning": _("more steps of thought"),
    "breadth": _("a rarer topic"),
    "nearest": _("the most similar"),
    "random": _("by chance"),
    "errors": _("where models were wrong"),
    "uncertain": _("the least certain"),
    "disagreement": _("where people disagree"),
    "longest": _("the longest"),
    "suggestion": _("Suggestions"),
    "metadata": _("Metadata"),
    "new_records": _("Drafts of new records"),
    "vectors": _("Vectors"),
    "evaluation": _("Evaluation"),
}


def choice_words(value: str) -> str:
    return str(CHOICES.get(value, value.replace("_", " ").replace("-", " ")))
