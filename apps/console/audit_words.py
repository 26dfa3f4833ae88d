"""The event log in words: what was done, and to what."""

from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.labeling.work import JOB_NAMES

# The kinds of an app's events by their first word, as the filter shows them.
GROUPS: Final[dict[str, Promise]] = {
    "member": _("People"),
    "invitation": _("Invitations"),
    "api_key": _("API keys"),
    "workspace": _("Workspaces"),
    "dataset": _("Datasets"),
    "field": _("Fields"),
    "question": _("Questions"),
    "metadata_property": _("Metadata properties"),
    "vector_settings": _("Vectors"),
    "record": _("Records"),
    "response": _("Answers"),
    "suggestion": _("Suggestions"),
    "provider": _("Model providers"),
    "budget": _("Budgets"),
    "webhook": _("Webhooks"),
    "job": _("Jobs"),
    "prompt": _("Prompts"),
    "organization": _("Organization"),
    "audit": _("Audit log"),
    "support": _("Support access"),
    "adjudication": _("Decisions"),
    "draft": _("Drafts"),
    "acceptance": _("Accepted suggestions"),
    "account": _("Accounts"),
    "comment": _("Comments"),
    "evaluation": _("Evaluations"),
    "gold_set": _("Gold sets"),
    "guideline_gap": _("Gaps in the guidelines"),
    "invoice": _("Invoices"),
    "monitor": _("Monitoring"),
    "record_volume": _("Record volume"),
    "review": _("Review"),
    "subscription": _("Plan"),
    "suggester": _("Suggesters"),
}

DID: Final[dict[str, Promise]] = {
    "organization.created": _("founded the organization"),
    "organization.updated": _("changed the organization"),
    "organization.exported": _("exported the organization"),
    "organization.imported": _("imported the organization"),
    "organization.suspended": _("suspended the organization"),
    "organization.unsuspended": _("lifted the suspension"),
    "organization.limit_changed": _("changed the record limit"),
    "organization.plan_set": _("set the plan"),
    "subscription.changed": _("changed the plan"),
    "invoice.issued": _("issued an invoice"),
    "invoice.paid": _("marked an invoice as paid"),
    "invoice.void": _("declared an invoice void"),
    "invoice.failed": _("could not collect an invoice"),
    "record_volume.corrected": _("corrected the count of records"),
    "organization.deletion_asked": _("asked for deletion"),
    "organization.deletion_cancelled": _("cancelled the deletion"),
    "audit.exported": _("exported the audit log"),
    "audit.retention_set": _("changed how long entries are kept"),
    "audit.pruned": _("removed entries no longer kept"),
    "member.created": _("added a member"),
    "member.updated": _("changed a member"),
    "member.removed": _("removed a member"),
    "member.admitted": _("came in by a provider"),
    "member.logged_in": _("signed in"),
    "member.login_failed": _("failed to sign in"),
    "member.password_set": _("set a password"),
    "member.places_changed": _("changed a member’s workspaces"),
    "member.returned": _("let a member return"),
    "member.work_handed_over": _("handed a member’s open work over"),
    "account.locked": _("locked an account"),
    "account.unlocked": _("unlocked an account"),
    "account.second_factor_reset": _("reset an account’s second factor"),
    "invitation.created": _("invited somebody"),
    "invitation.sent_again": _("sent an invitation again"),
    "invitation.accepted": _("accepted an invitation"),
    "invitation.revoked": _("revoked an invitation"),
    "api_key.created": _("made an API key"),
    "api_key.rotated": _("rotated an API key"),
    "api_key.revoked": _("revoked an API key"),
    "workspace.created": _("created a workspace"),
    "workspace.deleted": _("deleted a workspace"),
    "workspace.renamed": _("renamed a workspace"),
    "workspace.member_added": _("let a member into a workspace"),
    "workspace.member_removed": _("took a member out of a workspace"),
    "dataset.created": _("created a dataset"),
    "dataset.updated": _("changed a dataset"),
    "dataset.published": _("published a dataset"),
    "dataset.deleted": _("deleted a dataset"),
    "dataset.archived": _("archived a dataset"),
    "dataset.unarchived": _("took a dataset back into use"),
    "dataset.trashed": _("put a dataset in the trash"),
    "dataset.restored": _("restored a dataset"),
    "dataset.questions_changed": _("edited questions"),
    "dataset.questions_undone": _("undid an edit of questions"),
    "dataset.quotas_set": _("set quotas"),
    "dataset.exported": _("exported a dataset"),
    "field.created": _("added a field"),
    "field.updated": _("changed a field"),
    "field.deleted": _("removed a field"),
    "question.created": _("added a question"),
    "question.updated": _("changed a question"),
    "question.deleted": _("removed a question"),
    "metadata_property.created": _("added a metadata property"),
    "metadata_property.updated": _("changed a metadata property"),
    "metadata_property.deleted": _("removed a metadata property"),
    "vector_settings.created": _("added a kind of vector"),
    "vector_settings.updated": _("changed a kind of vector"),
    "vector_settings.deleted": _("removed a kind of vector"),
    "record.created": _("pushed records"),
    "record.updated": _("changed records"),
    "record.deleted": _("deleted records"),
    "record.completed": _("completed a record"),
    "record.flagged": _("flagged a record"),
    "record.unflagged": _("took a flag off a record"),
    "response.created": _("answered"),
    "response.updated": _("changed an answer"),
    "response.deleted": _("deleted an answer"),
    "response.returned": _("returned an answer"),
    "comment.created": _("commented"),
    "adjudication.created": _("decided a record"),
    "adjudication.updated": _("changed a decision"),
    "guideline_gap.created": _("reported a gap in the guidelines"),
    "guideline_gap.resolved": _("closed a gap in the guidelines"),
    "draft.created": _("wrote drafts"),
    "draft.edited": _("edited a draft"),
    "draft.accepted": _("accepted drafts"),
    "draft.discarded": _("discarded drafts"),
    "draft.restored": _("took a decision on drafts back"),
    "acceptance.created": _("accepted suggestions"),
    "acceptance.undone": _("took accepted suggestions back"),
    "gold_set.created": _("made a gold set"),
    "evaluation.created": _("began an evaluation"),
    "evaluation.measured": _("measured an evaluation"),
    "evaluation.deleted": _("deleted an evaluation"),
    "prompt.created": _("wrote a prompt"),
    "prompt.updated": _("changed a prompt"),
    "prompt.promoted": _("put a prompt into use"),
    "prompt.deleted": _("deleted a prompt"),
    "suggester.configured": _("set a suggester up"),
    "suggester.trained": _("trained a suggester"),
    "monitor.configured": _("set monitoring up"),
    "monitor.retrain_due": _("found that retraining is due"),
    "provider.created": _("added a model provider"),
    "provider.updated": _("changed a model provider"),
    "provider.deleted": _("deleted a model provider"),
    "budget.set": _("set a budget"),
    "webhook.created": _("added a webhook"),
    "webhook.updated": _("changed a webhook"),
    "webhook.deleted": _("deleted a webhook"),
    "webhook.disabled": _("switched off a webhook"),
    "webhook.secret_rotated": _("rotated a webhook’s secret"),
    "webhook.delivery_resent": _("sent a delivery again"),
    "job.created": _("ordered a job"),
    "job.paused": _("paused a job"),
    "job.resumed": _("resumed a job"),
    "job.retried": _("retried a job"),
    "job.cancelled": _("cancelled a job"),
    "job.done": _("finished a job"),
    "job.failed": _("failed at a job"),
    "support.began": _("began support access"),
    "support.ended": _("ended support access"),
    "review.configured": _("changed the review"),
}

