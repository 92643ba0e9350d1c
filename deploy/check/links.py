"""Whether what an object names is there: Secrets and their keys, ConfigMaps, accounts, Services, Pods, ports."""

import subprocess

from render import ROOT, name, of_kind, pods

# Secrets that are made outside, and their keys. `make-secrets` makes the first three.
GIVEN = {
    "switchhook-keys": {"envelope", "vault"},
    "switchhook-engines": {"amqp", "postgres"},
    "switchhook-dev-engines": {"rabbitmq-password", "postgres-password"},
    "switchhook-keda": {"rabbitmq-management", "rabbitmq-tls", "postgres"},
    "switchhook-tls": {"tls.crt", "tls.key"},
}


def check(every):
    secrets = dict(GIVEN)
    for found in of_kind(every, "Certificate"):
        secrets[found["spec"].get("secretName")] = {"ca.crt", "tls.crt", "tls.key"}
    maps = {m["metadata"]["name"]: set(m.get("data") or {}) for m in of_kind(every, "ConfigMap")}
    accounts = {a["metadata"]["name"] for a in of_kind(every, "ServiceAccount")}
    for found in every:
        spec, _ = pods(found)
        if spec is None:
            continue
        if spec.get("serviceAccountName") not in accounts:
            yield f"{name(found)}: no ServiceAccount {spec.get('serviceAccountName')}"
        yield from _references(found, spec, secrets, maps)
    yield from _selectors(every)
    yield from _targets(every, secrets)


def _references(found, spec, secrets, maps):
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        for source in container.get("envFrom", []):
            wanted = source.get("configMapRef", {}).get("name")
            if "configMapRef" in source and wanted not in maps:
                yield f"{name(found)}: no ConfigMap {wanted}"
        for variable in container.get("env", []):
            origin = variable.get("valueFrom", {})
            for kind, there in (("secretKeyRef", secrets), ("configMapKeyRef", maps)):
                if kind in origin:
                    wanted = origin[kind]
                    if wanted["key"] not in there.get(wanted["name"], ()):
                        yield f"{name(found)}: {variable['name']}: no key {wanted['key']} in {wanted['name']}"
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        volumes |= {c["metadata"]["name"] for c in found["spec"].get("volumeClaimTemplates", [])}
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield f"{name(found)}: {mount['mountPath']}: no volume {mount['name']}"
    for volume in spec.get("volumes", []):
        wanted = volume.get("secret", {}).get("secretName")
        keys = {item["key"] for item in volume.get("secret", {}).get("items", [])}
        if "secret" in volume and not keys <= secrets.get(wanted, set()):
            yield f"{name(found)}: volume {volume['name']}: {sorted(keys)} are not in {wanted}"
        wanted = volume.get("configMap", {}).get("name")
        if "configMap" in volume and wanted not in maps:
            yield f"{name(found)}: no ConfigMap {wanted}"


def matches(selector, labels):
    """As Kubernetes judges a label selector; an empty one selects everything."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or []:
        there, values = labels.get(rule["key"]), rule.get("values") or []
        fits = {
            "In": there in values,
            "NotIn": there not in values,
            "Exists": there is not None,
            "DoesNotExist": there is None,
        }[rule["operator"]]
        if not fits:
            return False
    return True


def _selectors(every):
    groups = [(found, *pods(found)) for found in every if pods(found)[0] is not None]
    for found, spec, labels in groups:
        selector = found["spec"].get("selector")
        if selector is not None and not matches(selector, labels):
            yield f"{name(found)}: its selector does not match its own Pods"
        for spread in spec.get("topologySpreadConstraints", []):
            if not matches(spread.get("labelSelector", {}), labels):
                yield f"{name(found)}: a topology spread counts other Pods"
    operated = [{"app.kubernetes.io/name": c["metadata"]["name"]} for c in of_kind(every, "RabbitmqCluster")]
    every_label = [labels for _, _, labels in groups] + operated
    for found in of_kind(every, "PodDisruptionBudget", "PodMonitor", "NetworkPolicy"):
        selector = found["spec"].get("selector", found["spec"].get("podSelector"))
        if not any(matches(selector, labels) for labels in every_label):
            yield f"{name(found)}: selects no Pod"
    for found in of_kind(every, "Service"):
        chosen = [s for _, s, labels in groups if matches({"matchLabels": found["spec"].get("selector")}, labels)]
        ports = {p for s in chosen for c in s["containers"] for port in c.get("ports", []) for p in port.values()}
        for port in found["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in ports:
                yield f"{name(found)}: no Pod has the port {port.get('targetPort', port['port'])}"


def _targets(every, secrets):
    deployments = {d["metadata"]["name"] for d in of_kind(every, "Deployment")}
    services = {s["metadata"]["name"]: s["spec"]["ports"] for s in of_kind(every, "Service")}
    authentications = {t["metadata"]["name"] for t in of_kind(every, "TriggerAuthentication")}
    for found in of_kind(every, "HorizontalPodAutoscaler", "ScaledObject"):
        target = found["spec"]["scaleTargetRef"]["name"]
        if target not in deployments:
            yield f"{name(found)}: no Deployment {target}"
        for trigger in found["spec"].get("triggers", []):
            wanted = trigger.get("authenticationRef", {}).get("name")
            if wanted and wanted not in authentications:
                yield f"{name(found)}: no TriggerAuthentication {wanted}"
    for found in of_kind(every, "TriggerAuthentication"):
        for wanted in found["spec"].get("secretTargetRef", []):
            if wanted["key"] not in secrets.get(wanted["name"], ()):
                yield f"{name(found)}: no key {wanted['key']} in {wanted['name']}"
    for found in of_kind(every, "Ingress"):
        for rule in found["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                yield from _backend(found, path["backend"]["service"], services)
        yield from (f"{name(found)}: no Secret {t['secretName']}" for t in found["spec"].get("tls", []) if t["secretName"] not in secrets)
    for found in of_kind(every, "HTTPRoute"):
        gateways = {g["metadata"]["name"] for g in of_kind(every, "Gateway")}
        for parent in found["spec"]["parentRefs"]:
            if parent["name"] not in gateways:
                yield f"{name(found)}: no Gateway {parent['name']}"
        for rule in found["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                ports = [port["port"] for port in services.get(backend["name"], [])]
                if backend["port"] not in ports:
                    yield f"{name(found)}: no Service {backend['name']}:{backend['port']}"
    for found in of_kind(every, "RabbitmqCluster"):
        if found["spec"]["tls"]["secretName"] not in secrets:
            yield f"{name(found)}: no Secret {found['spec']['tls']['secretName']}"


def _backend(found, backend, services):
    wanted = backend["port"].get("name", backend["port"].get("number"))
    ports = [value for port in services.get(backend["name"], []) for value in (port.get("name"), port["port"])]
    if wanted not in ports:
        yield f"{name(found)}: no Service {backend['name']}:{wanted}"


def given_by_script():
    """Secrets that `make-secrets` prints against those that are expected of it."""
    import yaml

    made = subprocess.run([ROOT / "deploy/make-secrets", "dev"], capture_output=True, text=True, check=True)
    for found in yaml.safe_load_all(made.stdout):
        there, keys = found["metadata"]["name"], set(found["stringData"])
        if GIVEN.get(there) != keys:
            yield f"make-secrets: {there} has {sorted(keys)}"
