"""A real worker that believes a silent run dead after two seconds; tests kill it.

``python tests/jobs/worker.py SCHEDULE_FILE SWEEP_SECONDS QUEUES``; the environment names database
and Redis.
"""

import sys
from datetime import timedelta

import django

django.setup()

from apps.jobs import runs  # noqa: E402
from config.celery import app  # noqa: E402
from tests.jobs.kinds import offer_all  # noqa: E402
from tests.jobs.streams import offer_streams  # noqa: E402

runs.HOLD = timedelta(seconds=2)
offer_all()
offer_streams()
app.conf.beat_schedule = {"ring": {"task": "jobs.ring_waiting", "schedule": float(sys.argv[2])}}
options = ["--pool", "threads", "--concurrency", "4", "--beat", "--schedule", sys.argv[1]]
options += ["--queues", sys.argv[3]]
app.start(["--skip-checks", "worker", *options, "--loglevel", "WARNING"])
