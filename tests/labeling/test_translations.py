"""The German catalogue: complete, compiled as it is written, and with the same placeholders.

Strings are gathered from templates and modules in Python, so that no tool of gettext is needed.
"""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
FOLDER = ROOT / "config" / "locale" / "de" / "LC_MESSAGES"
CALLS = {
    "gettext": (0,),
    "gettext_lazy": (0,),
    "gettext_noop": (0,),
    "ngettext": (0, 1),
    "ngettext_lazy": (0, 1),
    "pgettext": (1,),
    "pgettext_lazy": (1,),
    "npgettext": (1, 2),
    "npgettext_lazy": (1, 2),
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w+\}|</?\w+>")


@dataclass
class Entry:
    """A message: its context, its text, and its translations, one or one for each number."""

    context: str = ""
    text: str = ""
    plural: str = ""
    translations: dict[int, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.context}\x04{self.text}" if self.context else self.text


@cache
def entries() -> list[Entry]:
    """What the written catalogue holds, its header left out."""
    found: list[Entry] = []
    for block in (FOLDER / "django.po").read_text().split("\n\n"):
        assert "fuzzy" not in block
        assert not block.startswith("#~"), "an entry that is no longer used"
        found.append(read_entry(block))
    return found[1:]


def read_entry(block: str) -> Entry:
    entry, place = Entry(), ""
    parts: dict[str, str] = {}
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        word, _, rest = line.partition(" ") if not line.startswith('"') else (place, "", line)
        place = word
        parts[word] = parts.get(word, "") + ast.literal_eval(rest)
    entry.context, entry.text = parts.get("msgctxt", ""), parts["msgid"]
    entry.plural = parts.get("msgid_plural", "")
    for word, text in parts.items():
        if word.startswith("msgstr"):
            entry.translations[int(word[7:-1] or 0) if "[" in word else 0] = text
    return entry


def messages(source: str) -> Iterator[str]:
    """Keys of the messages that a module of Python marks, whatever it calls the functions."""
    tree = ast.parse(source)
    names = {name: name for name in CALLS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        function = names.get(node.func.id)
        if function in CALLS and node.args:
            yield key_of(function, node)


def key_of(function: str, call: ast.Call) -> str:
    given = [ast.literal_eval(call.args[number]) for number in range(len(call.args[:2]))][:2]
    if function.startswith(("pgettext", "npgettext")):
        return f"{given[0]}\x04{given[1]}"
    return str(given[0])


def template_messages(path: Path) -> Iterator[str]:
    """Keys of the messages of a template."""
    source = templatize(path.read_text(), origin=str(path))
    for call in re.findall(
        r"\b(?:np?|p)?gettext\((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[\s,u]|count)*\)", source
    ):
        node = ast.parse(call.strip(), mode="eval").body
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        node.args = [argument for argument in node.args if isinstance(argument, ast.Constant)]
        yield key_of(node.func.id, node)
    yield from re.findall(r'\b_\("([^"]+)"\)', path.read_text())  # of a variable or a filter


def literal_messages(path: Path) -> list[str]:
    """Messages of a module; a marked text that is no literal could never be translated."""
    try:
        return list(messages(path.read_text()))
    except ValueError as error:
        raise AssertionError(f"{path}: a marked text is put together at run time") from error


@cache
def marked() -> dict[str, str]:
    """Every message of the pages, with a place where it is."""
    found: dict[str, str] = {}
    templates = ROOT / "templates"
    for path in sorted([*templates.rglob("*.html"), *templates.rglob("*.txt")]):
        found |= dict.fromkeys(template_messages(path), str(path))
    for path in sorted((ROOT / "apps").rglob("*.py")):
        if "django.utils.translation" in path.read_text():
            found |= dict.fromkeys(literal_messages(path), str(path))
    return found


def test_no_message_is_missing_and_none_is_left_over() -> None:
    written = {entry.key for entry in entries()}
    missing = {key: path for key, path in marked().items() if key not in written}
    assert missing == {}
    assert written - set(marked()) == set()


def test_every_message_has_its_translations() -> None:
    for entry in entries():
        assert set(entry.translations) == ({0, 1} if entry.plural else {0}), entry.text
        assert all(entry.translations.values()), entry.text


def test_placeholders_and_spaces_agree() -> None:
    for entry in entries():
        for number, text in entry.translations.items():
            source = entry.plural if number else entry.text
            assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(source)), text
            assert len(text) - len(text.strip()) == len(source) - len(source.strip()), text


def test_the_compiled_catalogue_is_the_written_one() -> None:
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    compiled.pop("")
    written: dict[object, str] = {}
    for entry in entries():
        for number, text in entry.translations.items():
            written[(entry.key, number) if entry.plural else entry.key] = text
    assert compiled == written


def test_people_are_addressed_politely() -> None:
    informal = re.compile(r"\b(du|dich|dir|dein|deine|deinen|deinem|deiner)\b", re.IGNORECASE)
    for entry in entries():
        for text in entry.translations.values():
            assert not informal.search(text), text


@pytest.mark.parametrize(("n", "text"), [(1, "vor 1 Stunde"), (5, "vor 5 Stunden")])
def test_numbers_choose_their_form(n: int, text: str) -> None:
    with translation.override("de"):
        found = translation.ngettext("%(n)d hour ago", "%(n)d hours ago", n) % {"n": n}
    assert found == text
