"""Members, workspaces, invitations, keys and webhooks."""

from django.urls import path

from apps.console.views import invitations, keys, members, person, webhooks, workspaces

MEMBER = "settings/members/<uuid:membership_id>/"
WORKSPACE = "settings/workspaces/<uuid:workspace_id>/"
INVITATION = "settings/invitations/<uuid:invitation_id>/"
KEY = "settings/keys/<uuid:api_key_id>/"
WEBHOOK = "settings/webhooks/<uuid:webhook_id>/"
urlpatterns = [
    path("settings/members/", members.members, name="members"),
    path("settings/members/invite/", members.invite, name="invite"),
    path(MEMBER, person.person, name="member"),
    path(f"{MEMBER}role/", members.set_role, name="member_role"),
    path(f"{MEMBER}places/", person.set_places, name="member_places"),
    path(f"{MEMBER}quota/", person.set_quota, name="member_quota"),
    path(f"{MEMBER}work/", person.hand_over_work, name="member_work"),
    path(f"{MEMBER}deactivate/", person.deactivate, name="member_deactivate"),
    path(f"{INVITATION}again/", members.send_again, name="invitation_again"),
    path(f"{INVITATION}revoke/", members.revoke, name="invitation_revoke"),
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("settings/workspaces/", workspaces.workspaces, name="workspaces"),
    path(WORKSPACE, workspaces.workspace, name="workspace"),
    path(f"{WORKSPACE}people/", workspaces.set_place, name="workspace_people"),
    path(f"{WORKSPACE}budget/", workspaces.set_workspace_budget, name="workspace_budget"),
    path(f"{WORKSPACE}name/", workspaces.rename, name="workspace_rename"),
    path(f"{WORKSPACE}delete/", workspaces.delete, name="workspace_delete"),
    path("settings/keys/", keys.keys, name="keys"),
    path(f"{KEY}rotate/", keys.rotate, name="key_rotate"),
    path(f"{KEY}revoke/", keys.revoke, name="key_revoke"),
    path("settings/webhooks/", webhooks.webhooks, name="webhooks"),
    path("settings/webhooks/new/", webhooks.new, name="webhook_new"),
    path(WEBHOOK, webhooks.webhook, name="webhook"),
    path(f"{WEBHOOK}secret/", webhooks.rotate, name="webhook_rotate"),
    path(f"{WEBHOOK}switch/", webhooks.switch, name="webhook_switch"),
    path(f"{WEBHOOK}test/", webhooks.test, name="webhook_test"),
    path(f"{WEBHOOK}delete/", webhooks.delete, name="webhook_delete"),
    path(
        f"{WEBHOOK}deliveries/<uuid:webhook_delivery_id>/resend/",
        webhooks.send_again,
        name="webhook_resend",
    ),
]
