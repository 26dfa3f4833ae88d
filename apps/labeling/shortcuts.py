"""The keyboard: one list of commands, from which keys, cheatsheet and their remapping come.

To add one, put a ``Shortcut`` into ``SHORTCUTS`` and say in a module of ``static/js`` what it does:
``keys.register({"answer.discard": () => …})``; a function that returns ``false`` leaves the key to
the next command and then to the browser. Pages name themselves with ``{% keyboard "annotate" %}``
in the block ``keyboard``; ``{% key "answer.discard" %}`` shows a command's key on its button.

A key is written as in ``d``, ``Shift+y``, ``Control+s`` (⌘ counts as Control), ``Alt+ArrowUp``,
``Enter``, ``Space``, ``0-9`` (any digit, given to the function), ``?``, or ``g m`` (one by one).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.labeling.keystrokes import caps, collide

# Pages
EVERYWHERE, ANNOTATE, BULK, EXPLORE, REVIEW = "", "annotate", "bulk", "explore", "review"
DRAFTS, DRAFT = "drafts", "draft"

# Groups of the cheatsheet, in its order
GROUPS: dict[str, Any] = {
    "question": _("This question"),
    "record": _("This record"),
    "text": _("Texts and rankings"),
    "span": _("Marking a text"),
    "marks": _("and its marks"),
    "list": _("List"),
    "review": _("Review"),
    "drafts": _("Drafts"),
    "places": _("Go"),
    "go": _("Everywhere"),
}


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A command and its keys.

    ``context`` is what must have the focus (``span``, ``ranking``, …), which goes before commands
    without one. ``fixed`` keys belong to the form's own behaviour and cannot be remapped. Keys
    with ``typing`` work in text fields too; those with ``repeats`` while they are held down.
    """

    command: str
    keys: tuple[str, ...]
    text: str | Promise
    group: str
    page: str = ANNOTATE
    context: str = ""
    fixed: bool = False
    typing: bool = False
    repeats: bool = False


