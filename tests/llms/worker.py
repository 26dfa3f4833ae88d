"""A real worker for jobs that ask a provider; tests kill it. As ``tests/jobs/worker.py``.

``python tests/llms/worker.py SCHEDULE_FILE SWEEP_SECONDS QUEUES``
"""

import sys
from datetime import timedelta

import django

django.setup()

from apps.jobs import runs  # noqa: E402
from config.celery import app  # noqa: E402
from tests.llms.asking import offer_asking  # noqa: E402

runs.HOLD = timedelta(seconds=2)
offer_asking()
app.conf.beat_schedule = {"ring": {"task": "jobs.ring_waiting", "schedule": float(sys.argv[2])}}
options = ["--pool", "threads", "--concurrency", "4", "--beat", "--schedule", sys.argv[1]]
options += ["--queues", sys.argv[3]]
app.start(["--skip-checks", "worker", *options, "--loglevel", "WARNING"])
