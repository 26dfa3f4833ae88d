"""The account."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.ids import uuid7


class Theme(models.TextChoices):
    SYSTEM = "system", _("As the system")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class Density(models.TextChoices):
    COMFORTABLE = "comfortable", _("Comfortable")
    COMPACT = "compact", _("Compact")


class SingleKeys(models.TextChoices):
    """When keys without Ctrl or Alt are shortcuts."""

    ON = "on", _("Always")
    FORM = "form", _("While the focus is in a form")
    OFF = "off", _("Never")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str | None, password: str | None = None, **extra: Any) -> "User":
        """An account; without ``password`` it cannot log in by password."""
        user = self.model(email=self.normalize_email(email) if email else None, **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **extra: Any) -> "User":
        """An operator of the host."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class User(AbstractUser):
    """A person's log-in; global, since one person may belong to several organizations.

    With it how they like their pages: ``language`` is empty for the browser's, and ``shortcuts``
    maps commands to the person's own key, empty for none.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = None  # type: ignore[assignment]  # usernames belong to memberships
    email = models.EmailField(null=True, blank=True, unique=True)  # type: ignore[assignment]

    language = models.CharField(max_length=10, blank=True, default="")
    theme = models.CharField(max_length=10, choices=Theme, default=Theme.SYSTEM)
    density = models.CharField(max_length=20, choices=Density, default=Density.COMFORTABLE)
    single_keys = models.CharField(max_length=10, choices=SingleKeys, default=SingleKeys.ON)
    shortcuts = models.JSONField(default=dict, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()  # type: ignore[assignment,misc]

    class Meta:
        db_table = "user_account"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_account_email_unique"),
            one_of("theme", Theme, name="user_account_theme_known"),
            one_of("density", Density, name="user_account_density_known"),
            one_of("single_keys", SingleKeys, name="user_account_single_keys_known"),
        ]

    def __str__(self) -> str:
        return self.email or str(self.id)
