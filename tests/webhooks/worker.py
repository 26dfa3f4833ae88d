"""A real worker on a quicker clock: it waits a second for an answer, and retries soon.

``python tests/webhooks/worker.py SCHEDULE_FILE SWEEP_SECONDS``; the environment names database,
Redis and the receivers that may be called, and in ``PATIENCE`` the seconds for slow ones.
"""

import os
import sys
from datetime import timedelta

import django

django.setup()

from apps.webhooks import sending  # noqa: E402
from config.celery import app  # noqa: E402

patience = float(os.environ.get("PATIENCE", "1"))
sending.HOLD = timedelta(seconds=2 * patience)
sending.TIMEOUT = patience  # type: ignore[misc]
sending.DELAYS = (0.2,) * 9  # type: ignore[misc,assignment]
sending.LONGEST_REST = timedelta(seconds=0.5)  # type: ignore[misc]
app.conf.beat_schedule = {"ring": {"task": "webhooks.ring_waiting", "schedule": float(sys.argv[2])}}
options = ["--pool", "threads", "--concurrency", "4", "--beat", "--schedule", sys.argv[1]]
app.start(["--skip-checks", "worker", *options, "--loglevel", "WARNING"])
