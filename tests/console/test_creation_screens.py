"""A new dataset in a real browser: from a file to a labelled record; axe, widths, no scripts.

``SCREENS=folder`` leaves a picture of each screen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.annotation.models import Response
from apps.exchange.models import DatasetSketch
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.users.models import User
from tests.console.conftest import BACKEND
from tests.console.test_screens import look
from tests.labeling.conftest import Site, eventually
from tests.labeling.test_accessibility import NARROW, WIDE
from tests.real_data import path_to

pytestmark = pytest.mark.browser

Visit = Callable[..., Any]
WATCH = """() => {
    const box = document.querySelector("#progress");
    const told = () => window.tell(box.querySelector("progress").value);
    new MutationObserver(told).observe(box, {subtree: true, childList: true, attributes: true});
}"""
MAILS = "id,message,intent,length,tags\n" + "".join(
    f'{n},"The {n}th customer writes that a card is gone, and asks for another.",'
    f'{("lost card", "stolen card", "other")[n % 3]},{n * 3},"[""a"", ""b""]"\n'
    for n in range(60)
)
BAD = "61,only two cells\n=62,x,other,many,[]\n"


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


def opened(site: Site, visit: Visit, member: Membership, **options: Any) -> Any:
    page = visit(signed_in=False, **options)
    client = Client()
    assert member.user is not None
    client.force_login(member.user, backend=BACKEND)
    value = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": value, "url": site.url}])
    page.goto(f"{site.url}/datasets/new/")
    return page


def run_all(site: Site) -> Job:
    with site.inside():
        job = Job.objects.newest_first().first()
        assert job is not None
        while run_slice(organization_id=site.organization.id, job_id=job.id):
            pass
        job.refresh_from_db()
    return job


def write(tmp_path: Path, text: str, name: str = "mails.csv") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("size", "language"), [(WIDE, "en"), (NARROW, "de")], ids=["wide", "narrow"]
)
def test_every_step_is_for_everybody(
    site: Site,
    visit: Visit,
    owner: Membership,
    tmp_path: Path,
    size: dict[str, int],
    language: str,
) -> None:
    """axe in both schemes, no sideways scrolling, and no complaint of the policy."""
    with site.inside():
        User.objects.update(language=language)
    page = opened(site, visit, owner, viewport=size, locale=language)
    width, found = size["width"], []
    found += look(page, "new", width)
    page.set_input_files("#file", write(tmp_path, "<svg onload=alert(1)>"))
    page.click("button[value=upload]")
    page.wait_for_selector("#errors")
    found += look(page, "new refused", width)
    page.set_input_files("#file", write(tmp_path, MAILS + BAD))
    page.click("button[value=upload]")
    page.wait_for_url("**/columns/")
    found += look(page, "new columns", width)
    page.click("button[value=next]")
    page.wait_for_url("**/questions/")
    found += look(page, "new questions", width)
    page.click("button[value=add-span]")
    page.wait_for_selector("#question-2")
    page.click(".btn.main[value=next]")
    page.wait_for_selector("#errors")
    found += look(page, "new questions wrong", width)
    page.click("button[value=remove-2]")
    page.wait_for_selector("#question-2", state="detached")
    page.click(".btn.main[value=next]")
    page.wait_for_url("**/finish/")
    found += look(page, "new finish", width)
    page.click("button[value=create]")
    page.wait_for_selector("#job-progress")
    found += look(page, "new job", width)
    run_all(site)
    page.reload()
    page.wait_for_selector("#job-rejects")
    found += look(page, "new job done", width)
    page.goto(f"{site.url}/datasets/new/")
    page.locator("input[value=preference]").check(force=True)
    page.click("button[value=empty]")
    page.wait_for_url("**/questions/")
    page.goto(f"{site.url}/datasets/new/")
    found += look(page, "new begun", width)
    page.goto(f"{site.url}/datasets/")
    found += look(page, "datasets list", width)
    assert found == []


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("clinc150.json", ".opt input[type=radio]"),
        ("wnut17-dev.conll", ".opt.nothing input"),
        ("gsm8k-test.jsonl", None),
    ],
)
def test_a_real_file_becomes_a_labelled_record(
    site: Site, visit: Visit, owner: Membership, name: str, answer: str | None
) -> None:
    page = opened(site, visit, owner)
    if answer is None:
        page.locator("input[value=correction]").check(force=True)
    page.set_input_files("#file", path_to(name))
    page.click("button[value=upload]")
    page.wait_for_url("**/columns/")
    page.click("button[value=next]")
    page.wait_for_url("**/questions/")
    page.click(".btn.main[value=next]")
    page.wait_for_url("**/finish/")
    page.click("button[value=create]")
    page.wait_for_selector("#job-progress")
    job = run_all(site)
    assert job.state == "done"
    assert job.failed <= 1
    page.reload()
    page.click("#job-progress a.btn.main")
    page.wait_for_url("**/annotate/**")
    page.wait_for_selector("#answer")
    if answer is None:
        page.locator("#q1 input").first.check(force=True)
    else:
        page.locator(answer).first.check(force=True)
    page.wait_for_load_state("networkidle")
    # Not by the pointer, whose click right after a record has come counts as a second one.
    page.locator("#answer [value=submit]").dispatch_event("click")
    eventually(page, site.asking(lambda: Response.objects.filter(user=owner).count() == 1))
    with site.inside():
        assert Record.objects.filter(dataset=job.dataset_id).count() > 900


def test_a_choice_changes_the_preview_at_once(
    site: Site, visit: Visit, owner: Membership, tmp_path: Path
) -> None:
    page = opened(site, visit, owner)
    page.set_input_files("#file", write(tmp_path, MAILS))
    page.click("button[value=upload]")
    page.wait_for_url("**/columns/")
    page.evaluate("() => { window.same = true; }")
    assert page.locator("#preview [data-type=label_selection]").count() == 5
    page.select_option("select[name=to-2]", "suggestion.text")
    page.wait_for_selector("#preview [data-type=text]")
    assert page.locator("#preview [data-type=label_selection]").count() == 0
    assert page.evaluate("() => window.same")
    page.reload()  # loses nothing
    assert page.input_value("select[name=to-2]") == "suggestion.text"
    page.go_back()
    page.go_forward()
    assert page.input_value("select[name=to-2]") == "suggestion.text"


def test_all_of_it_works_without_scripts(
    site: Site, visit: Visit, owner: Membership, tmp_path: Path
) -> None:
    page = opened(site, visit, owner, java_script_enabled=False)
    page.set_input_files("#file", write(tmp_path, "nothing", "a.xyz"))
    page.click("button[value=upload]")
    page.wait_for_selector("#errors")
    page.set_input_files("#file", write(tmp_path, MAILS))
    page.click("button[value=upload]")
    page.wait_for_url("**/columns/")
    page.select_option("select[name=to-3]", "ignore")
    page.click("button[value=preview]")
    page.wait_for_selector("#preview")
    assert page.input_value("select[name=to-3]") == "ignore"
    page.click("button[value=next]")
    page.click(".btn.main[value=next]")
    page.fill("#name", "without scripts")
    page.click("button[value=create]")
    page.wait_for_selector("#job-progress")
    assert run_all(site).done == 60
    with site.inside():
        assert DatasetSketch.objects.get().is_finished


def test_an_upload_shows_how_far_it_is(
    site: Site, visit: Visit, owner: Membership, tmp_path: Path
) -> None:
    page = opened(site, visit, owner)
    shares: list[float] = []
    page.expose_function("tell", lambda value: shares.append(value))
    page.evaluate(WATCH)
    file = tmp_path / "large.csv"
    line = "a row with some words to read and a label at the end,{}\n"
    with file.open("w") as out:
        out.write("text,label\n")
        out.writelines(line.format(n % 5) for n in range(500_000))  # 28 MB
    page.set_input_files("#file", file)
    page.click("button[value=upload]")
    page.wait_for_url("**/columns/", timeout=60_000)
    assert shares
    assert max(shares) <= 100
    page.get_by_text("about 500").wait_for()
