"""A small SMTP server on a local port, which keeps every message it is given."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mailbox:
    """All the mail that was sent to ``port``, in the order in which it came."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)

    def to(self, address: str, *, patience: float = 30) -> EmailMessage:
        """The newest message to the address; waits until there is one."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for message in reversed(self.messages):
                if address in message["To"]:
                    return message
            time.sleep(0.05)
        raise AssertionError(f"no mail to {address}: {[str(one['To']) for one in self.messages]}")


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.say("220 mail.test")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.say("354 go on")
                self.keep()
            self.say("221 bye" if verb == b"QUIT" else "250 fine")
            if verb == b"QUIT":
                return

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def keep(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.mailbox.messages.append(message)  # type: ignore[attr-defined]


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        mailbox = Mailbox(server.server_address[1])
        server.mailbox = mailbox  # type: ignore[attr-defined]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join()
