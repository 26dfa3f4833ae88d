"""What screens cost: bytes of the first load, statements of every page, and their pictures."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import brotli
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from PIL import Image, ImageChops

from apps.labeling.urls import urlpatterns
from tests.labeling.conftest import Site
from tests.labeling.screens import ANNOTATE, EXPLORE, REVIEW, SCREENS, Screen, World, make_world

Visit = Callable[..., Any]
PICTURES = Path(settings.BASE_DIR) / "static" / "img" / "screenshots"
MADE_WITH = PICTURES / "made-with.txt"
SHOWN = {  # name-scheme: address, keys that are pressed there
    "annotate-light": (ANNOTATE, "12"),
    "annotate-dark": (ANNOTATE, "12"),
    "explore-light": (f"{EXPLORE}?q=card+stolen", ("j", "Space", "Shift+J", "Shift+J", "1")),
    "review-light": (f"{REVIEW}?record={{record}}", ()),
    "home-light": ("/", ()),
    "home-dark": ("/", ()),
}


@pytest.fixture
def world(site: Site) -> World:
    return make_world(site)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "total", "scripts"),
    [
        ("annotate", 60_000, 32_000),
        ("explore", 55_000, 24_000),
        ("review", 50_000, 15_000),
        ("home", 40_000, 25_000),
        ("sign in", 20_000, 1_200),
    ],
)
def test_the_first_load_is_light(
    world: World, visit: Visit, name: str, total: int, scripts: int
) -> None:
    screen = next(one for one in SCREENS if one.name == name)
    page = visit(signed_in=screen.who != "")
    bodies: dict[str, bytes] = {}
    page.on("response", lambda answer: bodies.setdefault(answer.url, answer.body()))
    page.goto(world.url(screen), wait_until="networkidle")
    weights = {url: len(brotli.compress(body)) for url, body in bodies.items()}
    assert sum(weights.values()) < total, weights
    assert sum(size for url, size in weights.items() if url.endswith(".js")) <= scripts, weights
    assert next(size for url, size in weights.items() if url.endswith("app.css")) < 12_000


@pytest.mark.browser
def test_no_page_asks_the_database_more_than_it_may(world: World) -> None:
    """Each is asked for once before: the first of a session writes to it."""
    clients = {who: world.client(who) for who in world.people} | {"": Client()}
    found = []
    for screen in SCREENS:
        if screen.queries is None:
            continue
        client = clients[screen.who]
        client.get(world.path(screen))
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(world.path(screen))
        assert answer.status_code == screen.status, screen.name
        if len(asked) > screen.queries:
            found.append(f"{screen.name}: {len(asked)} > {screen.queries}")
    assert not found, "\n".join(found)


NO_PAGES = {  # acts, parts of pages, and what leads elsewhere
    *("ahead", "previous", "undo", "redo", "save", "unanswer", "skip", "renew", "release"),
    *("explore_answer", "keep_view", "forget_view", "explore_cancel", "explore_undo"),
    *("keyboard", "review_settings", "review_refresh", "resolve_gap", "judge"),
    *("flag", "report_gap", "custom_field"),
}


@pytest.mark.browser
def test_every_page_has_a_ceiling(world: World) -> None:
    """A new page comes with a row in the table of screens."""
    counted = [one for one in SCREENS if one.queries is not None and one.status == 200]
    shown = {resolve(world.path(screen).partition("?")[0]).url_name for screen in counted}
    assert {pattern.name for pattern in urlpatterns} - NO_PAGES - shown == set()


@pytest.mark.browser
def test_the_pictures_of_the_readme_are_fresh(world: World, visit: Visit) -> None:
    """``SCREENSHOTS=1`` writes them anew; another browser or other fonts can tell nothing."""
    taken = {name: _picture(world, visit, name) for name in SHOWN}
    if "SCREENSHOTS" in os.environ:
        for name, picture in taken.items():
            small = Image.open(BytesIO(picture)).convert("RGB").quantize(256, kmeans=3)
            small.save(PICTURES / f"{name}.png", optimize=True)
        MADE_WITH.write_text(_maker(visit()))
    if MADE_WITH.read_text() != _maker(visit()):
        pytest.skip("the pictures were made with another browser or other fonts")
    kept = {path.stem: path.read_bytes() for path in PICTURES.glob("*.png")}
    assert kept.keys() == taken.keys()
    assert max(len(picture) for picture in kept.values()) < 150_000
    stale = {name: _difference(kept[name], taken[name]) for name in kept}
    assert {name: share for name, share in stale.items() if share > 0.01} == {}


def _picture(world: World, visit: Visit, name: str) -> bytes:
    screen, scheme = name.rsplit("-", 1)
    page = visit(color_scheme=scheme)
    address, keys = SHOWN[name]
    page.goto(world.url(Screen(screen, address)), wait_until="networkidle")
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_timeout(600)  # what is counted after a pause is counted
    page.wait_for_load_state("networkidle")
    return bytes(page.screenshot())


def _maker(page: Any) -> str:
    """The browser, and the width of a text in its fonts, in pixels."""
    width = page.evaluate(
        """() => ["sans-serif", "serif", "monospace", "system-ui"].map((font) => {
            const brush = document.createElement("canvas").getContext("2d");
            brush.font = `40px ${font}`;
            return Math.round(brush.measureText("Stoneware 123").width);
        })"""
    )
    return f"Chromium {page.context.browser.version.partition('.')[0]}, {width}\n"


def _difference(kept: bytes, taken: bytes) -> float:
    """The share of pixels that differ to the eye; 1 for another size."""
    first, second = (
        Image.open(BytesIO(data)).convert("RGB").convert("L") for data in (kept, taken)
    )
    if first.size != second.size:
        return 1.0
    unlike = ImageChops.difference(first, second).point(lambda value: 255 * (value > 40))
    return unlike.histogram()[255] / (first.width * first.height)
