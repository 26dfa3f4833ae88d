"""Organizations, memberships, invitations, API keys, record volume."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.fields import LineField, TenantKey, TenantLink
from apps.core.ids import uuid7
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.core.tenancy import current

SLUG_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
DOMAIN_PATTERN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$"


class Role(models.TextChoices):
    """Each role may do what the next ones may."""

    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    REVIEWER = "reviewer", _("Reviewer")
    ANNOTATOR = "annotator", _("Annotator")


class Plan(models.TextChoices):
    """Record volume: 1, 3, 4 and 6 million; a self-hosted organization has no limit."""

    SELF_HOSTED = "self_hosted"
    STARTER = "starter"
    BASE = "base"
    MEDIUM = "medium"
    LARGE = "large"


class Organization(models.Model):
    """A tenant. Its own row is behind the same wall as everything it owns.

    While it is suspended nobody gets in, by page or by key; nothing is lost. So it is from the wish
    to delete it until ``deletion_due_at``. ``domain`` counts once a DNS record has proven it, until
    that is missing for days. Where it ``requires_mfa``, pages ask for a second factor.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=63, unique=True, validators=[RegexValidator(SLUG_PATTERN)])
    name = LineField(max_length=200)
    plan = models.CharField(max_length=20, choices=Plan, default=Plan.SELF_HOSTED)
    inserted_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_reason = LineField(max_length=500, blank=True, default="")
    deletion_due_at = models.DateTimeField(null=True, blank=True)
    requires_mfa = models.BooleanField(default=False)
    invitation_only = models.BooleanField(default=False)
    domain = models.CharField(max_length=253, null=True, blank=True)
    domain_token = models.CharField(max_length=64, blank=True, default="")
    domain_verified_at = models.DateTimeField(null=True, blank=True)
    domain_missing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "organization"
        constraints = [
            models.CheckConstraint(
                condition=Q(slug__regex=SLUG_PATTERN), name="organization_slug_is_a_host_label"
            ),
            one_of("plan", Plan, name="organization_plan_known"),
            models.CheckConstraint(
                condition=Q(deletion_due_at=None) | Q(suspended_at__isnull=False),
                name="organization_deleted_is_suspended",
            ),
            models.UniqueConstraint(
                fields=["domain"],
                condition=Q(domain_verified_at__isnull=False),
                name="organization_domain_unique",
            ),
            models.CheckConstraint(
                condition=Q(domain__isnull=True) | Q(domain__regex=DOMAIN_PATTERN),
                name="organization_domain_is_a_host",
            ),
            models.CheckConstraint(
                condition=Q(domain_verified_at__isnull=True) | Q(domain__isnull=False),
                name="organization_domain_verified_given",
            ),
            models.CheckConstraint(
                condition=Q(domain_missing_since=None) | Q(domain_verified_at__isnull=False),
                name="organization_domain_missing_was_proven",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RecordVolume(models.Model):
    """How many records the organization holds, and how many its plan allows.

    A limit of None is none. After a change to a smaller plan ``former_limit`` counts until
    ``former_until``. From ``closes_at`` on, an invoice being unpaid, no record is added at all.
    """

    organization = TenantKey(Organization, related_name="volume", default=current)
    records = models.BigIntegerField(default=0)
    record_limit = models.BigIntegerField(null=True, blank=True)
    former_limit = models.BigIntegerField(null=True, blank=True)
    former_until = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        db_table = "record_volume"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(records__gte=0)
                & (Q(record_limit__isnull=True) | Q(record_limit__gte=0)),
                name="record_volume_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(former_limit__isnull=True) | Q(former_until__isnull=False),
                name="record_volume_former_limit_ends",
            ),
        ]


class MembershipQuerySet(models.QuerySet["Membership"]):
    def active(self) -> "MembershipQuerySet":
        return self.filter(is_active=True)


