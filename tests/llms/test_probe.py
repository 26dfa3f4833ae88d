"""Trying a provider out holds up nobody else."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse

from apps.core.tenancy import enter
from apps.llms import budgets
from apps.llms.budgets import Amount, Payer, set_budget
from apps.llms.models import Budget, BudgetScope, LedgerEntry, LLMAttempt, Provider
from apps.organizations.models import Membership
from apps.organizations.services import create_api_key
from tests.api.conftest import Api
from tests.factories import make_member
from tests.llm_server.controls import LlmServer
from tests.llms.handed_in import make_acme

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("fresh_dialects"),
]


def by_api(owner: Membership, provider: Provider) -> Callable[[], Any]:
    client = Api(create_api_key(member=owner)[1])
    return lambda: client.post(f"/llm/providers/{provider.id}/test", {})


def by_page(owner: Membership, provider: Provider) -> Callable[[], Any]:
    client = Client()
    client.force_login(owner.user, backend="apps.organizations.backends.MemberBackend")
    return lambda: client.post(reverse("console:provider_test", args=[provider.id]))


@pytest.mark.parametrize("ways", [by_api, by_page])
def test_others_spend_while_a_provider_is_tried_out(
    llm_server: LlmServer, ways: Callable[[Membership, Provider], Callable[[], Any]]
) -> None:
    acme = make_acme(llm_server)
    llm_server.configure(latency_ms=3_000)
    with enter(acme):
        set_budget(scope=BudgetScope.ORGANIZATION, subject_id=acme, usd=Decimal(900_000))
        click = ways(make_member(role="owner"), Provider.objects.get())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_closing, click)
        while not (llm_server.ledger()["in_flight"] or answer.done()):
            time.sleep(0.02)
        with enter(acme):
            assert LLMAttempt.objects.count() == 1, "a worker that dies now leaves a trace"
            assert budgets.reserve(Payer(None, None), Amount(Decimal(1), 10))
        assert llm_server.ledger()["in_flight"] == 1, "nobody waited for the answer"
        assert answer.result(timeout=20).status_code == 200
    with enter(acme):
        assert not LLMAttempt.objects.exists()
        assert LedgerEntry.objects.get().usd == Budget.objects.get().spent_usd > 0
        assert Budget.objects.get().reserved_usd == 1


def _closing(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connections.close_all()
