"""A person's preferences as forms: how pages look, and which keys they use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.labeling import keystrokes, shortcuts
from apps.labeling.shortcuts import SHORTCUTS, Shortcut
from apps.users.models import Density, SingleKeys, Theme


class PreferencesForm(forms.Form):
    """Language, theme, density, and when single keys are shortcuts."""

    language = forms.ChoiceField(
        label=_("Language"),
        choices=[("", _("As the browser")), *settings.LANGUAGES],
        required=False,
    )
    theme = forms.ChoiceField(label=_("Theme"), choices=Theme.choices)
    density = forms.ChoiceField(label=_("Density"), choices=Density.choices)
    single_keys = forms.ChoiceField(label=_("Single-key shortcuts"), choices=SingleKeys.choices)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A command that may be remapped: the key as it stands in its field, and what is wrong."""

    shortcut: Shortcut
    value: str
    error: str = ""

    @property
    def name(self) -> str:
        return f"key.{self.shortcut.command}"

    @property
    def dom_id(self) -> str:
        return self.name.replace(".", "-")

    @property
    def also(self) -> list[list[str]]:
        """Further keys that the command has as long as it keeps its default."""
        if self.value != self.shortcut.keys[0]:
            return []
        return [keystrokes.caps(key) for key in self.shortcut.keys[1:]]

    @property
    def default(self) -> list[list[str]]:
        """The caps of the default, when another key is set."""
        return (
            [] if self.value == self.shortcut.keys[0] else [keystrokes.caps(self.shortcut.keys[0])]
        )


@dataclass
class KeyMap:
    """A map of keys as it was sent: ``own`` is what may be stored once ``errors`` is empty."""

    own: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[tuple[str, Any, list[KeyRow]]]:
        """Page name, its title and its rows, for every page that has commands."""
        return [(page, title, rows) for page, title in PAGES.items() if (rows := self._rows(page))]

    @property
    def wrong(self) -> list[KeyRow]:
        return [row for _, _, rows in self.groups for row in rows if row.error]

    def _rows(self, page: str) -> list[KeyRow]:
        found = [item for item in SHORTCUTS if item.page == page and not item.fixed]
        return [
            KeyRow(item, self._value(item), self.errors.get(item.command, "")) for item in found
        ]

    def _value(self, shortcut: Shortcut) -> str:
        stored = self.own.get(shortcut.command, shortcut.keys[0])
        return self.values.get(shortcut.command, stored)


PAGES = {
    shortcuts.ANNOTATE: _("Answering records"),
    shortcuts.BULK: _("Answering many at once"),
    shortcuts.EXPLORE: _("Exploring"),
    shortcuts.REVIEW: _("Reviewing"),
    shortcuts.EVERYWHERE: _("Everywhere"),
}


def known(own: Mapping[str, str]) -> dict[str, str]:
    """What is stored, without commands that exist no more."""
    commands = shortcuts.by_command()
    return {name: key for name, key in own.items() if name in commands}


def read_keys(data: Mapping[str, str], stored: Mapping[str, str]) -> KeyMap:
    """The keys of a form; a command without a field keeps what is stored, an empty one is off."""
    keys = KeyMap(own=known(stored))
    for shortcut in SHORTCUTS:
        text = data.get(f"key.{shortcut.command}")
        if shortcut.fixed or text is None:
            continue
        keys.values[shortcut.command] = text[:40]
        try:
            key = keystrokes.normalize(text[:40])
        except ValueError as error:
            keys.errors[shortcut.command] = str(error)
            continue
        keys.own.pop(shortcut.command, None)
        if key != shortcut.keys[0]:
            keys.own[shortcut.command] = key
    for command, other in shortcuts.clashes(keys.own).items():
        text = gettext("Taken already: %(command)s") % {"command": other.text}
        keys.errors.setdefault(command, text)
    return keys
