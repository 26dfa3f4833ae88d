"""Rules that every template and script keeps, so that the strict policy can stay strict."""

import re
from pathlib import Path

import pytest

from apps.labeling.templatetags.navigation import ORGANIZATION

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


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_scripts_build_no_html_and_evaluate_nothing(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML", text)
    assert not re.search(r"\.style\b|setAttribute\(\"style", text)
    assert len(text.splitlines()) <= 400
