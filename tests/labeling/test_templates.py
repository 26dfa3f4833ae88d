"""Rules that every template and script keeps, so that the strict policy can stay strict."""

import re
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.template import Template
from django.template.base import VariableNode
from django.utils.translation import override

from apps.labeling.templatetags.labeling import fixed, key
from apps.labeling.templatetags.navigation import ORGANIZATION
from apps.users.models import User

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_templates_hold_no_code_no_style_and_nothing_unsafe(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "inline script"
    if "emails" not in path.parts:  # no policy stands over a mail, and nothing is loaded for it
        assert not re.search(r"<style|\sstyle=", text), "inline style"
    assert not re.search(r"\son[a-z]+=|\shx-on|javascript:|\bjs:", text), "inline handler"
    assert not re.search(r"\|\s*safe\b|autoescape off|mark_safe", text), "unsafe text"
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.DOTALL):
        assert "csrf_token" in form


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_pages_extend_and_fragments_do_not(path: Path) -> None:
    extends = "{% extends" in path.read_text()
    assert extends == (not path.name.startswith("_") and path.name != "base.html")


def test_the_pages_of_an_organization_have_icons_of_their_own() -> None:
    side = (ROOT / "templates" / "shared" / "_side.html").read_text()
    icons = re.findall(r'icon "([a-z]+)"', side) + [icon for _, icon, _, _ in ORGANIZATION]
    assert len(icons) == len(set(icons))


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_every_icon_is_in_the_sprite(path: Path) -> None:
    sprite = (ROOT / "static" / "img" / "icons.svg").read_text()
    for icon in re.findall(r'{% icon "([^"]+)"', path.read_text()):
        assert f'id="i-{icon}"' in sprite, icon


def test_what_is_rendered_once_asks_for_nothing_but_its_facts() -> None:
    """There is no request in it, so a form's token or a person's name would be missing."""
    text = "".join(path.read_text() for path in TEMPLATES)
    uses = re.findall(r'{% fixed "([^"]+)"([^%]*)%}', text)
    assert len(uses) > 2
    for template, facts in uses:
        given = set(re.findall(r"(\w+)=", facts))
        part = Template((ROOT / "templates" / template).read_text())
        variables = {
            found.filter_expression.var.lookups[0]
            for found in part.nodelist.get_nodes_by_type(VariableNode)
            if found.filter_expression.is_var
        }
        assert variables <= given | {"code"}, template
        assert "csrf_token" not in part.source
        assert "request." not in part.source


def test_what_is_rendered_once_is_rendered_for_each_language_and_set_of_facts() -> None:
    id, other = uuid4(), uuid4()
    with override("en"):
        english = fixed("labeling/_failures.html", dataset_id=id)
        assert english is fixed("labeling/_failures.html", dataset_id=id)
        assert str(other) in fixed("labeling/_failures.html", dataset_id=other)
        draft_key = key({"request": SimpleNamespace(user=User())}, "answer.draft")
    with override("de"):
        german = fixed("labeling/_failures.html", dataset_id=id)
        assert draft_key != key({"request": SimpleNamespace(user=User())}, "answer.draft")
    assert "You are signed out" not in german
    assert str(id) in german


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_scripts_build_no_html_and_evaluate_nothing(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML", text)
    assert not re.search(r"\.style\b|setAttribute\(\"style", text)
    assert len(text.splitlines()) <= 400
