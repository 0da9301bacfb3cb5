"""Puts what a journal tells into the resources of a state: pure, on Pulumi's own JSON."""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.state import SECRET_SIGNATURE, SIGNATURE

_ROOT_TYPE = "pulumi:pulumi:Stack"
_ENGINE_PROVIDER = "pulumi:providers:pulumi"
_KINDS = {"Create": "creating", "Update": "updating", "Delete": "deleting"}

Resource = dict[str, Any]


def replay(entries: Iterable[Mapping[str, Any]], resources: list[Resource]) -> list[dict[str, Any]]:
    """Carry out a journal's steps on a state; returns what had begun and not ended, in the shape of pending operations."""
    registered: dict[str, Resource] = {}
    begun: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        method, _, end = str(entry["step"]).partition(" ")
        urn = str(entry["urn"])
        if method == "registered":
            registered[urn] = {"urn": urn, "custom": entry["custom"], "type": type_of(urn), **entry["fields"]}
            if not entry["custom"] and not _with_urn(resources, urn):
                resources.append(dict(registered[urn]))
        elif method == "configured":
            place = {key: entry[key] for key in ("urn", "id", "inputs")}
            adopt(resources, {**registered.get(urn, {}), **place, "custom": True, "type": type_of(urn)}, entry["id"])
        elif method == "kept":
            _keep(entry, registered, resources)
        elif end == "begun":
            begun[urn, method] = {"type": _KINDS[method], "resource": _resource(entry, registered, resources)}
        else:
            operation = begun.pop((urn, method))
            if end == "done":
                _done(method, operation["resource"], entry, resources)
    _add_root(resources)
    return list(begun.values())


def adopt(resources: list[Resource], resource: Mapping[str, Any], found: str) -> None:
    """Put an object that exists into the state, beside the one that it replaces; does nothing when it is there."""
    if any(old["urn"] == resource["urn"] and old.get("id") == found for old in resources):
        return
    adopted = {"outputs": dict(resource.get("inputs") or {}), **resource, "id": found}
    for index, old in enumerate(resources):
        if old["urn"] == resource["urn"]:
            if old.get("pendingReplacement"):  # the old one is deleted already
                resources[index] = adopted
            else:
                # The new one comes first: Pulumi wants the one that is to be deleted after the one that counts.
                resources[index : index + 1] = [adopted, {**old, "delete": True}]
            return
    resources.append(adopted)


def in_order(resources: Iterable[Resource]) -> list[Resource]:
    """The resources, each after those that it refers to, as Pulumi wants them; a reference to nothing is left out."""
    all_of_them = list(resources)
    live = {r["urn"]: r for r in reversed(all_of_them)}
    placed: dict[int, Resource] = {}

    def place(resource: Resource) -> None:
        if id(resource) in placed:
            return
        for urn in references(resource):
            if urn in live and live[urn] is not resource:
                place(live[urn])
        placed[id(resource)] = _without_dangling(resource, live)

    for resource in all_of_them:
        place(resource)
    return list(placed.values())


def references(resource: Mapping[str, Any]) -> set[str]:
    """The URNs that a resource of a state refers to."""
    by_property: Mapping[str, list[str] | None] = resource.get("propertyDependencies") or {}
    named = {urn for urns in by_property.values() for urn in urns or ()}
    provider = str(resource.get("provider") or "").rpartition("::")[0]
    others = (resource.get("parent"), resource.get("deletedWith"), provider)
    return {*named, *(resource.get("dependencies") or ()), *(str(urn) for urn in others if urn)}


def type_of(urn: str) -> str:
    """The resource's type, without its parents'."""
    return urn.split("::")[2].rpartition("$")[2]


def _resource(entry: Mapping[str, Any], registered: Mapping[str, Resource], resources: Iterable[Resource]) -> Resource:
    urn = str(entry["urn"])
    if "id" in entry:
        for resource in resources:
            if resource["urn"] == urn and resource.get("id") == entry["id"]:
                return resource
    known = registered.get(urn, {"urn": urn, "custom": True, "type": type_of(urn)})
    given = {key: entry[key] for key in ("id", "inputs", "provider") if entry.get(key)}
    return {**known, **given}


def _done(method: str, resource: Resource, entry: Mapping[str, Any], resources: list[Resource]) -> None:
    if method == "Delete":
        resources[:] = [r for r in resources if (r["urn"], r.get("id")) != (entry["urn"], entry["id"])]
    elif method == "Update":
        resource.update({key: entry[key] for key in ("inputs", "outputs")})
    else:
        outputs = {**entry["outputs"]}
        for key in resource.get("additionalSecretOutputs") or ():
            if key in outputs and not (isinstance(outputs[key], dict) and SIGNATURE in outputs[key]):
                outputs[key] = {SIGNATURE: SECRET_SIGNATURE, "plaintext": json.dumps(outputs[key])}
        adopt(resources, {**resource, "outputs": outputs}, str(entry["id"]))


def _keep(entry: Mapping[str, Any], registered: Mapping[str, Resource], resources: list[Resource]) -> None:
    """Put a resource of the engine's own into the state, with the provider that the engine makes for those."""
    urn = str(entry["urn"])
    provider = "::".join([*urn.split("::")[:2], f"{_ENGINE_PROVIDER}::default"])
    if not _with_urn(resources, provider):
        resources.append({"urn": provider, "custom": True, "id": str(uuid.uuid4()), "type": _ENGINE_PROVIDER})
    provider_id = next(str(r["id"]) for r in resources if r["urn"] == provider)
    known = next((r for r in resources if (r["urn"], r.get("id")) == (urn, entry["id"])), None)
    kept = {**registered.get(urn, {}), **{key: entry[key] for key in ("urn", "id", "inputs", "outputs")}}
    if known is None:
        resources.append({"custom": True, "type": type_of(urn), "provider": f"{provider}::{provider_id}", **kept})
    else:
        known.update(kept)


def _add_root(resources: list[Resource]) -> None:
    """The stack's own resource, the parent of all others; the engine has registered it before the program ran."""
    for urn in {str(r["parent"]) for r in resources if r.get("parent")}:
        if type_of(urn) == _ROOT_TYPE and not _with_urn(resources, urn):
            resources.insert(0, {"urn": urn, "custom": False, "type": _ROOT_TYPE})


def _with_urn(resources: Iterable[Resource], urn: str) -> bool:
    return any(resource["urn"] == urn for resource in resources)


def _without_dangling(resource: Resource, live: Mapping[str, Resource]) -> Resource:
    kept = dict(resource)
    if "dependencies" in kept:
        kept["dependencies"] = [urn for urn in kept["dependencies"] or () if urn in live]
    if "propertyDependencies" in kept:
        by_property: Mapping[str, list[str] | None] = kept["propertyDependencies"] or {}
        kept["propertyDependencies"] = {
            key: [urn for urn in urns or () if urn in live] for key, urns in by_property.items()
        }
    return kept