# What a payload may say that is worth a line, in this order.
_TELLING: Final = (
    "name",
    "username",
    "email",
    "url",
    "slug",
    "reason",
    "as",
    "operator",
    "scope",
    "parts",
    "role",
    "number",
    "provider",
    "format",
    "repository",
    "due_at",
)
_COUNTED: Final = ("records", "drafts", "events", "rows", "done", "failed", "total")
LONGEST: Final = 120  # characters of a value


def did(kind: str) -> str:
    """``member.created`` in words; of a kind without any, its own."""
    known = DID.get(kind)
    return str(known) if known else kind.replace("_", " ").replace(".", ": ")


def group(kind: str) -> str:
    """The first word of a kind, as people say it."""
    first = kind.partition(".")[0]
    known = GROUPS.get(first)
    return str(known) if known else first.replace("_", " ").capitalize()


def told(payload: dict[str, Any]) -> list[str]:
    """What the payload says beside the changes, shortened."""
    job = JOB_NAMES.get(str(payload.get("kind")))
    texts = [str(job)] if job else []
    texts += [shortened(payload[name]) for name in _TELLING if payload.get(name)]
    for name in _COUNTED:
        value = payload.get(name)
        count = len(value) if isinstance(value, list) else value
        if isinstance(count, int) and not isinstance(count, bool) and count:
            texts.append(f"{count:,} {_noun(name)}")
    return list(dict.fromkeys(texts))


def _noun(name: str) -> str:
    return {
        "records": gettext("records"),
        "drafts": gettext("drafts"),
        "events": gettext("entries"),
        "rows": gettext("rows"),
        "done": gettext("done"),
        "failed": gettext("failed"),
        "total": gettext("in all"),
    }[name]


def changed(payload: dict[str, Any]) -> list[tuple[str, str, str]]:
    """``(field, before, after)`` of each change, shortened."""
    changes = payload.get("changes")
    if not isinstance(changes, dict):
        return []
    return [
        (name.replace("_", " "), shortened(pair[0]), shortened(pair[1]))
        for name, pair in changes.items()
        if isinstance(pair, list) and len(pair) == 2
    ]


def shortened(value: Any) -> str:
    """A value of a payload, on one line."""
    if value is None or value == "":
        return gettext("nothing")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return shortened(", ".join(map(str, value)))
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
