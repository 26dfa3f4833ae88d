"""From a key to the next record on the screen, in Chromium with a round trip of 100 ms.

python -m tests.benchmarks.bench_keypress [--records 40]
"""

import os
import shutil
from typing import Any

from tests.benchmarks.bench_api import World, world_of

ROUND_TRIP = 100  # ms
# The time of the key, and of the first frame with another record's heading in it.
WATCH = """() => {
    window.times = [];
    let pressed = 0, shown = "";
    document.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
    new MutationObserver(() => {
        const title = document.querySelector("h1")?.textContent;
        if (title === shown || !pressed) return;
        shown = title;
        const from = pressed;
        pressed = 0;
        requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel(); // answered after the frame is painted
            port1.onmessage = () => window.times.push(performance.now() - from);
            port2.postMessage(0);
        });
    }).observe(document.body, { childList: true, subtree: true });
}"""


def main() -> None:
    with world_of(__doc__, records=40) as (world, records):
        world.fill("keypress", max(records + 10, 500))
        dataset, _ = world.dataset("keypress")
        times = sorted(measure(world.instance.url, dataset, sign_in(world), records))
    label = f"key to next record painted, {ROUND_TRIP} ms round trip, p50 / max"
    print(f"{label:<52}{times[len(times) // 2]:>10.1f} /{times[-1]:>6.1f} ms")


def sign_in(world: World) -> str:
    """The session of a new annotator."""
    from django.test import Client

    from apps.core.tenancy import enter
    from apps.organizations.services import create_member
    from apps.workspaces.services import add_workspace_member

    with enter(world.organization.id):
        member = create_member(username="keys", password="correct horse battery")
        add_workspace_member(workspace=world.workspace, member=member)
    client = Client()
    client.force_login(member.user, backend="apps.organizations.backends.MemberBackend")
    return client.cookies["sessionid"].value


def measure(url: str, dataset: Any, session: str, records: int) -> list[float]:
    """Milliseconds of each record, answered once the next one is ready."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM_PATH") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        network.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": ROUND_TRIP,
                "downloadThroughput": -1,
                "uploadThroughput": -1,
            },
        )
        page.goto(f"{url}/datasets/{dataset}/annotate/")
        page.evaluate(WATCH)
        for _ in range(records):
            page.wait_for_timeout(4 * ROUND_TRIP)
            page.keyboard.press("1")
            page.keyboard.press("Enter")
        page.wait_for_timeout(4 * ROUND_TRIP)
        times: list[float] = page.evaluate("() => window.times")
        browser.close()
    return times


if __name__ == "__main__":
    main()
