"""Merges the services' OpenAPI documents into one. Pure.

Only what the gateway's routes reach is in it, with its own methods. Components of the same name that differ
are told apart by their service's name; references follow.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.route import RouteTable

Document = dict[str, Any]
SHARED = "securitySchemes"  # the same for all services, so the first one's serves all
# What the gateway may answer in a service's place, to any request (the first row) or to one that it forwards.
OWN_PROBLEMS = ("400", "414", "429", "431")
FORWARDING_PROBLEMS = (*OWN_PROBLEMS, "413", "502", "503", "504")
PROBLEM: Document = {
    "description": "The gateway refused the request or could not pass it on; `detail` says why.",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "title": "Problem (RFC 9457)",
                "required": ["type", "title", "status", "detail", "instance", "request_id"],
                "properties": {
                    **{n: {"type": "string"} for n in ("type", "title", "detail", "instance", "request_id")},
                    "status": {"type": "integer"},
                },
            }
        }
    },
}


def merge_documents(
    own: Document, parts: Mapping[str, Document], table: RouteTable, *, missing: Sequence[str] = ()
) -> Document:
    """One document from the gateway's own and the services'."""
    merged = copy.deepcopy(own)
    merged["servers"] = [{"url": "/"}]
    if missing:
        note = f"\n\n**Not described right now, since they can't be reached:** {', '.join(missing)}."
        merged["info"]["description"] = merged["info"].get("description", "") + note
    paths: dict[str, Any] = merged.setdefault("paths", {})
    components: dict[str, dict[str, Any]] = merged.setdefault("components", {})
    components.setdefault("responses", {})["GatewayProblem"] = PROBLEM
    for item in paths.values():
        _add_problems(item, OWN_PROBLEMS)
    for service, part in parts.items():
        document = copy.deepcopy(part)
        renamed: dict[str, str] = {}
        for kind, entries in document.get("components", {}).items():
            target = components.setdefault(kind, {})
            for name, entry in entries.items():
                if kind != SHARED and name in target and target[name] != entry:
                    unique = f"{_camel(service)}{name}"
                    renamed[f"#/components/{kind}/{name}"] = f"#/components/{kind}/{unique}"
                    target[unique] = entry
                else:
                    target.setdefault(name, entry)
        _follow(document, renamed)
        for path, item in document.get("paths", {}).items():
            route = table.match(path.encode())
            if route is None or route.upstream != service:
                continue
            paths[path] = {key: value for key, value in item.items() if _reaches(route.scopes, key)}
            _add_problems(paths[path], (*FORWARDING_PROBLEMS, "401") if route.needs_token else FORWARDING_PROBLEMS)
    tags = {tag["name"]: tag for document in (own, *parts.values()) for tag in document.get("tags", [])}
    if tags:
        merged["tags"] = list(tags.values())
    return merged


def _add_problems(item: Document, statuses: Sequence[str]) -> None:
    """Add these answers to every operation of a path; what it says of them itself stays."""
    for operation in item.values():
        if not isinstance(operation, dict) or "responses" not in operation:
            continue
        answers: Document = operation["responses"]
        for status in (*statuses, "401", "403") if operation.get("security") else statuses:
            answers.setdefault(status, {"$ref": "#/components/responses/GatewayProblem"})
        if "application/json" in answers.get("422", {}).get("content", {}):  # FastAPI's own form, which nothing has
            answers["422"] = {"$ref": "#/components/responses/GatewayProblem"}


def _reaches(methods: Mapping[str, Any], key: str) -> bool:
    return key.upper() in methods or key in ("parameters", "summary", "description")


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _follow(node: Any, renamed: Mapping[str, str]) -> None:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference in renamed:
            node["$ref"] = renamed[reference]
        for value in node.values():
            _follow(value, renamed)
    elif isinstance(node, list):
        for value in node:
            _follow(value, renamed)
