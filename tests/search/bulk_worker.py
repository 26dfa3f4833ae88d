"""The worker of ``tests/jobs/worker.py`` with small pages, so that there is time to kill it."""

import runpy

import django

django.setup()

from apps.search import bulk_answers  # noqa: E402

bulk_answers.PAGE = 5  # type: ignore[misc]
runpy.run_path("tests/jobs/worker.py", run_name="__main__")