SHORTCUTS: tuple[Shortcut, ...] = (
    Shortcut("option.digit", ("0-9",), _("choose, rate, rank"), "question", fixed=True),
    Shortcut(
        "option.move",
        ("ArrowLeft", "ArrowRight"),
        _("move between options"),
        "question",
        fixed=True,
        repeats=True,
    ),
    Shortcut("option.filter", ("/",), _("filter labels, or search"), "question"),
    Shortcut("suggestion.take", ("y",), _("take the suggestion"), "question"),
    Shortcut("suggestion.take-all", ("Shift+y",), _("take all suggestions"), "question"),
    Shortcut("answer.clear", ("x",), _("clear the answer"), "question"),
    Shortcut("question.next", ("j",), _("next question"), "question", repeats=True),
    Shortcut("question.previous", ("k",), _("previous question"), "question", repeats=True),
    Shortcut(
        "question.move",
        ("ArrowUp", "ArrowDown"),
        _("change question"),
        "question",
        fixed=True,
        repeats=True,
    ),
    Shortcut("answer.submit", ("Enter",), _("submit"), "record", fixed=True),
    Shortcut(
        "answer.submit-anywhere",
        ("Control+Enter",),
        _("submit, also from a text"),
        "record",
        typing=True,
    ),
    Shortcut("answer.draft", ("Control+s",), _("save as a draft"), "record", typing=True),
    Shortcut("answer.discard", ("d",), _("discard"), "record"),
    Shortcut("answer.undo", ("z", "Control+z"), _("undo"), "record"),
    Shortcut("answer.redo", ("Shift+z", "Control+Shift+z"), _("redo"), "record"),
    Shortcut("record.next", ("n", "]"), _("next, without an answer"), "record"),
    Shortcut("record.previous", ("p", "["), _("previous record"), "record"),
    Shortcut("record.similar", ("s",), _("find similar ones"), "record"),
    Shortcut("record.least", ("Shift+s",), _("find the least similar"), "record"),
    Shortcut("record.comment", ("c",), _("comment"), "record"),
    Shortcut("record.flag", ("f",), _("ask a reviewer to look"), "record"),
    Shortcut("guidelines.toggle", ("\\",), _("guidelines"), "record"),
    Shortcut("metadata.toggle", ("m",), _("metadata"), "record"),
    Shortcut("queue.filter", ("Shift+f",), _("filter the queue"), "record"),
    Shortcut("go.guidelines", ("g g",), _("to the guidelines"), "places"),
    Shortcut("go.metadata", ("g m",), _("to the metadata"), "places"),
    Shortcut("go.progress", ("g p",), _("to the progress"), "places"),
    Shortcut("go.review", ("g r",), _("to the review"), "places"),
    Shortcut("go.bulk", ("g b",), _("to many records at once"), "places"),
    Shortcut("text.enter", ("Shift+Enter",), _("write or mark the text"), "text"),
    Shortcut("text.leave", ("Escape",), _("leave the text"), "text", fixed=True, typing=True),
    Shortcut(
        "ranking.move",
        ("Alt+ArrowUp", "Alt+ArrowDown"),
        _("move the option"),
        "text",
        fixed=True,
        repeats=True,
    ),
    Shortcut("ranking.tie", ("t",), _("tie with the one above"), "text", context="ranking"),
    Shortcut(
        "span.word",
        ("ArrowLeft", "ArrowRight"),
        _("word by word"),
        "span",
        context="span",
        fixed=True,
    ),
    Shortcut(
        "span.extend",
        ("Shift+ArrowLeft", "Shift+ArrowRight"),
        _("select more, or less"),
        "span",
        context="span",
        fixed=True,
    ),
    Shortcut("span.mark", ("0-9",), _("mark the selection"), "span", context="span", fixed=True),
    Shortcut(
        "span.letter",
        ("Alt+Shift+ArrowLeft", "Alt+Shift+ArrowRight"),
        _("letter by letter"),
        "span",
        context="span",
        fixed=True,
    ),
    Shortcut(
        "span.line", ("ArrowUp", "ArrowDown"), _("line by line"), "span", context="span", fixed=True
    ),
    Shortcut(
        "span.ends", ("Home", "End"), _("first word, last word"), "span", context="span", fixed=True
    ),
    Shortcut("span.labels", ("l",), _("to the labels"), "span", context="span"),
    Shortcut(
        "span.step",
        (".", ","),
        _("next mark, mark before"),
        "marks",
        context="span",
        fixed=True,
    ),
    Shortcut(
        "span.start",
        ("Alt+ArrowLeft", "Alt+ArrowRight"),
        _("move the mark’s start"),
        "marks",
        context="span",
        fixed=True,
    ),
    Shortcut("span.same", ("v",), _("the same text again"), "marks", context="span", repeats=True),
    Shortcut("span.same-all", ("Shift+v",), _("mark all the same"), "marks", context="span"),
    Shortcut("span.remove", ("Delete",), _("remove the mark"), "marks", context="span", fixed=True),
    Shortcut("explore.search", ("/",), _("to the search"), "list", page=EXPLORE),
    Shortcut(
        "explore.leave",
        ("Escape",),
        _("leave the field"),
        "list",
        page=EXPLORE,
        fixed=True,
        typing=True,
    ),
    Shortcut("explore.next", ("j",), _("next record"), "list", page=EXPLORE, repeats=True),
    Shortcut("explore.previous", ("k",), _("previous record"), "list", page=EXPLORE, repeats=True),
    Shortcut("explore.select", ("Space",), _("select the record"), "list", EXPLORE, fixed=True),
    Shortcut(
        "explore.extend-next", ("Shift+j",), _("select, and go on"), "list", EXPLORE, repeats=True
    ),
    Shortcut(
        "explore.extend-previous",
        ("Shift+k",),
        _("select, and go back"),
        "list",
        EXPLORE,
        repeats=True,
    ),
    Shortcut(
        "explore.page", ("Control+a",), _("select all on this page"), "list", EXPLORE, fixed=True
    ),
    Shortcut("explore.all", ("Shift+a",), _("select all that match"), "list", page=EXPLORE),
    Shortcut("explore.open", ("o",), _("open the record"), "list", page=EXPLORE),
    Shortcut("explore.similar", ("s",), _("find similar ones"), "list", page=EXPLORE),
    Shortcut("explore.least", ("Shift+s",), _("find the least similar"), "list", page=EXPLORE),
    Shortcut("explore.digit", ("0-9",), _("choose or rate"), "question", EXPLORE, fixed=True),
    Shortcut("explore.question", ("]", "["), _("change question"), "question", EXPLORE, fixed=True),
    Shortcut("explore.own", ("y",), _("take each record’s suggestion"), "question", page=EXPLORE),
    Shortcut("explore.clear", ("x",), _("clear the answer"), "question", page=EXPLORE),
    Shortcut(
        "explore.submit", ("Enter",), _("submit for all selected"), "list", EXPLORE, fixed=True
    ),
    Shortcut(
        "explore.submit-anywhere",
        ("Control+Enter",),
        _("submit, also from a text"),
        "list",
        page=EXPLORE,
        typing=True,
    ),
    Shortcut("explore.draft", ("Control+s",), _("save as drafts"), "list", EXPLORE, typing=True),
    Shortcut("explore.discard", ("d",), _("discard"), "list", page=EXPLORE),
    Shortcut("explore.undo", ("z",), _("undo the last answer to many"), "list", page=EXPLORE),
    Shortcut("review.majority", ("a",), _("take what most people say"), "review", page=REVIEW),
    Shortcut("review.choice", ("0-9",), _("take this answer"), "review", page=REVIEW, fixed=True),
    Shortcut("review.edit", ("e",), _("give my own answer"), "review", page=REVIEW),
    Shortcut("review.ambiguous", ("m",), _("it can’t be decided"), "review", page=REVIEW),
    Shortcut("review.why", ("w",), _("say why"), "review", page=REVIEW),
    Shortcut("review.accept", ("Enter",), _("accept"), "review", page=REVIEW, fixed=True),
    Shortcut(
        "review.accept-anywhere",
        ("Control+Enter",),
        _("accept, also from a text"),
        "review",
        page=REVIEW,
        typing=True,
    ),
    Shortcut("review.return", ("r",), _("send an answer back"), "review", page=REVIEW),
    Shortcut("review.gap", ("g",), _("guideline gap"), "review", page=REVIEW),
    Shortcut("review.comment", ("c",), _("comment"), "review", page=REVIEW),
    Shortcut("review.next", ("n", "]"), _("next, without a decision"), "review", page=REVIEW),
    Shortcut(
        "review.next-question", ("j",), _("next question"), "review", page=REVIEW, repeats=True
    ),
    Shortcut(
        "review.previous-question",
        ("k",),
        _("previous question"),
        "review",
        page=REVIEW,
        repeats=True,
    ),
    Shortcut(
        "review.move",
        ("ArrowUp", "ArrowDown"),
        _("change question"),
        "review",
        page=REVIEW,
        fixed=True,
        repeats=True,
    ),
    Shortcut(
        "review.leave",
        ("Escape",),
        _("leave the text"),
        "review",
        page=REVIEW,
        fixed=True,
        typing=True,
    ),
    Shortcut("drafts.next", ("j",), _("next draft"), "drafts", page=DRAFTS, repeats=True),
    Shortcut("drafts.previous", ("k",), _("previous draft"), "drafts", page=DRAFTS, repeats=True),
    Shortcut("drafts.edit", ("e",), _("edit the draft"), "drafts", page=DRAFTS),
    Shortcut("drafts.accept", ("a",), _("accept the draft"), "drafts", page=DRAFTS),
    Shortcut("drafts.discard", ("d",), _("discard the draft"), "drafts", page=DRAFTS),
    Shortcut("drafts.mark", ("Space",), _("mark the draft"), "drafts", page=DRAFTS, fixed=True),
    Shortcut("drafts.undo", ("z",), _("undo the last decision"), "drafts", page=DRAFTS),
    Shortcut(
        "draft.accept", ("Control+Enter",), _("save, and accept"), "drafts", DRAFT, typing=True
    ),
    Shortcut("draft.save", ("Control+s",), _("save"), "drafts", page=DRAFT, typing=True),
    Shortcut(
        "draft.leave",
        ("Escape",),
        _("back to the drafts"),
        "drafts",
        page=DRAFT,
        fixed=True,
        typing=True,
    ),
    Shortcut("palette.open", ("Control+k",), _("go to …"), "go", page=EVERYWHERE, typing=True),
    Shortcut("keys.show", ("?",), _("this sheet"), "go", page=EVERYWHERE),
)


