"""The house's style as a property of the build: what no linter knows, read from code and models."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps as registry
from django.db import models
from django.db.models import CheckConstraint, Model, Q

ROOT = Path(__file__).parents[1]
INTERFACES = ("api", "labeling", "console", "operator")
MAX_MODULE, MAX_FUNCTION = 400, 40

# Rows without a page or a wire id of their own, each with what decides who sees it.
SEEN_THROUGH_ANOTHER = {
    "support_access": "the operator who has it; its begin and end stand in the event log",
    "record_task": "its record",
    "record_metadata": "its record",
    "record_vector": "its record",
    "record_search": "its record; read by the search function alone",
    "dataset_counter": "its dataset",
    "annotator": "its dataset; read for the caller, or by those who see the dataset's progress",
    "lease": "its holder; read for the caller alone",
    "job_item": "its job",
    "job_reject": "its job",
    "llm_response": "nobody; it answers whoever asks the same again",
    "llm_attempt": "its job",
    "llm_batch": "its job",
    "llm_batch_call": "its job",
    "draft_band": "its draft; read where drafts are written or compared",
    "suggester_settings": "its question",
    "trained_head": "its question; read by jobs alone",
    "copied_object": "whoever runs the copy, who is outside",
    "response_version": "its answer's author, or the reviewer of a job",
    "rewritten_answer": "its change; read by those who manage the dataset",
    "dataset_review": "its dataset; read by those who review it",
    "review_item": "its record; read by those who review it",
    "review_cause": "its record; read by those who review it",
    "adjudication": "its record; read by those who see all answers",
    "acceptance": "its dataset; read by those who run jobs there",
    "gold_answer": "its gold set",
    "evaluation_answer": "its evaluation",
    "monitor": "its question; read by those who run jobs there",
    "prediction": "its monitor",
    "prediction_count": "its monitor",
    "feedback": "the person it is for",
    "comment": "its record, by those who see the record",
    "mention": "the person mentioned",
    "flag": "its record; read by its author and those who review it",
    "guideline_gap": "its dataset; read by those who manage it",
    "suggestion_version": "its record; read by those who run jobs there",
    "dry_run_item": "its job",
    "invoice_line": "its invoice",
    "invoice_counter": "nobody; one function moves it",
    "payment_event": "nobody; it tells a message that came before",
    "usage_month": "those who see the organization's usage",
    "workspace_membership": "its workspace, through the permission table",
    "invited_place": "its invitation; read by those who manage people, and by who was invited",
}
PLATFORM = {"core", "events", "users", "organizations"}


@cache
def modules(*folders: str) -> dict[Path, ast.Module]:
    """Our own code, parsed; migrations are Django's."""
    found = chain.from_iterable((ROOT / folder).rglob("*.py") for folder in folders)
    return {
        path.relative_to(ROOT): ast.parse(path.read_text())
        for path in sorted(found)
        if "migrations" not in path.parts
    }


def own_models() -> Iterator[type[Model]]:
    for model in registry.get_models():
        if model.__module__.startswith("apps."):
            yield model


def test_interfaces_write_nothing_themselves() -> None:
    """They call services; a form's or a session's own verbs are theirs."""
    writes = {"create", "get_or_create", "update_or_create", "delete", "save", "update"}
    writes |= {"bulk_create", "bulk_update"}
    found = []
    for path, tree in modules(*(f"apps/{name}" for name in INTERFACES)).items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            function = call.func
            if not isinstance(function, ast.Attribute) or function.attr not in writes:
                continue
            target = ast.unparse(function.value)
            if ".objects" in target or (function.attr == "save" and "form" not in target):
                found.append(f"{path}:{call.lineno} {target}.{function.attr}")
    assert found == []


@pytest.mark.parametrize("model", list(own_models()), ids=lambda model: model._meta.db_table)
def test_a_model_says_who_may_see_it(model: type[Model]) -> None:
    if model._meta.app_label in PLATFORM:
        return
    asked = hasattr(model._default_manager.none.__self__, "visible_to")
    exempt = model._meta.db_table in SEEN_THROUGH_ANOTHER
    assert asked != exempt, "exactly one of visible_to and a reason why not"


def mentions(condition: Any, field: str) -> bool:
    """Whether it lists the values that the field may have."""
    if isinstance(condition, Q):
        return any(mentions(child, field) for child in condition.children)
    return isinstance(condition, tuple) and condition[0] == f"{field}__in"


def test_a_field_with_choices_has_a_check_that_names_it() -> None:
    missing = []
    for model in own_models():
        checks = [c for c in model._meta.constraints if isinstance(c, CheckConstraint)]
        for field in model._meta.local_fields:
            if isinstance(field, models.Field) and field.choices:
                named = any(mentions(check.condition, field.name) for check in checks)
                missing += [] if named else [str(field)]
    assert missing == []


def templates() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.html"))


def test_a_fragment_extends_nothing_and_a_page_something() -> None:
    for path in templates():
        extends = "{% extends" in path.read_text()
        assert extends != (path.name.startswith("_") or path.name == "base.html"), path


