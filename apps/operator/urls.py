"""The operator's pages."""

from django.urls import path

from apps.operator.views import entry, invoices, organizations, upkeep, users, work

app_name = "operator"

ORGANIZATION = "organizations/<uuid:organization_id>/"
ACCOUNT = "users/<uuid:account_id>/"
urlpatterns = [
    path("", entry.home, name="home"),
    path("sign-in/", entry.sign_in, name="sign_in"),
    path("leave/", entry.leave, name="leave"),
    path("organizations/", organizations.organizations, name="organizations"),
    path("deleted/", organizations.deleted, name="deleted"),
    path("deleted/<uuid:certificate_id>/", organizations.certificate, name="certificate"),
    path(ORGANIZATION, organizations.organization, name="organization"),
    path(f"{ORGANIZATION}suspend/", organizations.suspend, name="suspend"),
    path(f"{ORGANIZATION}unsuspend/", organizations.unsuspend, name="unsuspend"),
    path(f"{ORGANIZATION}limit/", organizations.set_limit, name="limit"),
    path(f"{ORGANIZATION}plan/", organizations.set_plan, name="plan"),
    path(f"{ORGANIZATION}support/", organizations.begin_support, name="support"),
    path("support/end/", organizations.end_support, name="support_end"),
    path("jobs/", work.jobs, name="jobs"),
    path(f"{ORGANIZATION}jobs/<uuid:job_id>/<str:step>/", work.steer, name="job_step"),
    path("deliveries/", work.deliveries, name="deliveries"),
    path(
        f"{ORGANIZATION}deliveries/<uuid:webhook_delivery_id>/",
        work.send_again,
        name="send_again",
    ),
    path("invoices/", invoices.invoices, name="invoices"),
    path(f"{ORGANIZATION}invoices/<uuid:invoice_id>/", invoices.settle, name="settle"),
    path("spend/", upkeep.spend, name="spend"),
    path("backups/", upkeep.backups, name="backups"),
    path("announcements/", upkeep.announcements, name="announcements"),
    path(
        "announcements/<uuid:announcement_id>/end/",
        upkeep.end_announcement,
        name="end_announcement",
    ),
    path("users/", users.users, name="users"),
    path(f"{ACCOUNT}lock/", users.lock, name="lock"),
    path(f"{ACCOUNT}unlock/", users.unlock, name="unlock"),
    path(f"{ACCOUNT}reset-factor/", users.reset_factor, name="reset_factor"),
]
