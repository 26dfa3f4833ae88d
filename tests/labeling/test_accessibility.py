"""Accessibility of every screen, in both schemes and at both ends of width."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from apps.users.models import User
from tests.labeling.conftest import Site
from tests.labeling.screens import SCREENS, Screen, World, make_world

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 700}
Visit = Callable[..., Any]


@pytest.fixture
def world(site: Site) -> World:
    return make_world(site)


def violations(page: Any, only: Sequence[str] = ()) -> list[str]:
    """What axe finds, as ``rule: element``. The page's own policy is in force.

    ``only`` names rules, instead of all of the guidelines. What is found is looked for again once
    the page is at rest: places measured while a late notice pushes them aside say nothing.
    """
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE.read_text())
    found = _find(page, only)
    if found:
        page.wait_for_timeout(1_000)
        found = _find(page, only)
    return found


def _find(page: Any, only: Sequence[str]) -> list[str]:
    found = page.evaluate(
        """(runOnly) => axe.run(document, {runOnly, resultTypes: ['violations']})""",
        {"type": "rule", "values": only} if only else {"type": "tag", "values": TAGS},
    )
    return [f"{v['id']}: {n['html'][:120]}" for v in found["violations"] for n in v["nodes"]]


def violations_in_both_schemes(page: Any) -> Iterator[tuple[str, list[str]]]:
    """What axe finds, by scheme; the other scheme can only differ in what depends on colours."""
    for scheme, only in (("light", ()), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        yield scheme, violations(page, only)


def show(world: World, page: Any, screen: Screen) -> None:
    answer = page.goto(world.url(screen))
    # another part of the page that is open already is no new page
    assert answer is None or answer.status == screen.status, screen.name
    if screen.act is not None:
        screen.act(world, page)


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing_on_any_screen(
    world: World, visit: Visit, size: dict[str, int], language: str
) -> None:
    """In light and in dark. ``visit`` fails, too, when a console has a word to say of the policy.

    ``SCREENS=folder`` leaves a picture of each.
    """
    with world.site.inside():
        User.objects.update(language=language)
    options = {"viewport": size, "locale": language}
    pages: dict[str, Any] = {}
    found: list[str] = []
    for screen in SCREENS:
        if screen.who not in pages:
            pages[screen.who] = page = visit(signed_in=False, **options)
            if screen.who:
                page.context.add_cookies([world.session(screen.who)])
        page = pages[screen.who]
        show(world, page, screen)
        for scheme, texts in violations_in_both_schemes(page):
            found += [f"{screen.name}, {scheme}: {text}" for text in texts]
            if folder := os.environ.get("SCREENS"):
                name = re.sub(r"[: ]+", "-", f"{screen.name}-{scheme}-{size['width']}.png")
                page.screenshot(path=Path(folder) / name)
        if page.evaluate("() => document.documentElement.scrollWidth") > size["width"]:
            found.append(f"{screen.name}: scrolls sideways")
        page.unroute_all()
    assert found == []


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light-wide", "dark-narrow"]
)
def test_axe_finds_nothing_in_the_description_of_the_api(
    site: Site, visit: Visit, scheme: str, size: dict[str, int]
) -> None:
    page = visit(signed_in=False, color_scheme=scheme, viewport=size)
    page.goto(f"{site.url}/api/v1/docs")
    # Three of each section; the others look alike, and axe takes its time.
    page.evaluate("document.querySelectorAll('article:nth-of-type(n+4)').forEach(e => e.remove())")
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
