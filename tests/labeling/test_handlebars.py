"""The templates of custom fields."""

import pytest

from apps.core.errors import InvalidError
from apps.labeling.handlebars import render

RECORD = {
    "fields": {"box": {"name": "<b>", "rows": [{"n": 1}, {"n": 2}], "none": [], "my key": "k"}},
    "metadata": {"open": True},
}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{record.fields.box.name}}", "&lt;b&gt;"),
        ("{{{record.fields.box.name}}}", "<b>"),
        ("{{& record.fields.box.name}}", "<b>"),
        ("{{record.fields.box.[my key]}}", "k"),
        ("{{record.fields.nowhere.at.all}}", ""),
        ("{{record.fields.box.rows.1.n}} of {{record.fields.box.rows.length}}", "2 of 2"),
        ("{{#each record.fields.box.rows}}{{@index}}:{{n}} {{this.n}};{{/each}}", "0:1 1;1:2 2;"),
        ("{{#each record.fields.box.none}}x{{else}}empty{{/each}}", "empty"),
        ("{{#if record.metadata.open}}yes{{else}}no{{/if}}", "yes"),
        ("{{#unless record.metadata.open}}yes{{else}}no{{/unless}}", "no"),
        ("{{#with record.fields.box}}{{name}}{{/with}}", "&lt;b&gt;"),
        ("{{#each record.fields.box.rows}}{{../record.metadata.open}}{{/each}}", "truetrue"),
        ("{{json record.fields.box.none}}{{! said }}{{!-- {{x}} --}}", "[]"),
        ("plain } { {{ record.metadata.open }}", "plain } { true"),
    ],
)
def test_templates_are_filled_in(template: str, shown: str) -> None:
    assert render(template, {"record": RECORD}) == shown


@pytest.mark.parametrize(
    "template",
    ["{{#if a}}", "{{/if}}", "{{#each a}}{{/if}}", "{{#script a}}{{/script}}", "{{#if a}}" * 30],
)
def test_templates_that_are_none_are_refused(template: str) -> None:
    with pytest.raises(InvalidError):
        render(template, {"record": RECORD})


def test_loops_within_loops_have_an_end() -> None:
    rows = list(range(100))
    template = "{{#each r}}" + "{{#each ../r}}" * 3 + "x" + "{{/each}}" * 4
    with pytest.raises(InvalidError, match="too often"):
        render(template.replace("../r", "r"), {"r": rows})
