"""What an installation of this product must be like, whatever else is valid Kubernetes."""

import re

import links
from render import ROOT, name, of_kind, pods

ROOMS = ("ingress", "dispatcher", "deliverer")
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
QUANTITY = re.compile(r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
# What the process needs after the drain: closing the engines (4 s), the runtime (1 s); and some air.
CLOSE_SECONDS, MARGIN_SECONDS = 5, 5


def settings():
    """Every setting's variable with its value or default, from the generated file."""
    text = (ROOT / "deploy/kubernetes/base/settings.env").read_text()
    found = dict(re.findall(r"^#?(SWITCHHOOK_[A-Z_]+)=(.*)$", text, re.MULTILINE))
    secret = re.search(r"because secret: (.*)\.$", text, re.MULTILINE).group(1).split(", ")
    return found, secret


def version():
    text = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^\[workspace\.package\]\nversion = "([^"]+)"', text, re.MULTILINE).group(1)


def measured():
    """MiB of a room under load."""
    return int(re.search(r"to (\d+) MiB for a room under load", (ROOT / "docs/capacity.md").read_text()).group(1))


def check(every):
    known, secret = settings()
    configured = {}
    for found in every:
        yield from _names(found)
        if found.get("kind") == "ConfigMap":
            configured |= found.get("data") or {}
            for variable in found.get("data") or {}:
                if variable in secret:
                    yield f"{name(found)}: {variable} is secret and belongs into a Secret"
                elif variable not in known:
                    yield f"{name(found)}: there is no setting {variable}"
        if found.get("kind") == "Secret":
            yield f"{name(found)}: no Secret may stand in a manifest"
    values = known | configured
    for found in every:
        spec, labels = pods(found)
        if spec is None:
            continue
        yield from _restricted(found, spec)
        yield from _containers(found, spec, known, secret)
        if labels.get("app.kubernetes.io/name") == "switchhook":
            room = labels.get("app.kubernetes.io/component")
            yield from _product(found, spec, room, values)
    yield from _scaling(every, int(values["SWITCHHOOK_ENGINES_PARTITIONS"]))
    yield from _namespace(every)


