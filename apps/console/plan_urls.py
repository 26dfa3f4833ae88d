"""Plan, invoices and usage."""

from django.urls import path

from apps.console.views import plans, usage

INVOICE = "settings/plan/invoices/<uuid:invoice_id>/"
urlpatterns = [
    path("settings/plan/", plans.plan, name="plan"),
    path("settings/plan/change/", plans.change, name="plan_change"),
    path(INVOICE, plans.invoice, name="invoice"),
    path(f"{INVOICE}file/", plans.invoice_file, name="invoice_file"),
    path(f"{INVOICE}pay/", plans.pay, name="invoice_pay"),
    path("settings/usage/", usage.usage, name="usage"),
    path("settings/usage/csv/", usage.table, name="usage_csv"),
    path("billing/stripe/", plans.receive_from_stripe, name="stripe"),
]