@cache
def by_command() -> dict[str, Shortcut]:
    return {shortcut.command: shortcut for shortcut in SHORTCUTS}


def shown_on(page: str) -> list[Shortcut]:
    """The page's own commands and those of every page."""
    return [shortcut for shortcut in SHORTCUTS if shortcut.page in (page, EVERYWHERE)]


def keys_of(shortcut: Shortcut, own: Mapping[str, str]) -> tuple[str, ...]:
    """The keys in force; ``own`` maps commands to the person's key, empty for none."""
    if shortcut.fixed or shortcut.command not in own:
        return shortcut.keys
    key = own[shortcut.command]
    return (key,) if key else ()


def table(page: str, own: Mapping[str, str], single: str) -> dict[str, Any]:
    """What ``keys.js`` works with. ``single``: ``on``, ``form`` or ``off``."""
    return {
        "single": single,
        "commands": [
            {
                "command": shortcut.command,
                "keys": keys_of(shortcut, own),
                "context": shortcut.context,
                "typing": shortcut.typing,
                "repeats": shortcut.repeats,
            }
            for shortcut in sorted(shown_on(page), key=lambda shortcut: not shortcut.context)
        ],
    }


@dataclass(frozen=True, slots=True)
class Row:
    """A command in the cheatsheet or on the page of preferences."""

    shortcut: Shortcut
    keys: tuple[str, ...]

    @property
    def caps(self) -> list[list[str]]:
        """Each key as what is printed on its caps."""
        return [caps(key) for key in self.keys]


