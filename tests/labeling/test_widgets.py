"""Questions and fields in a real browser: by keyboard, by finger, hostile, and in code points."""

import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.annotation.models import Response
from apps.datasets.models import Dataset, Field, Question
from apps.records.models import Record
from apps.users.models import User
from tests import factories
from tests.labeling.conftest import Site
from tests.labeling.test_accessibility import NARROW, WIDE, violations

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
STYLE = Path(__file__).parents[2] / "static" / "css"
FAMILY = "👩‍👩‍👧"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["a", "word ", "\r\n", "\n", " ", "🚀", FAMILY, "e\u0301", "שלום", "漢字", "👍🏽"]
        ),
        TEXTS,
    ),
    max_size=12,
).map("".join)


def change(site: Site, name: str, **values: Any) -> None:
    """A question, other than the factory made it."""
    with site.inside():
        question = Question.objects.get(name=name)
        Question.objects.filter(pk=question.pk).update(settings={**question.settings, **values})
        Dataset.objects.update(schema_version=F("schema_version") + 1)


def add_fields(site: Site, **given: tuple[dict[str, Any], Any]) -> None:
    """Fields by name: their settings, and the value all records have."""
    with site.inside():
        for name, (settings_, _) in given.items():
            Field.objects.create(
                dataset=site.dataset, name=name, title=name.title(), settings=settings_
            )
        for record in Record.objects.all():
            record.fields.update({name: value for name, (_, value) in given.items()})
            Record.objects.filter(pk=record.pk).update(fields=record.fields)
        Dataset.objects.update(schema_version=F("schema_version") + 1)


def set_text(site: Site, text: str) -> None:
    with site.inside():
        Record.objects.update(fields={"text": text})


def stored(site: Site) -> list[Response]:
    with site.inside():
        return list(Response.objects.order_by("record_id"))


def followed(page: Any, number: int) -> None:
    """The next record is shown, and the answer to the one before has arrived."""
    page.locator("h1", has_text=f"note-{number}").wait_for()
    page.locator("#save-state[data-now=saved]").wait_for()


def go(page: Any, title: str) -> None:
    page.locator(".qnav a", has_text=title).click()


def spans(site: Site, text: str) -> list[tuple[str, str]]:
    (answer,) = stored(site)
    found = answer.values["entities"]["value"]
    return [(text[span["start"] : span["end"]], span["label"]) for span in found]


# --- Offsets ----------------------------------------------------------------------------------
OFFSETS = """async ([base, text, start, end]) => {
    const offsets = await import(`${base}/static/js/offsets.js`);
    const units = offsets.asUnits(text, {start, end});
    const whole = offsets.snap(text, units);
    const words = offsets.words(text).map((word) => [
        text.slice(word.start, word.end), offsets.asPoints(text, word)]);
    return {
        part: text.slice(units.start, units.end),
        back: offsets.asPoints(text, units),
        whole: whole && [text.slice(whole.start, whole.end), offsets.asPoints(text, whole)],
        words,
    };
}"""


