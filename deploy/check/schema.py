"""Whether each object is one that Kubernetes, or the operator that it is for, knows; no unknown field passes."""

import json

import kubernetes_validate
from cloudcoil.models.cert_manager import v1 as cert_manager
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

from render import name

VERSIONS = ("1.37", "1.36", "1.35")
MODELS = {
    ("cert-manager.io/v1", "Certificate"): cert_manager.Certificate,
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): keda.TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PodMonitor"): prometheus.PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus.PrometheusRule,
}
# No registry of Python packages has a schema of these. The paths that we use are listed by hand and were compared once, by
# reading, with the types that the operators publish.
REVIEWED = {
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"): {
        "spec.replicas": int,
        "spec.persistence.storage": str,
        "spec.resources.requests.cpu": str,
        "spec.resources.requests.memory": str,
        "spec.resources.limits.cpu": str,
        "spec.resources.limits.memory": str,
        "spec.tls.secretName": str,
        "spec.tls.disableNonTLSListeners": bool,
        "spec.rabbitmq.additionalConfig": str,
    },
    ("gateway.networking.k8s.io/v1", "Gateway"): {
        "spec.gatewayClassName": str,
        "spec.listeners.name": str,
        "spec.listeners.protocol": str,
        "spec.listeners.port": int,
        "spec.listeners.hostname": str,
        "spec.listeners.tls.mode": str,
        "spec.listeners.tls.certificateRefs.kind": str,
        "spec.listeners.tls.certificateRefs.name": str,
        "spec.listeners.allowedRoutes.namespaces.from": str,
    },
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {
        "spec.parentRefs.name": str,
        "spec.hostnames": str,
        "spec.rules.matches.path.type": str,
        "spec.rules.matches.path.value": str,
        "spec.rules.timeouts.request": str,
        "spec.rules.backendRefs.name": str,
        "spec.rules.backendRefs.port": int,
    },
}


SEEN = {}


def check(every):
    """Overlays share most of their objects: one that was judged is not judged again."""
    for found in every:
        key = json.dumps(found, sort_keys=True)
        if key not in SEEN:
            SEEN[key] = list(_judge(found))
        yield from SEEN[key]


def _judge(found):
    kind = (found.get("apiVersion"), found.get("kind"))
    if kind in MODELS:
        yield from _model(found, MODELS[kind])
    elif kind in REVIEWED:
        yield from _reviewed(found, REVIEWED[kind])
    else:
        yield from _kubernetes(found)


def _kubernetes(found):
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(found, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{name(found)}: Kubernetes {version} knows no {found.get('kind')} of {found.get('apiVersion')}"
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(step) for step in error.path)
            yield f"{name(found)}: Kubernetes {version}: {path}: {error.message[:200]}"


def _model(found, model):
    try:
        read = model.model_validate(found)
    except Exception as error:  # noqa: BLE001 - the model's own error type is not public
        yield f"{name(found)}: {' '.join(str(error).split())[:300]}"
        return
    known = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    for path in _lost(found, known):
        yield f"{name(found)}: no such field: {path}"


def _lost(given, known, path=""):
    """Fields that the model read over."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            here = f"{path}.{key}".lstrip(".")
            if key not in known:
                yield here
            else:
                yield from _lost(value, known[key], here)
    elif isinstance(given, list) and isinstance(known, list):
        for one, other in zip(given, known):
            yield from _lost(one, other, path)


def _reviewed(found, fields):
    for path, value in _leaves(found.get("spec"), "spec"):
        if path not in fields:
            yield f"{name(found)}: {path} was not reviewed"
        elif not isinstance(value, fields[path]):
            yield f"{name(found)}: {path} must be {fields[path].__name__}"


def _leaves(value, path):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value