def sheet(page: str, own: Mapping[str, str]) -> list[tuple[str, list[Row]]]:
    """The cheatsheet: title and rows of every group that has commands on the page."""
    rows = [Row(shortcut, keys_of(shortcut, own)) for shortcut in shown_on(page)]
    rows.sort(key=lambda row: list(GROUPS).index(row.shortcut.group))
    grouped = groupby(rows, key=lambda row: row.shortcut.group)
    return [(GROUPS[group], [row for row in found if row.keys]) for group, found in grouped]


def clashes(own: Mapping[str, str]) -> dict[str, Shortcut]:
    """Commands of ``own`` whose key another command has on the same page, with that command.

    One that works only in a certain place counts too: nobody guesses where a key means what.
    """
    found = {}
    for command in own:
        shortcut = by_command()[command]
        for key in keys_of(shortcut, own):
            other = _holder(key, shortcut, own)
            if other is not None:
                found[command] = other
    return found


def _holder(key: str, shortcut: Shortcut, own: Mapping[str, str]) -> Shortcut | None:
    for other in SHORTCUTS:
        if other is shortcut or not _meet(shortcut, other):
            continue
        if any(collide(key, taken) for taken in keys_of(other, own)):
            return other
    return None


def _meet(one: Shortcut, other: Shortcut) -> bool:
    return one.page == other.page or EVERYWHERE in (one.page, other.page)