class Membership(TenantModel):
    """A person in an organization: what the API calls a user.

    ``last_seen_at`` is exact to a minute on the pages and to five in the API.
    """

    user = models.ForeignKey(
        "users.User", models.PROTECT, null=True, blank=True, related_name="memberships"
    )
    username = LineField(max_length=200)
    first_name = LineField(max_length=200, blank=True)
    last_name = LineField(max_length=200, null=True, blank=True)
    role = models.CharField(max_length=20, choices=Role, default=Role.ANNOTATOR)
    is_active = models.BooleanField(default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager.from_queryset(MembershipQuerySet)()

    class Meta:
        db_table = "membership"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "username"], name="membership_username_unique"
            ),
            models.UniqueConstraint(fields=["organization", "user"], name="membership_user_unique"),
            models.CheckConstraint(condition=~Q(username=""), name="membership_username_given"),
            one_of("role", Role, name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def display_name(self) -> str:
        """First and last name, or the username; short for who has left."""
        if self.username == f"former-{self.id}":
            return gettext("Former member %s") % self.id.hex[-6:]
        return f"{self.first_name} {self.last_name or ''}".strip() or self.username


class Scope(models.TextChoices):
    """What a key is good for; none implies another, and the member's role still counts.

    Reading; answering and claiming records; changing records, datasets and jobs; managing members,
    workspaces, webhooks and keys.
    """

    READ = "read"
    ANNOTATE = "annotate"
    WRITE = "write"
    MANAGE = "manage"


def every_scope() -> list[str]:
    return list(Scope.values)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def standing(self) -> "ApiKeyQuerySet":
        """Those that were not revoked; they may have expired."""
        return self.filter(revoked_at=None)


class ApiKey(TenantModel):
    """A member's key; only its digest is kept, and its first characters to recognise it by."""

    membership = TenantLink(Membership, related_name="api_keys")
    name = LineField(max_length=100, default="default")
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=20), default=every_scope)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.GenericIPAddressField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager.from_queryset(ApiKeyQuerySet)()

    class Meta:
        db_table = "api_key"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "digest"], name="api_key_digest_unique"
            ),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=every_scope()), name="api_key_scopes_known"
            ),
            models.CheckConstraint(condition=~Q(scopes=[]), name="api_key_scopes_given"),
        ]
        indexes = [models.Index(fields=["digest"], name="api_key_digest")]

    def __str__(self) -> str:
        return f"{self.prefix}…"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def waiting(self) -> "InvitationQuerySet":
        """Neither accepted nor revoked; they may have expired."""
        return self.filter(accepted_at=None, revoked_at=None)


class Invitation(TenantModel):
    """A place that is kept for whoever has the e-mail, until ``expires_at``.

    Only the digest of its token is kept; a token is good for one acceptance. ``membership`` is the
    place: one that somebody left and is asked back to, else the one that was made.
    """

    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Role, default=Role.ANNOTATOR)
    digest = models.CharField(max_length=64)
    invited_by = TenantLink(Membership, related_name="+")
    membership = TenantLink(Membership, related_name="+", null=True, blank=True)
    sent_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager.from_queryset(InvitationQuerySet)()

    class Meta:
        db_table = "invitation"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "digest"], name="invitation_digest_unique"
            ),
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_waiting_once",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(revoked_at=None), name="invitation_ends_once"
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(membership__isnull=False),
                name="invitation_accepted_gives_a_place",
            ),
            models.CheckConstraint(
                condition=Q(email=Lower("email")), name="invitation_email_lower_case"
            ),
            one_of("role", Role, name="invitation_role_known"),
        ]
        indexes = [
            models.Index(fields=["digest"], name="invitation_digest"),
            models.Index(fields=["email"], name="invitation_email"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class IdempotentRequest(TenantRow):
    """A write that a member named with a key, and its answer, until ``expires_at``.

    ``fingerprint`` is the SHA-256 of what was asked for. ``body`` is sealed, since some answers
    hold what is shown only once.
    """

    pk = models.CompositePrimaryKey("organization_id", "membership_id", "key")
    membership = TenantLink(Membership, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField()
    expires_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        db_table = "idempotent_request"
        base_manager_name = "objects"
        indexes = [models.Index(fields=["expires_at"], name="idempotent_request_expiry")]


class SupportAccess(TenantModel):
    """The operator of the host looks at the organization as one of its members, for a while.

    Nothing can be changed meanwhile. ``operator`` is the e-mail of the operator's account. It ends
    at ``ends_at``, or at ``ended_at`` if that was earlier.
    """

    membership = TenantLink(Membership, related_name="+")
    operator_id = models.UUIDField()
    operator = models.CharField(max_length=254)
    reason = LineField(max_length=500)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        db_table = "support_access"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="support_access_reason_given"),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("inserted_at")), name="support_access_ends"
            ),
        ]


class DeletionCertificate(models.Model):
    """What the operator keeps of an organization that is gone: counts, digests and dates, signed.

    It belongs to the host; the application cannot read it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject_id = models.UUIDField()
    slug = models.CharField(max_length=63)
    deleted_at = models.DateTimeField(null=True)
    text = models.TextField()
    signature = models.CharField(max_length=80)

    class Meta:
        db_table = "deletion_certificate"
        constraints = [
            models.UniqueConstraint(fields=["subject_id"], name="deletion_certificate_once")
        ]

    def __str__(self) -> str:
        return self.slug


class Level(models.TextChoices):
    NOTE = "note", _("Note")
    WARN = "warn", _("Warning")
    BAD = "bad", _("Outage")


class Announcement(models.Model):
    """What the operator tells everybody, or one organization, on every page, for some time.

    It belongs to the host, not to the organization whose id is ``audience_id``; None is everybody.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    inserted_at = models.DateTimeField(default=timezone.now, editable=False)
    audience_id = models.UUIDField(null=True, blank=True)
    level = models.CharField(max_length=10, choices=Level, default=Level.NOTE)
    text = LineField(max_length=500)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()

    class Meta:
        db_table = "announcement"
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="announcement_text_given"),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="announcement_ends"
            ),
            one_of("level", Level, name="announcement_level_known"),
        ]
        indexes = [models.Index(fields=["ends_at"], name="announcement_end")]

    def __str__(self) -> str:
        return self.text
