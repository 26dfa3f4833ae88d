"""How gunicorn serves: ``gunicorn config.wsgi --config python:config.gunicorn``."""

import os
from typing import Any

from gunicorn.http import message

preload_app = True  # loaded once, then forked: the processes share what they do not change
workers = int(os.environ.get("WEB_PROCESSES", "2"))
worker_class = "gthread"
threads = 8
keepalive = 30
control_socket_disable = True
# A search stands in its address, which scripts repeat in a header. Gunicorn never takes more of a
# line than this constant says.
limit_request_line = limit_request_field_size = message.MAX_REQUEST_LINE = 32_768
# Gunicorn touches a file at each turn of its loop, which is dear on a disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def post_worker_init(worker: Any) -> None:
    """Threads do not survive a fork: each process offers the figures itself."""
    from apps.core.metrics import serve_when_free

    serve_when_free()