def _names(found):
    if not NAME.match(found.get("metadata", {}).get("name", "")):
        yield f"{name(found)}: not a DNS name"
    if found.get("kind") == "Service":
        ports = [port.get("name") for port in found["spec"]["ports"]]
        if len(set(ports)) != len(ports):
            yield f"{name(found)}: two ports have one name"
        if found["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"{name(found)}: open to more than the cluster"


def _restricted(found, spec):
    """Pod Security, profile restricted, and a little more."""
    at = name(found)
    context = spec.get("securityContext", {})
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield f"{at}: uses a namespace of the host"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{at}: no seccomp profile"
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield f"{at}: may run as root"
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"{at}: volume {volume['name']} is of a forbidden type"
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{at}: is given a token of the Kubernetes API"
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            yield f"{at}: privileges may grow"
        capabilities = own.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{at}: keeps capabilities"
        if own.get("runAsUser") == 0 or own.get("runAsNonRoot") is False:
            yield f"{at}: may run as root"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{at}: its root can be written"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{at}: takes a port of the host"


def _containers(found, spec, known, secret):
    at = name(found)
    policies = {"Job": ("OnFailure", "Never")}.get(found["kind"], (None, "Always"))
    if spec.get("restartPolicy") not in policies:
        yield f"{at}: restartPolicy {spec.get('restartPolicy')}"
    if spec.get("enableServiceLinks") is not False:
        yield f"{at}: Services become variables, which the product refuses as unknown settings"
    for container in spec["containers"]:
        image = container.get("image", "")
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            yield f"{at}: the image {image} has no version"
        if container.get("imagePullPolicy") not in ("Always", "IfNotPresent"):
            yield f"{at}: imagePullPolicy {container.get('imagePullPolicy')}"
        for side in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                amount = str(container.get("resources", {}).get(side, {}).get(resource, ""))
                if not QUANTITY.match(amount):
                    yield f"{at}: {side} of {resource}: {amount or 'none'}"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            handlers = set(container.get(probe, {})) & {"httpGet", "exec", "tcpSocket", "grpc"}
            if probe in container and len(handlers) != 1:
                yield f"{at}: {probe} has {len(handlers)} handlers"
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            if port and port not in [p.get("name") for p in container.get("ports", [])]:
                yield f"{at}: {probe} asks the port {port}, which is not there"
        names = [variable["name"] for variable in container.get("env", [])]
        for variable in container.get("env", []):
            if variable["name"] in secret and "secretKeyRef" not in variable.get("valueFrom", {}):
                yield f"{at}: {variable['name']} does not come from a Secret"
            if variable["name"].startswith("SWITCHHOOK_") and variable["name"] not in {*known, *secret}:
                yield f"{at}: there is no setting {variable['name']}"
        if len(set(names)) != len(names):
            yield f"{at}: a variable stands there twice"


def _product(found, spec, room, values):
    at, container = name(found), spec["containers"][0]
    if container.get("args") != [room] or "command" in container:
        yield f"{at}: runs {container.get('command', '')} {container.get('args')}, not {room}"
    if not container["image"].endswith(f"switchhook:{version()}"):
        yield f"{at}: the image {container['image']} is not version {version()}"
    if "switchhook-settings" not in str(container.get("envFrom")):
        yield f"{at}: does not read the settings"
    if room not in ROOMS:
        return
    for probe, path in (("startupProbe", "/livez"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        got = container.get(probe, {}).get("httpGet", {})
        if (got.get("path"), got.get("port")) != (path, "admin"):
            yield f"{at}: {probe} must ask {path} of the port admin"
    for port, setting in (("http", "INGRESS_LISTEN"), ("admin", "ADMIN_LISTEN")):
        there = [p["containerPort"] for p in container.get("ports", []) if p["name"] == port]
        wanted = [int(values[f"SWITCHHOOK_{setting}"].rpartition(":")[2])] if port == "admin" or room == "ingress" else []
        if there != wanted:
            yield f"{at}: port {port} is {there}, the settings say {wanted}"
    own = found["spec"]["selector"]["matchLabels"]
    spread = {c["topologyKey"] for c in spec.get("topologySpreadConstraints", []) if c["labelSelector"]["matchLabels"] == own}
    if spread != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
        yield f"{at}: its Pods are not spread over nodes and zones"
    asked = container["resources"]["requests"]["memory"]
    if not asked.endswith("Mi") or int(asked.removesuffix("Mi")) < measured():
        yield f"{at}: asks for {asked} of memory, docs/capacity.md measured {measured()} MiB"
    noted = found["spec"]["template"]["metadata"].get("annotations", {})
    if "prometheus.io/scrape" in noted:
        admin = values["SWITCHHOOK_ADMIN_LISTEN"].rpartition(":")[2]
        wanted = {"scrape": "true", "port": admin, "path": "/metrics"}
        if {key: noted.get(f"prometheus.io/{key}") for key in wanted} != wanted:
            yield f"{at}: the annotations lead whoever scrapes elsewhere than to {admin}/metrics"
    hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if room == "ingress" and not hook:
        yield f"{at}: no preStop: it would be stopped while it is still sent requests"
    drain = seconds(values["SWITCHHOOK_LIFECYCLE_DRAIN"])
    if seconds(values["SWITCHHOOK_LIFECYCLE_LINGER"]) >= drain:
        yield f"{at}: lifecycle.linger leaves nothing of lifecycle.drain"
    needed = hook + drain + CLOSE_SECONDS + MARGIN_SECONDS
    if spec.get("terminationGracePeriodSeconds", 30) < needed:
        yield f"{at}: a grace of {spec.get('terminationGracePeriodSeconds', 30)} s, its end needs {needed:g} s"
    spread = {s["topologyKey"] for s in spec.get("topologySpreadConstraints", [])}
    if not {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} <= spread:
        yield f"{at}: is not spread over nodes and zones"
    rolling = found["spec"].get("strategy", {}).get("rollingUpdate", {})
    if rolling.get("maxUnavailable") != 0:
        yield f"{at}: an update takes Pods away before new ones are ready"


def seconds(text):
    number, unit = re.match(r"^([0-9]+)(ms|s|min|h)$", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "min": 60, "h": 3600}[unit]


def _scaling(every, partitions):
    scaled = {}
    for found in of_kind(every, "HorizontalPodAutoscaler", "ScaledObject"):
        spec, target = found["spec"], found["spec"]["scaleTargetRef"]["name"]
        low = spec.get("minReplicas", spec.get("minReplicaCount", 0))
        high = spec.get("maxReplicas", spec.get("maxReplicaCount", 0))
        if not 2 <= low < high:
            yield f"{name(found)}: from {low} to {high}"
        if high > partitions and not target.endswith("ingress"):
            yield f"{name(found)}: {high} processes share {partitions} partitions"
        if target in scaled:
            yield f"{target}: two autoscalers, {scaled[target]} and {name(found)}"
        scaled[target] = name(found)
    budgets = of_kind(every, "PodDisruptionBudget")
    for found in of_kind(every, "Deployment"):
        there = found["metadata"]["name"]
        if there in scaled and "replicas" in found["spec"]:
            yield f"{there}: both the manifest and {scaled[there]} set the number of replicas"
        _, labels = pods(found)
        mine = [b for b in budgets if links.matches(b["spec"]["selector"], labels)]
        if len(mine) != 1:
            yield f"{there}: {len(mine)} disruption budgets"
        for budget in mine:
            if budget["spec"].get("maxUnavailable") != 1:
                yield f"{name(budget)}: must let one Pod go at a time"


def _namespace(every):
    spaces = of_kind(every, "Namespace")
    if [s["metadata"]["name"] for s in spaces] != ["switchhook"]:
        yield f"namespaces: {[name(s) for s in spaces]}"
    for space in spaces:
        if space["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name(space)}: Pod Security is not restricted"
    for found in every:
        if found["kind"] != "Namespace" and found["metadata"].get("namespace") != "switchhook":
            yield f"{name(found)}: outside the namespace"
    for account in of_kind(every, "ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{name(account)}: gives its token away"
