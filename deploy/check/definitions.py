"""CustomResourceDefinitions of the operators' kinds that the overlays use, for a server that has no operator.

Those of KEDA, cert-manager and the Prometheus operator are made of the models that schema.py uses, which were generated from
the operators' own. Of RabbitmqCluster, Gateway and HTTPRoute there is only the reviewed list of fields; theirs
are made of it, and say no more than it does. A folder of the operators' own definitions takes the place of either."""

import pathlib

import yaml

from schema import MODELS, REVIEWED

PRESERVED = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# What a structural schema may have of what a model says.
KEPT = ("type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required")
NAMES = {int: "integer", bool: "boolean", str: "string"}
# Paths of REVIEWED that are lists; the reviewed list has only the names.
LISTS = {
    "Gateway": ("spec.listeners", "spec.listeners.tls.certificateRefs"),
    "HTTPRoute": ("spec.parentRefs", "spec.hostnames", "spec.rules", "spec.rules.matches", "spec.rules.backendRefs"),
}


def made():
    """{(apiVersion, kind): definition}, and the kinds of which there is only the reviewed list."""
    models = {key: definition(key, of_model(model)) for key, model in MODELS.items()}
    reviewed = {key: definition(key, of_fields(key[1], fields)) for key, fields in REVIEWED.items()}
    return models | reviewed, {kind for _, kind in reviewed}


def given(folder):
    """The operators' own, of the files of a folder."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.y*ml")):
        for one in yaml.safe_load_all(path.read_text()):
            if one and one["kind"] == "CustomResourceDefinition":
                for version in one["spec"]["versions"]:
                    found[f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"]] = one
    return found


def definition(key, schema):
    group, version = key[0].split("/")
    plural = key[1].lower() + "s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # Without it a server refuses a definition in a group of Kubernetes' own.
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a dry run"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": key[1], "plural": plural, "singular": key[1].lower(), "listKind": f"{key[1]}List"},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def of_model(model):
    whole = model.model_json_schema(by_alias=True)
    read = _structural(whole, whole.get("$defs", {}), ())
    # The server knows these three itself, and lets a definition say no more of them.
    read["properties"].update(apiVersion={"type": "string"}, kind={"type": "string"}, metadata={"type": "object"})
    return read


def _structural(schema, shared, within):
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return PRESERVED if name in within else _structural(shared[name], shared, (*within, name))
    if "anyOf" in schema:
        one_of = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if len(one_of) == 1:
            return _structural(one_of[0], shared, within)
        if {one.get("type") for one in one_of} == {"integer", "string"}:
            return {"x-kubernetes-int-or-string": True}
        return {"x-kubernetes-preserve-unknown-fields": True}
    if "type" not in schema:
        return {"x-kubernetes-preserve-unknown-fields": True}
    kept = {key: schema[key] for key in KEPT if key in schema}
    if "properties" in schema:
        kept["properties"] = {key: _structural(one, shared, within) for key, one in schema["properties"].items()}
    elif isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = _structural(schema["additionalProperties"], shared, within)
    elif schema["type"] == "object":
        return PRESERVED
    if "items" in schema:
        kept["items"] = _structural(schema["items"], shared, within)
    return kept


def of_fields(kind, fields):
    whole = {"type": "object", "properties": {"metadata": {"type": "object"}}}
    for path, kept in fields.items():
        here, steps = whole, path.split(".")
        for depth, step in enumerate(steps, 1):
            leaf = {"type": NAMES[kept]} if depth == len(steps) else {"type": "object", "properties": {}}
            if ".".join(steps[:depth]) in LISTS.get(kind, ()):
                leaf = {"type": "array", "items": leaf}
            there = here["properties"].setdefault(step, leaf)
            here = there.get("items", there)
    return whole
