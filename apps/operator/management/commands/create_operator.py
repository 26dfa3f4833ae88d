"""``manage.py create_operator --email E-MAIL``: who may open the operator's console."""

from typing import Any

from django.core.management.base import CommandParser

from apps.organizations.management.operator import OperatorCommand, new_password
from apps.organizations.operating import make_operator


class Command(OperatorCommand):
    """Makes the account an operator's, or a new one whose password is printed once.

    The console is at /operator/ and asks for a second factor, which its owner sets up there.
    With ``--remove`` the account is an ordinary one again, at once.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--email", required=True)
        parser.add_argument("--remove", action="store_true", help="no operator any more")

    def handle(self, *args: Any, **options: Any) -> None:
        password = new_password()
        user, is_new = make_operator(
            email=options["email"], password=password, is_operator=not options["remove"]
        )
        result = {"email": user.email, "operator": user.is_staff}
        if is_new:
            result["password"] = password
        self.tell(result, as_json=options["json"])
