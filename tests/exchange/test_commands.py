"""``import_records`` and ``export_records`` as an operator runs them."""

import io
import json
import sys

import pytest
from django.core.management import CommandError, call_command

from apps.core.tenancy import enter
from apps.events.models import Event
from apps.records.models import Record
from tests import factories

GOOD = '{"id": "a", "text": "one"}\n{"id": "b", "text": "two", "sentiment": "mixed"}\n'
BAD = '{"id": "c"\n{"id": "d", "text": 5}\n'


@pytest.fixture
def place(db):
    """An organization, left again, with the dataset ``films`` in the workspace ``lab``."""
    organization = factories.make_organization()
    with enter(organization.id):
        workspace = factories.make_workspace("lab")
        factories.make_dataset(workspace, name="films", questions=["sentiment"])
    return organization


def where(organization, dataset="films", workspace="lab"):
    return [
        *("--organization", organization.slug),
        *("--workspace", workspace, "--dataset", dataset),
    ]


def run(*arguments):
    """Standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def count(organization):
    with enter(organization.id):
        return Record.objects.count()


def test_the_answer_is_one_json_object(place, tmp_path):
    file = tmp_path / "films.jsonl"
    file.write_text(GOOD)
    out, _ = run("import_records", file, *where(place), "--json")
    assert json.loads(out) == {
        "read": 2,
        "created": 2,
        "updated": 0,
        "rejected": 0,
        "rejects": [],
        "ignored_columns": [],
    }
    out, _ = run("import_records", file, *where(place), "--json")
    assert (json.loads(out)["created"], json.loads(out)["updated"]) == (0, 2)


def test_rejects_give_their_own_exit_code_and_file(place, tmp_path):
    file, rejects = tmp_path / "films.jsonl", tmp_path / "rejects.jsonl"
    file.write_text(GOOD + BAD)
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"2 of 4 rows were rejected\.") as caught:
        call_command(
            *("import_records", str(file), *where(place), "--json", "--rejects", str(rejects)),
            stdout=out,
        )
    assert caught.value.returncode == 3
    answer = json.loads(out.getvalue())
    assert (answer["created"], answer["rejected"]) == (2, 2)
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [{"row": one["row"], "reason": one["reason"]} for one in kept] == answer["rejects"]
    assert [one["original"] for one in kept] == BAD.splitlines()
    assert count(place) == 2


def test_the_answer_shows_twenty_rejects_and_the_file_all(place, tmp_path):
    file, rejects = tmp_path / "films.jsonl", tmp_path / "rejects.jsonl"
    file.write_text("[]\n" * 50)
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command(
            *("import_records", str(file), *where(place), "--json", "--rejects", str(rejects)),
            stdout=out,
        )
    assert len(json.loads(out.getvalue())["rejects"]) == 20
    assert len(rejects.read_text().splitlines()) == 50


def test_columns_are_told_on_the_command_line(place, tmp_path):
    file = tmp_path / "films.txt"
    file.write_text("review=1,mood\nGood,mixed\n")
    mapping = ["--map", "review=1=field:text", "--map", "mood=suggestion:sentiment"]
    run("import_records", file, *where(place), "--format", "csv", *mapping)
    with enter(place.id):
        assert Record.objects.get().fields == {"text": "Good"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--map", "text"], "--map takes COLUMN=TARGET, not 'text'"),
        (["--map", "text=field:body"], "The dataset has no field 'body'"),
        (["--format", "csv", "--map", "x=field:text"], "The file has no column 'x'"),
    ],
)
def test_errors_are_one_line(place, tmp_path, arguments, reason):
    file = tmp_path / "films.jsonl"
    file.write_text(GOOD)
    with pytest.raises(CommandError, match=reason) as caught:
        run("import_records", file, *where(place), *arguments)
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "reason"),
    [("nowhere.jsonl", "No such file"), (".", "format"), ("films.xlsx", "known endings are .csv")],
)
def test_a_file_that_cannot_be_read_is_named(place, tmp_path, file, reason):
    with pytest.raises(CommandError, match=reason):
        run("import_records", tmp_path / file, *where(place))


def test_another_organizations_dataset_is_not_there(place, tmp_path):
    stranger = factories.make_organization("Beta")
    with enter(stranger.id):
        factories.make_workspace("lab")
    file, output = tmp_path / "films.jsonl", tmp_path / "out.jsonl"
    file.write_text(GOOD)
    with pytest.raises(CommandError, match="There is no dataset 'films' in the workspace 'lab'"):
        run("import_records", file, *where(stranger))
    with pytest.raises(CommandError, match="There is no dataset 'films'"):
        run("export_records", "--output", output, *where(stranger))
    stranger.slug = "nobody"
    with pytest.raises(CommandError, match="There is no organization with the slug 'nobody'"):
        run("import_records", file, *where(stranger))
    assert count(place) == 0
    assert not output.exists()


def test_a_stranger_cannot_answer_in_a_file(place, tmp_path):
    stranger = factories.make_organization("Beta")
    with enter(stranger.id):
        factories.make_member(username="eve")
    file = tmp_path / "films.jsonl"
    file.write_text('{"fields": {"text": "x"}, "responses": [{"user": "eve", "values": {}}]}\n')
    with pytest.raises(CommandError, match="1 of 1 rows"):
        run("import_records", file, *where(place))


def test_an_export_appears_when_it_is_complete(place, tmp_path):
    file, output = tmp_path / "films.jsonl", tmp_path / "out.csv"
    file.write_text(GOOD)
    run("import_records", file, *where(place))
    answer = ["--output", output, "--format", "csv", "--status", "pending", "--json"]
    out, _ = run("export_records", *where(place), *answer)
    assert json.loads(out) == {"records": 2, "format": "csv", "output": str(output)}
    assert output.read_text().splitlines()[0].startswith("id,status,field:text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films.jsonl", "out.csv"]
    with enter(place.id):
        told = Event.objects.get(kind="dataset.exported")
        assert told.payload == {"name": "films", "format": "csv"}


def test_an_export_goes_to_standard_output(place, tmp_path, monkeypatch, capfdbinary):
    file = tmp_path / "films.jsonl"
    file.write_text(GOOD)
    run("import_records", file, *where(place))
    capfdbinary.readouterr()
    run("export_records", *where(place))
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(lines))))
    out, _ = run("import_records", "-", *where(place), "--format", "jsonl", "--json")
    assert json.loads(out)["updated"] == 2
    with pytest.raises(CommandError, match="--json needs --output"):
        run("export_records", *where(place), "--json")
