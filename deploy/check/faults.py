"""Faults put into good manifests on purpose, each of which must be found by the check that is named for it.

A check that finds nothing in them would find nothing in earnest."""

import copy


def of(every, kind, there):
    return next(o for o in every if o["kind"] == kind and o["metadata"]["name"].startswith(there))


def pod(every, room="switchhook-dispatcher", kind="Deployment"):
    return of(every, kind, room)["spec"]["template"]["spec"]


def container(every, room="switchhook-dispatcher", kind="Deployment"):
    return pod(every, room, kind)["containers"][0]


def drop(every, kind, there):
    every.remove(of(every, kind, there))


def without(value, key):
    value.pop(key)


def put(value, key, new):
    value[key] = new


def flow(every, there, direction="egress"):
    return of(every, "NetworkPolicy", there)["spec"][direction][0]


# name: (overlay, check, what is done)
SEEDED = {
    "a misspelt field": ("production", "schema", lambda e: put(of(e, "Deployment", "switchhook-ingress")["spec"], "replica", 2)),
    "a number that is a word": ("dev", "schema", lambda e: put(of(e, "Deployment", "switchhook-ingress")["spec"], "replicas", "two")),
    "a required field that is missing": ("production", "schema", lambda e: without(of(e, "Deployment", "switchhook-ingress")["spec"], "selector")),
    "an API that was removed": ("production", "schema", lambda e: put(of(e, "PodDisruptionBudget", "switchhook"), "apiVersion", "policy/v1beta1")),
    "a kind that does not exist": ("production", "schema", lambda e: put(of(e, "Service", "switchhook"), "kind", "Servce")),
    "an operator's field that is misspelt": ("keda", "schema", lambda e: put(of(e, "ScaledObject", "switchhook")["spec"], "coolDownPeriod", 3)),
    "an operator's field of another type": ("production", "schema", lambda e: put(of(e, "PodMonitor", "switchhook")["spec"], "podMetricsEndpoints", "admin")),
    "a certificate without an issuer": ("production", "schema", lambda e: without(of(e, "Certificate", "switchhook")["spec"], "issuerRef")),
    "a broker's field that nobody reviewed": ("production", "schema", lambda e: put(of(e, "RabbitmqCluster", "switchhook")["spec"], "nodes", 3)),
    "a route's field that nobody reviewed": ("gateway", "schema", lambda e: put(of(e, "HTTPRoute", "switchhook")["spec"], "hosts", ["a.example.com"])),
    "no settings": ("production", "links", lambda e: drop(e, "ConfigMap", "switchhook-settings")),
    "a key that its Secret does not have": ("production", "links", lambda e: put(container(e)["env"][0]["valueFrom"]["secretKeyRef"], "key", "amqps")),
    "a Secret that nobody makes": ("production", "links", lambda e: put(container(e)["env"][0]["valueFrom"]["secretKeyRef"], "name", "engines")),
    "no account": ("production", "links", lambda e: drop(e, "ServiceAccount", "switchhook-deliverer")),
    "a Service without Pods": ("production", "links", lambda e: put(of(e, "Service", "switchhook")["spec"]["selector"], "app.kubernetes.io/component", "edge")),
    "a Service for a port that is not there": ("production", "links", lambda e: put(of(e, "Service", "switchhook")["spec"]["ports"][0], "targetPort", "https")),
    "a selector of other Pods": ("production", "links", lambda e: put(of(e, "Deployment", "switchhook-deliverer")["spec"]["selector"]["matchLabels"], "app.kubernetes.io/component", "dispatcher")),
    "a mount without a volume": ("production", "links", lambda e: without(pod(e), "volumes")),
    "an autoscaler of nothing": ("production", "links", lambda e: put(of(e, "HorizontalPodAutoscaler", "switchhook")["spec"]["scaleTargetRef"], "name", "switchhook")),
    "a budget of nothing": ("production", "links", lambda e: put(of(e, "PodDisruptionBudget", "switchhook-ingress")["spec"]["selector"]["matchLabels"], "app.kubernetes.io/component", "x")),
    "all Pods of a room on one node": ("production", "policy", lambda e: pod(e)["topologySpreadConstraints"].pop()),
    "less memory than was measured": ("production", "policy", lambda e: put(container(e)["resources"]["requests"], "memory", "32Mi")),
    "an annotation that leads to the wrong port": ("dev", "policy", lambda e: put(of(e, "Deployment", "switchhook-ingress")["spec"]["template"]["metadata"]["annotations"], "prometheus.io/port", "8080")),
    "a monitor of nothing": ("production", "links", lambda e: put(of(e, "PodMonitor", "switchhook-rabbitmq")["spec"]["selector"]["matchLabels"], "app.kubernetes.io/name", "rabbitmq")),
    "a way in that leads nowhere": ("production", "links", lambda e: put(of(e, "Ingress", "switchhook")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"], "name", "ingress")),
    "a route to a port that is not there": ("gateway", "links", lambda e: put(of(e, "HTTPRoute", "switchhook")["spec"]["rules"][0]["backendRefs"][0], "port", 8080)),
    "a scaler without its secret": ("keda", "links", lambda e: put(of(e, "TriggerAuthentication", "switchhook-postgres")["spec"]["secretTargetRef"][0], "key", "url")),
    "root": ("production", "policy", lambda e: put(pod(e)["securityContext"], "runAsUser", 0)),
    "a privileged container": ("production", "policy", lambda e: put(container(e)["securityContext"], "privileged", True)),
    "a capability": ("production", "policy", lambda e: put(container(e)["securityContext"]["capabilities"], "add", ["NET_RAW"])),
    "a root that can be written": ("production", "policy", lambda e: without(container(e)["securityContext"], "readOnlyRootFilesystem")),
    "no seccomp": ("production", "policy", lambda e: without(pod(e)["securityContext"], "seccompProfile")),
    "a folder of the host": ("production", "policy", lambda e: put(pod(e), "volumes", [{"name": "authorities", "hostPath": {"path": "/"}}])),
    "the host's network": ("production", "policy", lambda e: put(pod(e), "hostNetwork", True)),
    "a token of the API": ("production", "policy", lambda e: without(pod(e), "automountServiceAccountToken")),
    "no limit of memory": ("production", "policy", lambda e: without(container(e)["resources"]["limits"], "memory")),
    "an odd quantity": ("production", "policy", lambda e: put(container(e)["resources"]["limits"], "cpu", "100mm")),
    "the image latest": ("production", "policy", lambda e: put(container(e), "image", "registry.example.com/switchhook:latest")),
    "an image of another version": ("production", "policy", lambda e: put(container(e), "image", "registry.example.com/switchhook:9.9.9")),
    "another room's command": ("production", "policy", lambda e: put(container(e), "args", ["deliverer"])),
    "Services as variables": ("production", "policy", lambda e: without(pod(e), "enableServiceLinks")),
    "a setting that does not exist": ("production", "policy", lambda e: put(of(e, "ConfigMap", "switchhook")["data"], "SWITCHHOOK_LOG_LEVELS", "info")),
    "a secret in the ConfigMap": ("production", "policy", lambda e: put(of(e, "ConfigMap", "switchhook")["data"], "SWITCHHOOK_KEYS_VAULT", "AAAA")),
    "a secret in the open": ("production", "policy", lambda e: put(container(e)["env"], 0, {"name": "SWITCHHOOK_ENGINES_AMQP", "value": "amqp://a:b@c"})),
    "a Secret in the manifests": ("dev", "policy", lambda e: e.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "switchhook"}})),
    "a drain that is longer than the grace": ("production", "policy", lambda e: put(of(e, "ConfigMap", "switchhook")["data"], "SWITCHHOOK_LIFECYCLE_DRAIN", "60s")),
    "a grace that is shorter than the drain": ("production", "policy", lambda e: put(pod(e), "terminationGracePeriodSeconds", 10)),
    "no preStop": ("production", "policy", lambda e: without(container(e, "switchhook-ingress"), "lifecycle")),
    "readiness that restarts": ("production", "policy", lambda e: put(container(e)["livenessProbe"]["httpGet"], "path", "/readyz")),
    "a probe of a port that is not there": ("production", "policy", lambda e: put(container(e)["readinessProbe"]["httpGet"], "port", "http")),
    "a probe with two handlers": ("production", "policy", lambda e: put(container(e)["readinessProbe"], "tcpSocket", {"port": 8081})),
    "a port that nobody listens on": ("production", "policy", lambda e: put(of(e, "ConfigMap", "switchhook")["data"], "SWITCHHOOK_ADMIN_LISTEN", "0.0.0.0:9000")),
    "more processes than partitions": ("production", "policy", lambda e: put(of(e, "HorizontalPodAutoscaler", "switchhook-dispatcher")["spec"], "maxReplicas", 40)),
    "least above most": ("production", "policy", lambda e: put(of(e, "HorizontalPodAutoscaler", "switchhook-dispatcher")["spec"], "minReplicas", 30)),
    "two autoscalers": ("keda", "policy", lambda e: e.append({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a", "namespace": "switchhook"}, "spec": {"minReplicas": 2, "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "switchhook-ingress"}}})),
    "a budget that lets nothing go": ("production", "policy", lambda e: put(of(e, "PodDisruptionBudget", "switchhook-ingress")["spec"], "maxUnavailable", 0)),
    "an update that takes Pods away first": ("production", "policy", lambda e: put(of(e, "Deployment", "switchhook-ingress")["spec"]["strategy"]["rollingUpdate"], "maxUnavailable", 1)),
    "a namespace that allows more": ("production", "policy", lambda e: put(of(e, "Namespace", "switchhook")["metadata"]["labels"], "pod-security.kubernetes.io/enforce", "baseline")),
    "a bad name": ("production", "policy", lambda e: put(of(e, "Service", "switchhook")["metadata"], "name", "Switchhook_Ingress")),
    "a Service that is open to the world": ("production", "policy", lambda e: put(of(e, "Service", "switchhook")["spec"], "type", "LoadBalancer")),
    "a restart policy of another kind": ("production", "policy", lambda e: put(pod(e, "switchhook-migrate", "Job"), "restartPolicy", "Always")),
    "nothing denied": ("production", "flows", lambda e: drop(e, "NetworkPolicy", "default-deny")),
    "no way to the database": ("production", "flows", lambda e: drop(e, "NetworkPolicy", "rooms-to-postgres-out")),
    "one end of a flow": ("dev", "flows", lambda e: drop(e, "NetworkPolicy", "rooms-to-rabbitmq-in")),
    "a flow too many": ("production", "flows", lambda e: put(flow(e, "clients", "ingress")["ports"][0], "port", 8081)),
    "ingress may call the world": ("production", "flows", lambda e: put(of(e, "NetworkPolicy", "switchhook-dispatcher-to-world")["spec"], "podSelector", {"matchLabels": {"app.kubernetes.io/name": "switchhook"}})),
    "private addresses may be called": ("production", "flows", lambda e: without(flow(e, "switchhook-deliverer-to-world")["to"][0]["ipBlock"], "except")),
    "KEDA asks where nobody listens": ("keda", "flows", lambda e: put(flow(e, "keda-to-rabbitmq", "ingress")["ports"][0], "port", 15672)),
    "anybody may come in": ("production", "flows", lambda e: without(flow(e, "clients", "ingress"), "from")),
    "spans without a way to the collector": ("tracing", "flows", lambda e: drop(e, "NetworkPolicy", "rooms-to-collector-out")),
    "spans to another port": ("tracing", "flows", lambda e: put(of(e, "ConfigMap", "switchhook")["data"], "SWITCHHOOK_TRACING_ENDPOINT", "http://collector.tracing.svc:4317")),
    "a way to a collector that gets nothing": ("tracing", "flows", lambda e: without(of(e, "ConfigMap", "switchhook")["data"], "SWITCHHOOK_TRACING_ENDPOINT")),
    "any port": ("production", "flows", lambda e: without(flow(e, "switchhook-deliverer-to-world"), "ports")),
}


def run(judged, checks):
    """Those of the faults that their check did not find, and how many there are. Breaking down is no finding."""
    missed = []
    for fault, (overlay, check, spoil) in SEEDED.items():
        every = copy.deepcopy(judged[overlay])
        spoil(every)
        # The schema is judged object by object: what is as before needs no second look.
        looked_at = [o for o in every if o not in judged[overlay]] if check == "schema" else every
        try:
            found = list(checks[check](looked_at))
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            found = []
            print(f"{fault}: {check} broke down: {error!r}")
        if not found:
            missed.append(f"{fault} ({overlay}, {check})")
    return missed, len(SEEDED)
