"""The API's description: complete, valid, and a page that needs nothing else."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import schemathesis
from django.test import Client

from apps.api.openapi.document import document, routes
from apps.api.openapi.operations import SECTIONS
from tests.api.conftest import Api

DESCRIBED = {name for rows in SECTIONS.values() for name in rows}


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(references, value))
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*map(references, value.values()))
    return set()


def test_every_operation_is_described_and_none_is_made_up() -> None:
    assert {route.name for route in routes()} == DESCRIBED


def test_the_document_is_valid_openapi() -> None:
    assert document()["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document()).validate()


def test_references_lead_somewhere_and_no_shape_is_unused() -> None:
    found = {reference.split("/")[-1] for reference in references(document())}
    components = document()["components"]
    kinds = ("schemas", "responses", "parameters", "headers")
    shared = [components[kind] for kind in kinds]
    assert found == set().union(*shared)


def test_operations_have_ids_of_their_own() -> None:
    ids = Counter(o["operationId"] for path in document()["paths"].values() for o in path.values())
    assert set(ids.values()) == {1}


def test_bodies_and_queries_are_those_that_the_views_read() -> None:
    paths = document()["paths"]
    body = paths["/datasets/{dataset_id}/records/bulk"]["put"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/BulkUpsertBody"}
    query = paths["/datasets/{dataset_id}/records"]["get"]["parameters"]
    names = [given["name"] for given in query]
    assert names == ["dataset_id", "after", "offset", "limit", "include"]
    items = document()["components"]["schemas"]["BulkUpsertBody"]["properties"]["items"]
    assert (items["minItems"], items["maxItems"]) == (1, 500)
    assert paths["/version"]["get"]["security"] == []
    assert "401" in paths["/me"]["get"]["responses"]


def test_entity_tags_are_described_where_they_are_heeded() -> None:
    paths = document()["paths"]
    known = {path for path in paths if "304" in paths[path].get("get", {}).get("responses", ())}
    parts = ("field", "question", "metadata_property", "vector_settings")
    names = {re.findall(r"{(\w+)_id}$", path)[0] for path in known}
    assert names == {"dataset", *parts}
    for path in known:
        answer = paths[path]["get"]["responses"]["200"]
        assert answer["headers"] == {"ETag": {"$ref": "#/components/headers/ETag"}}
        for method in ("patch", "delete"):
            assert "412" in paths[path][method]["responses"]
            heeded = {"$ref": "#/components/parameters/IfMatch"}
            assert heeded in paths[path][method]["parameters"]


def test_anyone_may_read_it(db: None) -> None:
    answer = Api().get("/schema")
    assert (answer.status_code, answer.json()) == (200, document())
    assert answer.headers["Content-Type"] == "application/json"


class Reader(HTMLParser):
    """Collects the ids, the links, and whatever a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        address = given.get("href") or given.get("src")
        if address:
            (self.links if tag == "a" else self.loaded).add(address)


def test_the_page_names_every_operation_and_its_links_lead_somewhere(db: None) -> None:
    answer = Api().get("/docs")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    text = answer.content.decode()
    page = Reader(text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    for path, methods in document()["paths"].items():
        assert path in text
        assert {operation["operationId"] for operation in methods.values()} <= set(page.ids)


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(db: None) -> None:
    answer = Api().get("/docs")
    page = Reader(answer.content.decode())
    assert all(address.startswith("/static/") for address in page.loaded)
    assert "script" not in page.tags
    assert not re.search(rb"\s(style|on\w+)=", answer.content)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_short_addresses_lead_to_the_page(db: None) -> None:
    for address in ("/api", "/docs"):
        answer = Client().get(address)
        assert (answer.status_code, answer["Location"]) == (302, "/api/v1/docs")
    assert Api().get("").status_code == 404  # the API itself never redirects


def test_other_methods_are_refused_in_json(db: None) -> None:
    assert Api().post("/docs").json() == {"detail": "Method Not Allowed"}
