"""Edits of questions as their forms send them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidError
from apps.datasets.edits import AnyEdit, read_edit
from apps.datasets.models import Question

KINDS: Final = {
    "add_label": gettext_lazy("Label added"),
    "rename_label": gettext_lazy("Label renamed"),
    "reorder_labels": gettext_lazy("Labels arranged"),
    "merge_labels": gettext_lazy("Labels merged"),
    "remove_label": gettext_lazy("Label removed"),
    "split_label": gettext_lazy("Label split"),
    "add_question": gettext_lazy("Question added"),
    "remove_question": gettext_lazy("Question removed"),
    "rename_question": gettext_lazy("Question renamed"),
    "reorder_questions": gettext_lazy("Questions arranged"),
    "merge_questions": gettext_lazy("Questions merged"),
    "split_question": gettext_lazy("Question split"),
}
# What can be done with one question: the edit, its form's title, the types it is for (all: none).
_LABELS: Final = frozenset({"label_selection", "multi_label_selection", "span"})
_FORMS: Final[Sequence[tuple[str, Promise, frozenset[str]]]] = (
    ("rename_label", gettext_lazy("Rename a label"), _LABELS | {"ranking"}),
    ("reorder_labels", gettext_lazy("Arrange the labels"), _LABELS | {"ranking"}),
    ("add_label", gettext_lazy("Add a label"), _LABELS),
    ("merge_labels", gettext_lazy("Merge labels"), _LABELS),
    ("split_label", gettext_lazy("Split a label"), _LABELS),
    ("remove_label", gettext_lazy("Remove a label"), _LABELS),
    ("split_question", gettext_lazy("Split the question"), _LABELS - {"span"}),
    ("rename_question", gettext_lazy("Rename the question"), frozenset()),
    ("merge_questions", gettext_lazy("Merge another question into this one"), frozenset()),
    ("remove_question", gettext_lazy("Remove the question"), frozenset()),
)
_NEED_ANOTHER: Final = {"merge_questions", "remove_question"}
PARTS: Final = 4  # of a split, in its form
TYPES: Final = (
    ("label_selection", gettext_lazy("One label")),
    ("multi_label_selection", gettext_lazy("Several labels")),
    ("rating", gettext_lazy("Rating")),
    ("text", gettext_lazy("Text")),
)


def forms_of(question: Question, *, alone: bool) -> list[tuple[str, Promise, str]]:
    """The edits a question can have, each with its form's title and template."""
    return [
        (kind, title, f"console/edits/_{kind}.html")
        for kind, title, types in _FORMS
        if (not types or question.type in types) and not (alone and kind in _NEED_ANOTHER)
    ]


def read_form(post: QueryDict) -> AnyEdit:
    """Raises ``InvalidError``."""
    kind = post.get("kind", "")
    document: dict[str, Any] = {"kind": kind, "question": _text(post, "question")}
    return read_edit(document | (_READERS[kind](post) if kind in _READERS else {}))


def _text(post: QueryDict, name: str) -> str:
    return post.get(name, "").replace("\0", "").strip()


def _lines(post: QueryDict, name: str) -> list[str]:
    return [line.strip() for line in _text(post, name).splitlines() if line.strip()]


def _label(post: QueryDict, suffix: str = "") -> dict[str, str]:
    """A label's text is its value where only one was typed."""
    value, text = _text(post, f"value{suffix}"), _text(post, f"text{suffix}")
    return {"value": value or text, "text": text or value}


def _remove(post: QueryDict) -> dict[str, Any]:
    if "to" not in post:
        raise InvalidError(_("Say what becomes of the answers with this label."))
    return {"label": _text(post, "label"), "to": _text(post, "to") or None}


def _split(post: QueryDict) -> dict[str, Any]:
    parts = [
        {**_label(post, str(n)), "query": _text(post, f"query{n}")} for n in range(1, PARTS + 1)
    ]
    return {"label": _text(post, "label"), "parts": [part for part in parts if part["value"]]}


def _new_question(post: QueryDict) -> dict[str, Any]:
    type = _text(post, "type")
    settings: dict[str, Any] = {"type": type}
    if type == "rating":
        settings["options"] = [{"value": n} for n in range(1, 6)]
    elif type != "text":
        labels = _lines(post, "labels")
        settings["options"] = [{"value": label, "text": label} for label in labels]
    return {
        "question": _text(post, "name"),
        "title": _text(post, "title"),
        "required": "required" in post,
        "settings": settings,
        "default": _default(type, post) if post.get("backfill") == "default" else None,
        "ask_again": post.get("backfill") == "ask",
    }


def _default(type: str, post: QueryDict) -> Any:
    text = _text(post, "default")
    if type == "multi_label_selection":
        return [one.strip() for one in text.split(",")]
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if type == "rating" and is_number else text


_READERS: Final[dict[str, Callable[[QueryDict], dict[str, Any]]]] = {
    "add_label": lambda post: {"label": _label(post)},
    "rename_label": lambda post: {"label": _text(post, "label"), "to": _label(post)},
    "reorder_labels": lambda post: {"order": _lines(post, "order")},
    "merge_labels": lambda post: {"labels": post.getlist("labels"), "to": _label(post)},
    "remove_label": _remove,
    "split_label": _split,
    "add_question": _new_question,
    "rename_question": lambda post: {"to": _text(post, "to"), "title": _text(post, "title")},
    "reorder_questions": lambda post: {"order": _lines(post, "order")},
    "merge_questions": lambda post: {"other": _text(post, "other")},
    "split_question": lambda post: {
        "into": _text(post, "into"),
        "title": _text(post, "title"),
        "labels": post.getlist("labels"),
    },
}
