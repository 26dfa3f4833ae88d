"""What an edit of the questions is called, and what it does, in a line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

ACTS: Final = {
    "add_label": _("Add a label"),
    "rename_label": _("Rename a label"),
    "reorder_labels": _("Arrange the labels"),
    "merge_labels": _("Merge labels"),
    "remove_label": _("Remove a label"),
    "split_label": _("Split a label"),
    "add_question": _("Add a question"),
    "remove_question": _("Remove the question"),
    "rename_question": _("Rename the question"),
    "reorder_questions": _("Order of the questions"),
    "merge_questions": _("Merge another question into this one"),
    "split_question": _("Split the question"),
}
MOST_NAMED: Final = 8


def describe(edit: Mapping[str, Any]) -> str:
    """The question, and what becomes what: ``intent: lost, stolen → card``."""
    words = _READERS[edit["kind"]](edit) if edit["kind"] in _READERS else ""
    return ": ".join(part for part in (edit.get("question", ""), words) if part)


def _becomes(before: Sequence[str], after: Sequence[str]) -> str:
    return " → ".join(_list(some) for some in (before, after) if some)


def _list(names: Sequence[str]) -> str:
    more = " …" if len(names) > MOST_NAMED else ""
    return ", ".join(map(str, names[:MOST_NAMED])) + more


_READERS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "add_label": lambda edit: f"+ {edit['label']['value']}",
    "rename_label": lambda edit: _becomes([edit["label"]], [edit["to"]["value"]]),
    "reorder_labels": lambda edit: _list(edit["order"]),
    "merge_labels": lambda edit: _becomes(edit["labels"], [edit["to"]["value"]]),
    "remove_label": lambda edit: _becomes([edit["label"]], [edit["to"] or "–"]),
    "split_label": lambda edit: _becomes(
        [edit["label"]], [part["value"] for part in edit["parts"]]
    ),
    "rename_question": lambda edit: _becomes([], [edit["to"]]),
    "reorder_questions": lambda edit: _list(edit["order"]),
    "merge_questions": lambda edit: f"+ {edit['other']}",
    "split_question": lambda edit: _becomes(edit["labels"], [edit["into"]]),
}