def test_offsets_are_those_of_python(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PIECES, st.data())
    def check(text: str, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        found = page.evaluate(OFFSETS, [site.url, text, start, end])
        assert found["part"] == text[start:end]
        assert found["back"] == {"start": start, "end": end}
        for part, place in [*found["words"], *([found["whole"]] if found["whole"] else [])]:
            assert text[place["start"] : place["end"]] == part
        if found["whole"]:
            assert text[start:end].strip() in found["whole"][0]

    check()


MANY = """async ([base, step]) => {
    const offsets = await import(`${base}/static/js/offsets.js`);
    const text = "Ada 🎩 ".repeat(200_000);
    const begun = performance.now();
    let right = 0;
    for (let start = 0; start < 1_200_000; start += step) {
        const units = offsets.asUnits(text, {start, end: start + 3});
        const back = offsets.asPoints(text, units);
        right += text.slice(units.start, units.end) === "Ada" && back.start === start;
    }
    return [right, performance.now() - begun];
}"""


def test_many_places_in_a_long_text_are_found_at_once(site: Site, visit: Visit) -> None:
    """Going through the text for each of them would take minutes."""
    right, milliseconds = visit(site.annotate).evaluate(MANY, [site.url, 600])
    assert right == 2_000
    assert milliseconds < 5_000


PARSED = """() => {
    window.parsed = 0;
    const parse = JSON.parse;
    JSON.parse = (text) => { window.parsed += 1; return parse(text); };
}"""


def test_marking_all_the_same_reads_the_marks_a_few_times(site: Site, visit: Visit) -> None:
    set_text(site, "Ada 🎩 went to Turin. " * 100)
    page = visit(site.annotate)
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("1")
    page.evaluate(PARSED)
    page.keyboard.press("Shift+V")
    assert page.locator(".opt.span :checked").count() == 100
    assert page.evaluate("() => window.parsed") < 1_000
    page.keyboard.press("Control+s")
    followed(page, 2)
    (answer,) = stored(site)
    starts = [span["start"] for span in answer.values["entities"]["value"]]
    assert starts == [number * 21 for number in range(100)]


PAINTED = """async ([base, text, marks]) => {
    const {asUnits} = await import(`${base}/static/js/offsets.js`);
    const highlight = await import(`${base}/static/js/highlight.js`);
    const element = document.createElement("div");
    element.textContent = text;
    document.body.append(element);
    highlight.paint(element, marks.map((mark) => ({...asUnits(text, mark), hue: 0, name: "x"})));
    const ranges = [...(CSS.highlights.get("h0") ?? [])].filter(
        (range) => element.contains(range.startContainer)).map(String);
    const plain = element.textContent;
    element.remove();
    return [plain, ranges.sort()];
}"""


def test_highlights_cover_what_python_slices(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PIECES.filter(len), st.data())
    def check(text: str, data: st.DataObject) -> None:
        place = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
        pairs = data.draw(st.lists(place.map(sorted), max_size=4))
        marks = [{"start": a, "end": b} for a, b in pairs if a < b]
        plain, ranges = page.evaluate(PAINTED, [site.url, text, marks])
        assert plain == text
        assert sorted(ranges) == sorted(text[m["start"] : m["end"]] for m in marks)

    check()


@pytest.mark.parametrize(
    ("text", "forth"),
    [
        (f"One {FAMILY} family\r\nand two\r\n🚀 rockets", "ArrowRight"),
        ("שלום עולם, הנה two words 🎩 מילים", "ArrowLeft"),
        ("مرحبا بالعالم two 👍🏽 words", "ArrowLeft"),
    ],
    ids=["crlf and zwj", "hebrew", "arabic"],
)
def test_a_marked_word_is_the_slice(site: Site, visit: Visit, text: str, forth: str) -> None:
    set_text(site, text)
    page = visit(site.annotate)
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("5")
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    for _ in range(20):
        if page.evaluate("() => String(getSelection())") == "two":
            break
        page.keyboard.press(forth)
    page.keyboard.press("1")
    page.keyboard.press(f"Shift+{forth}")
    page.keyboard.press("Control+Enter")
    followed(page, 2)
    (marked,) = spans(site, text)
    assert marked[0].startswith("two")
    assert re.fullmatch(r"two\W+\w+", marked[0])


# --- Marks by keyboard and finger -------------------------------------------------------------
def test_a_mark_grows_shrinks_moves_and_repeats_by_keys(site: Site, visit: Visit) -> None:
    text = "the cat saw the cat and the catalogue"
    set_text(site, text)
    page = visit(site.annotate)
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("5")
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("ArrowRight")  # cat
    page.keyboard.press("1")
    chosen = page.locator(".opt.span:has(:checked) [data-text]")
    page.keyboard.press("Shift+ArrowRight")
    assert chosen.all_inner_texts() == ["cat saw"]
    page.keyboard.press("Alt+Shift+ArrowLeft")
    assert chosen.all_inner_texts() == ["cat sa"]
    page.keyboard.press("Alt+ArrowLeft")
    assert chosen.all_inner_texts() == ["the cat sa"]
    page.keyboard.press("Alt+Shift+ArrowRight")  # the edge that was moved last
    assert chosen.all_inner_texts() == ["he cat sa"]
    page.keyboard.press("Delete")
    assert chosen.count() == 0
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("Shift+V")
    assert chosen.all_inner_texts() == ["cat", "cat", "cat"]
    page.keyboard.press("1")  # another label for the mark at the cursor
    page.keyboard.press("Control+Enter")
    followed(page, 2)
    assert spans(site, text) == [("cat", "person"), ("cat", "place"), ("cat", "place")]


@pytest.mark.parametrize("single", ["on", "form", "off"])
def test_the_keys_of_marks_are_the_persons(site: Site, visit: Visit, single: str) -> None:
    set_text(site, "the cat saw the cat")
    with site.inside():
        User.objects.filter(email=site.email).update(
            shortcuts={"span.same-all": "w"}, single_keys=single
        )
    page = visit(site.annotate)
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("ArrowRight")
    page.locator("[data-label=place]").click()  # digits rest with the other single keys
    chosen = page.locator(".opt.span:has(:checked) [data-text]")
    assert chosen.all_inner_texts() == ["cat"]
    page.keyboard.press("Shift+V")
    assert chosen.count() == 1
    page.keyboard.press("w")
    assert chosen.count() == (1 if single == "off" else 2)
    assert page.locator("[data-repeat] kbd").all_inner_texts() == ([] if single == "off" else ["W"])


def test_keys_lead_to_comments_and_to_help(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    for key, end in (("c", "/comments/"), ("f", "/comments/#flag")):
        page.locator("#answer").wait_for()
        page.keyboard.press("s")  # nothing to compare with here
        page.keyboard.press(key)
        page.wait_for_url(f"**{end}")
        page.get_by_role("link", name="To its answer").click()


@pytest.mark.parametrize("overlapping", [True, False])
def test_the_rule_on_overlaps(site: Site, visit: Visit, overlapping: bool) -> None:
    set_text(site, "New York City marathon")
    change(site, "entities", allow_overlapping=overlapping)
    page = visit(site.annotate)
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("1")  # New York
    page.keyboard.press("End")
    page.keyboard.press("2")  # marathon
    page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("Alt+ArrowLeft")  # stops before York, where marks may not overlap
    page.keyboard.press("Control+s")
    followed(page, 2)
    second = "York City marathon" if overlapping else "City marathon"
    assert spans(site, "New York City marathon") == [("New York", "person"), (second, "place")]


def test_two_questions_mark_one_field_and_one_another(site: Site, visit: Visit) -> None:
    add_fields(site, answer=({"type": "text", "use_markdown": False}, "Paris it is"))
    with site.inside():
        for name, marked in (("places", "text"), ("cities", "answer")):
            Question.objects.create(
                dataset=site.dataset,
                name=name,
                title=name.title(),
                required=False,
                settings={**factories.QUESTIONS["entities"], "field": marked},
            )
        Dataset.objects.update(schema_version=F("schema_version") + 1)
    page = visit(site.annotate)
    for title in ("Entities", "Places", "Cities"):
        go(page, title)
        page.keyboard.press("Shift+Enter")
        page.keyboard.press("Home")
        page.keyboard.press("2")
        page.keyboard.press("Escape")
    assert page.locator("[data-field=text] .sp-name:not(.ai)").count() == 2
    assert page.locator("[data-field=answer] .sp-name:not(.ai)").count() == 1
    page.keyboard.press("Control+s")
    followed(page, 2)
    (answer,) = stored(site)
    first = {"label": "place", "start": 0}
    assert answer.values["entities"]["value"] == [{**first, "end": 3}]
    assert answer.values["places"]["value"] == [{**first, "end": 3}]
    assert answer.values["cities"]["value"] == [{**first, "end": 5}]


def test_without_the_highlight_api_marks_are_elements(site: Site, visit: Visit) -> None:
    page = visit()
    page.add_init_script("delete window.Highlight")
    page.goto(site.annotate)
    go(page, "Entities")
    page.keyboard.press("y")
    assert page.locator("mark.sp:not(.ai)").count() == 2
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("End")
    page.keyboard.press("1")
    assert page.locator("mark.sp:not(.ai)").count() == 3


def test_everything_by_finger_on_a_phone(site: Site, visit: Visit) -> None:
    page = visit(site.annotate, viewport={"width": 390, "height": 800}, has_touch=True)
    page.locator("[value=positive]").tap()
    page.locator("[name='q.quality'][value='4']").tap()
    for _ in range(3):
        page.get_by_role("button", name="Move C up").tap()
    page.get_by_role("button", name="Move A down").tap()
    page.get_by_role("button", name="Tie A with the one above").tap()
    page.get_by_role("button", name="Move B up").tap()
    page.get_by_role("button", name="Use this text").tap()
    box = page.locator("[data-field]").evaluate(
        """(element) => {
            const range = document.createRange(), node = element.firstChild;
            range.setStart(node, 2), range.setEnd(node, 3);
            element.scrollIntoView();
            return range.getBoundingClientRect().toJSON();
        }"""
    )
    page.touchscreen.tap(box["x"] + 2, box["y"] + box["height"] / 2)
    page.wait_for_function("() => String(getSelection()) === 'Ada Lovelace'")
    assert page.locator("#q6 [data-editor]").is_hidden()  # a suggestion is at the cursor
    page.locator("#q6 [data-label=place]").tap()
    page.get_by_role("button", name="End one character earlier").tap()
    assert page.locator(".opt.span:has(:checked) [data-text]").inner_text() == "Ada Lovelac"
    page.get_by_role("button", name=re.compile("^Submit")).tap()
    followed(page, 2)
    (answer,) = stored(site)
    assert answer.values["entities"]["value"] == [{"label": "place", "start": 0, "end": 11}]
    assert answer.values["comment"]["value"] == "A warm note."
    ranks = {item["value"]: item["rank"] for item in answer.values["order"]["value"]}
    assert ranks == {"c": 1, "a": 1, "b": 2}


def test_a_ranking_is_dragged_by_its_grips(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "1", "2", "3"):
        page.keyboard.press(key)
    names = page.locator(".rank .name")
    assert names.all_inner_texts() == ["A", "B", "C"]
    page.locator("#q4").scroll_into_view_if_needed()
    grip = page.locator(".rank li >> nth=2 >> .grip").bounding_box()
    top = page.locator(".rank li >> nth=0").bounding_box()
    page.mouse.move(grip["x"] + 5, grip["y"] + 5)
    page.mouse.down()
    for place in range(10):
        page.mouse.move(grip["x"] + 5, grip["y"] - (grip["y"] - top["y"]) * place / 9)
    page.mouse.up()
    assert names.all_inner_texts() == ["C", "A", "B"]
    page.locator("#say", has_text="C: 1 of 3").wait_for(state="attached")


# --- Labels, texts, guidelines ----------------------------------------------------------------
def test_labels_are_found_by_their_words_and_taken_with_enter(site: Site, visit: Visit) -> None:
    options = [
        {"value": f"v{n}", "text": f"Lábel {n}", "description": f"the number {n}"}
        for n in range(1, 78)
    ]
    change(site, "sentiment", options=options, visible_options=9)
    page = visit(site.annotate)
    page.keyboard.press("/")
    page.keyboard.type("label 61")
    assert page.locator("#q1 .opt:visible").count() == 1
    assert page.locator("#q1 .opt:visible kbd").inner_text() == "61"  # its number stays
    page.keyboard.press("Enter")
    assert page.is_checked("[value=v61]")
    page.keyboard.press("/")
    page.keyboard.type("nowhere")
    page.get_by_text("No label is called that.").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator("#q1 summary").click()
    page.get_by_text("the number 61", exact=True).wait_for()


def test_a_text_shows_what_it_changes_in_the_suggestion(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)
    go(page, "Comment")
    page.keyboard.press("y")
    assert page.input_value("textarea") == "A warm note."
    assert page.locator(".diff ins, .diff del").count() == 0
    page.fill("textarea", "A very warm letter.")
    page.locator(".diff ins").first.wait_for()  # its module comes when it is needed
    assert page.locator(".diff ins").all_inner_texts() == ["very ", "letter"]
    assert page.locator(".diff del").all_inner_texts() == ["note"]
    page.get_by_role("button", name="Start over").click()
    assert page.input_value("textarea") == "A warm note."


DIFF = """async ([base, before, after]) => {
    const {compare} = await import(`${base}/static/js/diff.js`);
    return compare(before, after);
}"""


def test_differences_hold_both_texts(site: Site, visit: Visit) -> None:
    page = visit(site.annotate)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PIECES, PIECES)
    def check(before: str, after: str) -> None:
        parts = page.evaluate(DIFF, [site.url, before, after])
        assert "".join(text for kind, text in parts if kind != "ins") == before
        assert "".join(text for kind, text in parts if kind != "del") == after

    check()


def test_guidelines_follow_the_question(site: Site, visit: Visit) -> None:
    filler = "\n\n".join(f"Line {n}." for n in range(30))
    with site.inside():
        Dataset.objects.update(
            guidelines=f"# All\n\n{filler}\n\n## Genre\n\n{filler}\n\n## Positive\n\n{filler}"
        )
    page = visit(site.annotate)
    page.keyboard.press("\\")
    page.locator("#guidelines h2[aria-current]", has_text="Positive").wait_for()  # a label's
    page.keyboard.press("j")
    page.locator("#guidelines h2[aria-current]", has_text="Genre").wait_for()
    assert page.evaluate("() => document.querySelector('#guidelines').scrollTop") > 100
    assert page.locator("#guide-genre").count() == 1


# --- Fields -----------------------------------------------------------------------------------
def test_pictures_are_looked_at_closely_by_keys(site: Site, visit: Visit) -> None:
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
    add_fields(site, picture=({"type": "image"}, pixel))
    page = visit(site.annotate, bypass_csp=True)
    page.get_by_role("button", name=re.compile("^Zoom")).focus()
    page.keyboard.press("Enter")
    image = page.locator("dialog.zoom img")
    width = image.bounding_box()["width"]
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert image.bounding_box()["width"] > width * 1.5
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        """() => {
            const well = document.querySelector("dialog.zoom .well");
            return well.scrollTop + well.scrollLeft > 0;
        }"""
    )
    assert violations(page) == []
    page.keyboard.press("0")
    assert abs(image.bounding_box()["width"] - width) < 2
    page.keyboard.press("d")  # keys of the page rest meanwhile
    page.keyboard.press("Escape")
    page.locator("h1", has_text="note-1").wait_for()


