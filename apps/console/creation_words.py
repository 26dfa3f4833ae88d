"""What the pages of a new dataset say: where a column may go, and why it was guessed to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.exchange.creation.content import SketchContent
from apps.exchange.creation.outline import existing_targets

QUESTION_TYPES: Final[dict[str, Any]] = {
    "label_selection": gettext_lazy("One label"),
    "multi_label_selection": gettext_lazy("Several labels"),
    "rating": gettext_lazy("Rating"),
    "ranking": gettext_lazy("Ranking"),
    "span": gettext_lazy("Marked spans"),
    "text": gettext_lazy("Text"),
}
FIELD_TYPES: Final = {
    "field.text": gettext_lazy("Text to read"),
    "field.chat": gettext_lazy("Conversation"),
    "field.image": gettext_lazy("Picture"),
    "field.custom": gettext_lazy("Anything else, by a template"),
}
PROPERTY_TYPES: Final = {
    "metadata.terms": gettext_lazy("Terms"),
    "metadata.integer": gettext_lazy("Whole numbers"),
    "metadata.float": gettext_lazy("Decimal numbers"),
}
_OTHERS: Final = {
    "id": gettext_lazy("The record’s id"),
    "vector": gettext_lazy("Vector"),
    "response-user": gettext_lazy("Username of who answered"),
    "ignore": gettext_lazy("Leave out"),
}
_KNOWN: Final = {
    "field": gettext_lazy("Field: %s"),
    "suggestion": gettext_lazy("Suggestion: %s"),
    "response": gettext_lazy("Answer: %s"),
    "metadata": gettext_lazy("Metadata: %s"),
    "vector": gettext_lazy("Vector: %s"),
}

Group = tuple[str, Sequence[tuple[str, str]]]


def groups(content: SketchContent) -> list[Group]:
    """All that a column may become, by group: written form and words."""
    known = [
        (written, str(_KNOWN[written.partition(":")[0]]) % title)
        for written, title in existing_targets(content)
    ]
    made: list[Group] = [
        (_("Field"), _texts(FIELD_TYPES)),
        (_("Suggestion for a new question"), _asked("suggestion")),
        (_("Answer to a new question"), _asked("response")),
        (_("Metadata"), _named("metadata", PROPERTY_TYPES)),
        (_("Other"), _texts(_OTHERS)),
    ]
    return [(_("What is there already"), known), *made] if known else made


def _texts(words: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(written, str(text)) for written, text in words.items()]


def _asked(kind: str) -> list[tuple[str, str]]:
    return _named(kind, {f"{kind}.{type}": text for type, text in QUESTION_TYPES.items()})


def _named(kind: str, words: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A closed list shows one entry alone, so each says what it is of."""
    return [(written, str(_KNOWN[kind]) % text) for written, text in words.items()]


# --- Reasons ----------------------------------------------------------------------------------
_REASONS: Final[dict[str, Callable[[], str]]] = {
    "few_values": lambda: _("%(n)s different values in %(rows)s rows: a label question?"),
    "rating": lambda: _("Whole numbers from %(low)s to %(high)s, and called so: a rating?"),
    "all_differ": lambda: _("All %(rows)s values differ, and it is called so: the id?"),
    "texts": lambda: _("Texts of %(length)s characters on average: something to read."),
    "longest": lambda: _("The longest texts there are: something must be read."),
    "fact": lambda: _("%(n)s different values, and called like a fact about the record."),
    "people": lambda: _("%(n)s different names of people."),
    "one_value": lambda: _("The same value in all %(rows)s rows."),
    "whole": lambda: _("Whole numbers from %(low)s to %(high)s."),
    "decimals": lambda: _("Decimal numbers from %(low)s to %(high)s."),
    "messages": lambda: _("Messages with a role and a content: a conversation."),
    "pictures": lambda: _("Addresses of pictures."),
    "objects": lambda: _("Objects, shown as they are until you write a template."),
    "spans": lambda: _("Places in a text with %(n)s different labels: marked spans."),
    "rankings": lambda: _("Values with their ranks: a ranking."),
    "lists": lambda: _("Lists of %(n)s different texts: several labels?"),
    "numbers": lambda: _("Lists of %(n)s numbers: a vector."),
    "yes_or_no": lambda: _("Yes or no."),
    "empty": lambda: _("Nothing but empty cells."),
    "template": lambda: _("Fits what is there already."),
    "chosen": lambda: "",
}


def reason(word: str, facts: Mapping[str, Any]) -> str:
    """The sentence; nothing for what somebody has chosen."""
    sentence = _REASONS.get(word)
    if sentence is None:
        return ""
    shown = {"n": 0, "rows": 0, "low": 0, "high": 0, "length": 0} | dict(facts)
    return sentence() % {key: _number(value) for key, value in shown.items()}


def _number(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return number_format(value, force_grouping=True) if value is not None else "–"
