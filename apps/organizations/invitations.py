"""Who has been invited, asked before the tenant is known."""

from apps.core.prepared import raw_cursor


def is_invited(email: str) -> bool:
    """Whether an invitation of any organization waits for this e-mail. One query."""
    row = raw_cursor().execute("SELECT is_invited(%s)", [email.strip().lower()]).fetchone()
    return bool(row and row[0])
