"""Accessibility and weight of the main screens, in both schemes and at both ends of width."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
from django.conf import settings

from apps.datasets.models import Dataset
from tests.labeling.conftest import Site

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 700}
Visit = Callable[..., Any]


def violations(page: Any) -> list[str]:
    """What axe finds, as ``rule: element``; the page's policy does not bind the test's script."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS
    )
    return [f"{v['id']}: {n['html'][:120]}" for v in found["violations"] for n in v["nodes"]]


def prepare(site: Site, page: Any, screen: str) -> None:
    answer = page.goto(
        {
            "sign-in": f"{site.url}/accounts/login/",
            "member sign-in": f"{site.url}/accounts/login/member/",
            "forgotten": f"{site.url}/accounts/password/reset/",
            "home": site.url,
            "datasets": f"{site.url}/datasets/",
            "not found": f"{site.url}/nowhere/",
        }.get(screen, site.annotate)
    )
    assert answer.status == (404 if screen == "not found" else 200)
    if screen == "wrong answer":
        page.keyboard.press("Shift+Y")
        page.keyboard.press("x")
        page.keyboard.press("Enter")
        page.get_by_text("One answer needs a look").wait_for()
    if screen == "answered":
        page.keyboard.press("Shift+Y")
        page.keyboard.press("\\")
    if screen == "keys":
        page.keyboard.press("?")
    if screen == "menu":
        page.get_by_role("button", name=re.compile("account menu")).click()
    if screen == "failed":
        page.route("**/response/", lambda route: route.abort())
        page.keyboard.press("d")
        page.locator("#save-state[data-now=failed]").wait_for()
    if screen == "told":
        page.keyboard.press("z")
        page.locator("#notices .note").wait_for()
    if screen == "waiting":
        page.wait_for_load_state("networkidle")
        page.route("**/annotate/**", lambda route: route.abort())
        for _ in range(3):
            page.keyboard.press("d")
        page.get_by_role("heading", name="The next record is on its way").wait_for()
    if screen == "nothing":
        page.goto(f"{site.annotate}?status=discarded")


SIGNED_OUT = ["sign-in", "member sign-in", "forgotten", "not found"]
SIGNED_IN = [
    *("home", "datasets", "annotate", "answered", "wrong answer", "failed", "keys", "menu"),
    *("nothing", "told", "waiting"),
]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site: Site, visit: Visit, scheme: str, size: dict[str, int]) -> None:
    found: list[str] = []
    for signed_in, screens in ((False, SIGNED_OUT), (True, SIGNED_IN)):
        page = visit(signed_in=signed_in, color_scheme=scheme, viewport=size, bypass_csp=True)
        for screen in screens:
            prepare(site, page, screen)
            found += [f"{screen}: {text}" for text in violations(page)]
            if page.evaluate("() => document.documentElement.scrollWidth") > size["width"]:
                found.append(f"{screen}: scrolls sideways")
            page.unroute_all()
    assert found == []


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light-wide", "dark-narrow"]
)
def test_axe_finds_nothing_in_the_description_of_the_api(
    site: Site, visit: Visit, scheme: str, size: dict[str, int]
) -> None:
    page = visit(signed_in=False, color_scheme=scheme, viewport=size, bypass_csp=True)
    page.goto(f"{site.url}/api/v1/docs")
    # Three of each section; the others look alike, and axe takes its time.
    page.evaluate("document.querySelectorAll('article:nth-of-type(n+4)').forEach(e => e.remove())")
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]


def test_the_first_load_of_annotate_is_light(site: Site, visit: Visit) -> None:
    page = visit()
    bodies: dict[str, bytes] = {}
    page.on("response", lambda answer: bodies.setdefault(answer.url, answer.body()))
    page.goto(site.annotate, wait_until="networkidle")
    weights = {url: len(brotli.compress(body)) for url, body in bodies.items()}
    assert sum(weights.values()) < 60_000, weights
    style = next(size for url, size in weights.items() if url.endswith("app.css"))
    scripts = sum(size for url, size in weights.items() if url.endswith(".js"))
    assert style < 12_000
    assert scripts < 28_000


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="writes pictures for the README")
def test_screenshots_for_the_readme(site: Site, visit: Visit) -> None:
    """``SCREENSHOTS=1 pytest -k screenshots`` writes ``static/img/screenshots``."""
    folder = Path(settings.BASE_DIR) / "static" / "img" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with site.inside():
        Dataset.objects.update(daily_quota=120)
    for scheme in ("light", "dark"):
        page = visit(site.annotate, color_scheme=scheme)
        page.keyboard.press("1")
        page.keyboard.press("2")
        page.screenshot(path=folder / f"annotate-{scheme}.png")
        page.goto(site.url)
        page.screenshot(path=folder / f"home-{scheme}.png")
