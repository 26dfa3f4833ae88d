"""``python -m tests.llm_server [--port N]``: serve until standard input ends.

The first line of standard output is ``{"url": "http://127.0.0.1:<port>/v1"}``.
"""

import argparse
import asyncio
import json
import sys

from tests.llm_server.http import Connection
from tests.llm_server.server import Server


async def serve(port: int, *, watch_input: bool) -> None:
    loop = asyncio.get_running_loop()
    handler = Server().handle
    listener = await loop.create_server(
        lambda: Connection(handler), "127.0.0.1", port, backlog=1024
    )
    port = listener.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{port}/v1"}) + "\n")
    sys.stdout.flush()
    if watch_input:
        await loop.run_in_executor(None, sys.stdin.read)
    else:
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--forever", action="store_true", help="do not end with standard input")
    options = parser.parse_args()
    asyncio.run(serve(options.port, watch_input=not options.forever))


main()