FORBIDDEN_IN_TEMPLATES = {
    r"<script(?![^>]*\ssrc=)[^>]*>": "an inline script (the policy would refuse it)",
    r"<style\b": "an inline style sheet",
    r"\sstyle\s*=": "a style attribute",
    r"\son[a-z]+\s*=": "an event attribute",
    r"\bhx-on": "an htmx event attribute",
    r"javascript:": "a script address",
    r"\|\s*safe\b|autoescape off": "unescaped text",
    r"\|\s*(urlize|urlizetrunc|truncatechars_html|truncatewords_html)\b": "a slow or unsafe filter",
}


def test_templates_hold_no_code_and_escape_everything() -> None:
    found = []
    for path in templates():
        # What is JSON for a module to read is data, not a script.
        text = re.sub(r'<script type="application/json"', "<data", path.read_text())
        for pattern, reason in FORBIDDEN_IN_TEMPLATES.items():
            if path.parent.name == "emails" and "style" in reason:
                continue  # a mail has no policy, and its style sheet must be in it
            found += [f"{path.name}: {reason}" for _ in re.finditer(pattern, text, re.IGNORECASE)]
    assert found == []


@pytest.mark.parametrize(
    "harm",
    [
        "<script>alert(1)</script>",
        '<p style="color: red">',
        "<a onclick='x()'>",
        '<i hx-on:click="x">',
        "{{ text|safe }}",
        '<a href="javascript:x">',
    ],
)
def test_code_in_a_template_would_be_seen(harm: str) -> None:
    assert any(re.search(pattern, harm, re.IGNORECASE) for pattern in FORBIDDEN_IN_TEMPLATES)


def test_modules_and_functions_stay_short() -> None:
    found = []
    for path, tree in modules("apps", "config").items():
        length = len((ROOT / path).read_text().splitlines())
        found += [f"{path}: {length} lines"] if length > MAX_MODULE else []
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = int(node.end_lineno or 0) - node.lineno + 1
                found += [f"{path} {node.name}: {length}"] if length > MAX_FUNCTION else []
    assert found == []


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    everything = modules("apps", "config", "tests")
    assert [path for path in everything if drawers & {path.stem, *path.parts}] == []


def test_every_app_says_what_it_is_for() -> None:
    for init in (ROOT / "apps").glob("*/__init__.py"):
        tree = ast.parse(init.read_text())
        assert len(ast.get_docstring(tree) or "") > 20, init
        assert all(isinstance(node, ast.Expr) for node in tree.body), f"{init} holds code"


def test_every_app_has_its_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if "exhaustive" in c)
    named = {name.strip() for layer in layers for name in layer.split("|")}
    there = {path.parent.name for path in (ROOT / "apps").glob("*/__init__.py")}
    assert there - named == set()


def test_every_named_constraint_is_broken_by_some_test() -> None:
    """So that each is known to hold; the name stands in the test's ``match``."""
    texts = {
        node.value
        for path, tree in modules("tests").items()
        if path.name != Path(__file__).name
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    said = "\n".join(texts)
    names = [c.name for model in own_models() for c in model._meta.constraints]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.search(rf"\b{name}\b", said)] == []


def test_no_receiver_acts_behind_ones_back() -> None:
    found = []
    for path, tree in modules("apps").items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                found += [f"{path} {name}" for name in decorators if "receiver" in name]
            if isinstance(node, ast.ImportFrom) and node.module == "django.db.models.signals":
                found.append(f"{path} imports model signals")
    assert found == []


def tracked_files() -> list[Path]:
    """What is published: git's list, or everything but what an instance leaves behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.split("\0") if name]
    ignored = {".venv", "var", "node_modules", "__pycache__", "staticfiles"}
    return [p for p in ROOT.rglob("*") if p.is_file() and not ignored & {*p.parts}]


# Put together here, so that this file is not its own finding.
NOT_OURS = {
    "a package index": rf"(?<![\w.])({'pypi'}\.org|files\.{'pythonhosted'}\.org|registry\.npm)",
    "a machine's path": rf"(?<![\w.])/({'work'}|{'root'})/|/{'home'}/[a-z]+/|{'site'}-packages/\w",
    "an assistant": rf"\b({'clau'}de|{'anthro'}pic|{'chat'}gpt|{'copi'}lot|{'co'}-authored-by)\b",
    "an issue number": rf"\b({'fix'}es|{'clos'}es|{'iss'}ue|{'tick'}et) #\d+",
}
VENDORED = ("static/vendor/", "tests/vendor/")


def test_the_project_speaks_of_itself_alone() -> None:
    found = []
    for path in tracked_files():
        name = str(path.relative_to(ROOT))
        if name.startswith(VENDORED) or not path.exists():
            continue
        text = path.read_bytes().decode("utf-8", "ignore")
        for kind, pattern in NOT_OURS.items():
            for match in re.finditer(pattern, text, re.IGNORECASE):
                found.append(f"{name}: {kind}: {match.group()}")
    assert found == []


def test_nothing_temporary_or_large_is_tracked() -> None:
    for path in tracked_files():
        assert path.suffix not in {".orig", ".rej", ".swp", ".log", ".sqlite3", ".pyc"}, path
        if path.exists():
            assert path.stat().st_size < 1_500_000, path
