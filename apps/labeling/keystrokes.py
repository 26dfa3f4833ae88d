"""A key as people write it, as it is stored, and as it is printed.

``Control+s`` (⌘ counts as Control), ``Alt+ArrowUp``, ``0-9`` (any digit), or ``g m`` (one by one).
"""

import re

from django.utils.translation import gettext, pgettext

MODIFIERS = ("Control", "Alt", "Shift")
NAMED = ("Enter", "Space", "Home", "End", "PageUp", "PageDown", "Insert")
# Keys that browsers and screen readers need, and those that must never lose an answer.
RESERVED = frozenset(f"Control+{key}" for key in "acfijlnprtuvwxz") | {
    "Tab",
    "Shift+Tab",
    "Escape",
    "Backspace",
    "Delete",
    "Space",
    "Enter",
    "Shift+Space",
}

_WORDS = {"ctrl": "Control", "strg": "Control", "cmd": "Control", "umschalt": "Shift"}


def normalize(text: str) -> str:
    """A key as typed by a person in its standard form; raises ``ValueError`` with what is wrong."""
    strokes = text.split()
    if len(strokes) > 2:
        raise ValueError(gettext("At most two keys, one after the other."))
    return " ".join(_stroke(stroke, alone=len(strokes) == 1) for stroke in strokes)


def _stroke(text: str, *, alone: bool) -> str:
    *modifiers, key = re.split(r"(?<=.)\+(?=.)", text)
    given = {_WORDS.get(word.lower(), word.capitalize()) for word in modifiers}
    if len(key) == 1 and key.isupper():
        given, key = given or {"Shift"}, key.lower()
    if len(key) == 1 and not key.isalpha():
        given -= {"Shift"}  # a sign says itself whether it takes Shift
    named = next((name for name in NAMED if name.lower() == key.lower()), None)
    if not given <= set(MODIFIERS) or (named is None and (len(key) != 1 or not key.isprintable())):
        raise ValueError(gettext("“%(key)s” is no key we know.") % {"key": text})
    if key.isdigit():
        raise ValueError(gettext("Digits choose options."))
    stroke = "+".join([*(name for name in MODIFIERS if name in given), named or key])
    if stroke in RESERVED or (not alone and given - {"Shift"}):
        raise ValueError(gettext("“%(key)s” belongs to the browser.") % {"key": text})
    return stroke


def collide(one: str, other: str) -> bool:
    """The same, or one begins the other: ``g`` would never let ``g m`` come."""
    return one == other or f"{one} ".startswith(f"{other} ") or f"{other} ".startswith(f"{one} ")


def caps(key: str) -> list[str]:
    """The caps of a key: ``Control+s`` is ``Ctrl S``, ``g m`` two caps, ``0-9`` is ``1 – 9``."""
    if key == "0-9":
        return ["1 – 9"]
    return [_cap(stroke) for stroke in key.split()]


def _cap(stroke: str) -> str:
    *modifiers, key = re.split(r"(?<=.)\+(?=.)", stroke)
    signs = {
        "ArrowUp": "↑",
        "ArrowDown": "↓",
        "ArrowLeft": "←",
        "ArrowRight": "→",
        "Enter": "↵",
        "Shift": "⇧",
        "Alt": "Alt",
        "Control": pgettext("key", "Ctrl"),
        "Space": pgettext("key", "Space"),
        "Escape": pgettext("key", "Esc"),
        "Delete": pgettext("key", "Del"),
        "Home": pgettext("key", "Home"),
        "End": pgettext("key", "End"),
    }
    name = signs.get(key, key.upper() if len(key) == 1 else key)
    before = "".join(signs[word] + ("" if word == "Shift" else " ") for word in modifiers)
    return before + name


def is_single(key: str) -> bool:
    """Whether the key is pressed alone and prints something: what screen readers and speech hit."""
    return key == "0-9" or all(len(stroke.removeprefix("Shift+")) == 1 for stroke in key.split())
