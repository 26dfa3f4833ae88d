"""Everything that takes a secret, done once; no event names one, in a key or in a value."""

import re
from typing import Any

import pytest

from apps.events.models import Event
from apps.llms.services import create_provider, update_provider
from apps.organizations.models import Organization
from apps.organizations.services import create_api_key, revoke_api_key, set_password, update_member
from apps.webhooks.services import create_webhook, rotate_secret, update_webhook
from tests import factories

pytestmark = pytest.mark.django_db

SECRETS = ("sk-first-secret-of-all", "sk-second-secret", "hunter2-hunter2", "T000/B000/XXXX")
NAMES = re.compile(r"(?<!has_)(password|secret|token|digest|api_key|sealed)(?!s?_?hint)")
# Names of what is counted or said to be there, not the thing itself.
SAID = {"has_key"}


def walk(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for name in value for pair in walk(value[name], name)]
    if isinstance(value, list):
        return [pair for one in value for pair in walk(one, path)]
    return [(path, value)]


def test_no_secret_stands_in_an_event(organization: Organization) -> None:
    olga = factories.make_member(role="owner", username="olga", password=SECRETS[2])
    row, key = create_api_key(member=olga)
    revoke_api_key(key_id=row.id)
    set_password(member=olga, password=SECRETS[2] + "!")
    update_member(member=olga, changes={"password": SECRETS[2], "first_name": "Olga"})
    address = "https://93.184.216.34/v1?key=" + SECRETS[1]
    provider = create_provider(name="p", base_url=address, api_key=SECRETS[0])
    update_provider(provider=provider, changes={"api_key": SECRETS[1], "rpm": 5})
    update_provider(provider=provider, changes={"base_url": "https://93.184.216.35/" + SECRETS[3]})
    webhook = create_webhook(url="https://93.184.216.34/" + SECRETS[3], events=["record.created"])
    update_webhook(webhook=webhook, changes={"url": "https://93.184.216.35/" + SECRETS[3]})
    rotate_secret(webhook=webhook)
    webhook.refresh_from_db()
    payloads = [event.payload for event in Event.objects.all()]
    assert len(payloads) > 8
    everything = str(payloads)
    for secret in (*SECRETS, key, webhook.secret):
        assert secret not in everything
    for name, value in (pair for payload in payloads for pair in walk(payload)):
        named = NAMES.search(name) and name not in SAID
        assert not named or value in {None, "***"}, f"{name}: {value!r}"