HOSTILE = (
    "<script>window.broken=1</script><img src=x onerror='window.broken=1'>[x](javascript:alert(1))"
)


def test_hostile_content_stays_content(site: Site, visit: Visit) -> None:
    chat = [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": HOSTILE}]
    add_fields(
        site,
        markdown=({"type": "text", "use_markdown": True}, HOSTILE),
        chat=({"type": "chat", "use_markdown": True}, chat * 5),
        link=({"type": "image"}, "javascript:window.broken=1"),
        page=({"type": "image"}, "data:text/html,<script>1</script>"),
        state=(
            {"type": "custom", "template": "{{record.fields.state.a}}"},
            {"a": HOSTILE},
        ),
    )
    page = visit(site.annotate)
    page.locator("summary", has_text="more turns").click()
    assert page.locator(".pane a[href^='javascript'], .pane script, .pane img").count() == 0
    assert page.locator("iframe.frame-in").count() == 1
    assert page.evaluate("() => window.broken") is None


def test_a_custom_field_has_a_frame_and_a_policy_of_its_own(
    site: Site, visit: Visit, settings: Any
) -> None:
    template = (
        "<h1>{{record.fields.state.name}}</h1>{{#each record.fields.state.rows}}<i>{{this}}</i>"
        "{{else}}none{{/each}}{{#if record.fields.state.open}}open{{/if}}"
    )
    script = (
        "<p id=out></p><script>out.textContent = record.fields.state.name + (self.origin)</script>"
    )
    value = {"name": "<b>Box</b>", "rows": [1, 2], "open": True}
    add_fields(
        site,
        state=({"type": "custom", "template": template}, value),
        code=({"type": "custom", "template": script, "advanced_mode": True}, value),
    )
    page = visit(site.annotate)
    inside = page.frame_locator("[title=State]")
    inside.locator("h1", has_text="<b>Box</b>").wait_for()
    assert inside.locator("i").all_inner_texts() == ["1", "2"]
    page.frame_locator("[title=Code]").get_by_text("This field needs scripts.").wait_for()
    settings.FIELD_SCRIPT_ORGANIZATIONS = [site.organization.slug]
    page.reload()
    page.frame_locator("[title=Code]").locator("#out", has_text="<b>Box</b>null").wait_for()
    url = page.locator("[title=Code]").get_attribute("src")
    policy = page.request.get(site.url + url).headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy
    assert page.request.get(site.url + url.replace("/code/", "/text/")).status == 404


# --- Colours ----------------------------------------------------------------------------------
def luminance(colour: tuple[float, ...]) -> float:
    """Of OKLCH (lightness, chroma, hue in degrees), by WCAG 2, clipped to sRGB."""
    light, chroma, hue = colour
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    mid = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * mid + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * mid - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * mid + 1.7076147010 * short
    red, green, blue = (min(max(part, 0), 1) for part in (red, green, blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def token(text: str, name: str, hue: float = 0) -> list[tuple[float, ...]]:
    """A token's colour in the light scheme and in the dark one."""
    found = re.search(
        rf"--{name}: light-dark\(oklch\(([^)]*)\), oklch\(([^)]*)\)\)",
        text.replace("var(--h)", str(hue)),
    )
    assert found, name
    return [tuple(map(float, part.split())) for part in found.groups()]


def test_label_colours_can_be_read_in_both_schemes() -> None:
    text = (STYLE / "app.css").read_text()
    hues = [float(h) for h in re.findall(r'\[data-h="\d+"\] \{ --h: ([\d.]+) \}', text)]
    assert len(set(hues)) == 16
    for scheme in (0, 1):
        surface, ink = token(text, "surface")[scheme], token(text, "ink")[scheme]
        for hue in hues:
            soft, dot, deep = (token(text, name, hue)[scheme] for name in ("soft", "dot", "deep"))
            assert contrast(deep, soft) >= 7, hue
            assert contrast(ink, soft) >= 7, hue
            assert contrast(dot, surface) >= 3, hue


def test_marks_have_the_colours_of_their_labels() -> None:
    text, marks = (STYLE / "app.css").read_text(), (STYLE / "questions.css").read_text()
    for step, hue in re.findall(r'\[data-h="(\d+)"\] \{ --h: ([\d.]+) \}', text):
        rule = re.search(rf"::highlight\(h{step}\) \{{(.*?)\}}", marks)
        assert rule
        assert f"light-dark(oklch(.925 .04 {hue}), oklch(.335 .052 {hue}))" in rule[1]
        assert f"light-dark(oklch(.6 .115 {hue}), oklch(.735 .11 {hue}))" in rule[1]


# --- All of it --------------------------------------------------------------------------------
def test_twenty_records_with_all_six_types_by_keyboard_alone(site: Site, visit: Visit) -> None:
    with site.inside():
        factories.make_records(site.dataset, 14)
        Question.objects.update(required=True)
        Dataset.objects.update(schema_version=F("schema_version") + 1)
    page = visit(site.annotate)
    for number in range(1, 21):
        page.locator("#work[data-record]:not([aria-busy=true])").wait_for()
        for key in "1":
            page.keyboard.press(key)
        for key in ("2", "3", "j", "4", "3", "1", "1"):  # two genres, quality, a ranking with a tie
            page.keyboard.press(key)
        page.keyboard.press("Shift+Enter")
        page.keyboard.type(f"Note {number}")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("Shift+Enter")  # the first word of the text
        page.keyboard.press("2")
        page.keyboard.press("Escape")
        before = page.locator("#work").get_attribute("data-record")
        page.keyboard.press("Enter")
        page.locator(f"#work:not([data-record='{before}'])").wait_for()
    page.locator("#save-state[data-now=saved]").wait_for()
    answers = stored(site)
    assert len(answers) == 20
    assert {answer.status for answer in answers} == {"submitted"}
    assert {answer.values["comment"]["value"] for answer in answers} == {
        f"Note {n}" for n in range(1, 21)
    }
    for answer in answers:
        assert answer.values["genre"] == {"value": ["drama", "horror"]}
        assert answer.values["quality"] == {"value": 4}
        assert [item["rank"] for item in answer.values["order"]["value"]] == [1, 1, 3]
        (span,) = answer.values["entities"]["value"]
        assert (span["label"], span["start"]) == ("place", 0)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_field(
    site: Site, visit: Visit, scheme: str, size: dict[str, int], tmp_path: Path
) -> None:
    chat = [
        {"role": "user", "content": "Hello **you**"},
        {"role": "assistant", "content": "- a\n- b"},
    ]
    add_fields(
        site,
        chat=({"type": "chat", "use_markdown": True}, chat * 5),
        picture=(
            {"type": "image"},
            "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs=",
        ),
        state=({"type": "custom", "template": "<p>{{record.fields.state.a}}</p>"}, {"a": 1}),
    )
    change(
        site,
        "sentiment",
        options=[
            {"value": f"v{n}", "text": f"Label {n}", "description": f"What {n} is"}
            for n in range(1, 30)
        ],
        visible_options=8,
    )
    page = visit(site.annotate, color_scheme=scheme, viewport=size, bypass_csp=True)
    page.keyboard.press("Shift+Y")
    page.keyboard.press("2")
    page.fill("textarea", "A very warm note.")
    page.locator("#q1 summary").click()
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press(".")
    page.screenshot(path=tmp_path / "fields.png")
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]


# --- Numbers of two digits --------------------------------------------------------------------
def test_the_next_key_or_click_finds_the_number_chosen(site: Site, visit: Visit) -> None:
    """A 1 of ten could become a 10 for a moment; nobody who goes on has to wait for that."""
    change(site, "quality", options=[{"value": grade} for grade in range(1, 11)])
    page = visit(site.annotate)
    click = page.locator("#answer [name=do][value=submit]").click
    leaves = [partial(page.keyboard.press, key) for key in ("Enter", "Control+s")]
    for number, leave in enumerate([*leaves, click], start=1):
        page.keyboard.press("Shift+Y")
        page.wait_for_timeout(500)  # a click on a record that has just come is not meant for it
        go(page, "Quality")
        page.keyboard.press("1")
        leave()
        followed(page, number + 1)
    assert [answer.values["quality"] for answer in stored(site)] == [{"value": 1}] * 3
    go(page, "Quality")
    page.keyboard.press("1")
    page.keyboard.press("Shift")  # digits need it on some keyboards
    page.keyboard.press("0")
    assert page.is_checked("[name='q.quality'][value='10']")


def test_a_label_marks_what_was_selected_when_its_number_was_typed(
    site: Site, visit: Visit
) -> None:
    set_text(site, "Ada met Bob")
    labels = [{"value": f"v{n}", "text": f"L{n}", "description": None} for n in range(1, 19)]
    change(site, "entities", options=labels)
    page = visit(site.annotate)
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("Control+s")
    followed(page, 2)
    assert spans(site, "Ada met Bob") == [("Ada", "v1"), ("met", "v12")]


# --- From right to left -----------------------------------------------------------------------
SELECTED = "() => String(getSelection())"


def test_arrows_follow_a_text_from_right_to_left(site: Site, visit: Visit) -> None:
    words = ["ذهبت", "آدا", "لوفليس", "إلى", "تورينو"]
    set_text(site, " ".join(words))
    page = visit(site.annotate)
    go(page, "Entities")
    page.keyboard.press("Shift+Enter")
    assert page.evaluate(SELECTED) == words[0]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(SELECTED) == words[1]
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate(SELECTED) == " ".join(words[1:3])
    page.keyboard.press("1")
    page.keyboard.press("Alt+ArrowRight")  # its start, further to the right
    page.keyboard.press("Shift+ArrowRight")  # its end
    page.keyboard.press("Control+s")
    followed(page, 2)
    assert spans(site, " ".join(words)) == [(" ".join(words[:2]), "person")]
