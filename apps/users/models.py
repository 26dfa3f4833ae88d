"""The account."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower

from apps.core.ids import uuid7


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
    """A person's log-in; global, since one person may belong to several organizations."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = None  # type: ignore[assignment]  # usernames belong to memberships
    email = models.EmailField(null=True, blank=True, unique=True)  # type: ignore[assignment]

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()  # type: ignore[assignment,misc]

    class Meta:
        db_table = "user_account"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_account_email_unique"),
        ]

    def __str__(self) -> str:
        return self.email or str(self.id)
