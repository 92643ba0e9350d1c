"""Whether the NetworkPolicies allow exactly the flows of ARCHITECTURE.md, at both ends, and nothing else."""

import re
import urllib.parse

import links
from render import ROOT, of_kind, pods

WORLD = {"0.0.0.0/0", "2000::/3"}
# Where a judged address must never lie, whatever a name resolves to.
PRIVATE = {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}


def documented():
    """(from, to, port) of the table "Who talks to whom"."""
    page = (ROOT / "ARCHITECTURE.md").read_text().split("## Who talks to whom")[1].split("\n## ")[0]
    flows = set()
    for row in re.findall(r"^\| (?!from|-)(.+) \| (.+) \| (.+) \| .* \|$", page, re.MULTILINE):
        sources, targets, ports = ([part.strip() for part in cell.split(",")] for cell in row)
        flows |= {(s, t, int(p)) for s in sources for t in targets for p in ports}
    return flows


def check(every):
    groups = {}
    for found in every:
        spec, labels = pods(found)
        if spec is not None:
            component = labels.get("app.kubernetes.io/component")
            groups[component or labels["app.kubernetes.io/name"]] = labels
    for cluster in of_kind(every, "RabbitmqCluster"):
        groups["rabbitmq"] = {"app.kubernetes.io/name": cluster["metadata"]["name"]}
    policies = of_kind(every, "NetworkPolicy")
    denies = [p["spec"] for p in policies if p["spec"]["podSelector"] == {}]
    if {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} not in denies:
        yield "no policy denies everything that is not allowed"
    into, out = set(), set()
    for policy in policies:
        spec = policy["spec"]
        mine = [group for group, labels in groups.items() if links.matches(spec["podSelector"], labels)]
        for rule in spec.get("ingress", []):
            for peer, port in _pairs(rule, "from", groups):
                into |= {(peer, group, port) for group in mine}
        for rule in spec.get("egress", []):
            for peer, port in _pairs(rule, "to", groups):
                out |= {(group, peer, port) for group in mine}
        yield from _fences(policy)
    yield from _compare(into, out, groups, every)


def _pairs(rule, side, groups):
    """Each rule's peers by a name, with each port; "anywhere" is a rule without peers."""
    peers = []
    for peer in rule.get(side, [{}]):
        space = peer.get("namespaceSelector", {}).get("matchLabels", {})
        if "ipBlock" in peer:
            cidr = peer["ipBlock"]["cidr"]
            peers.append("world" if cidr in WORLD else cidr)
        elif space.get("kubernetes.io/metadata.name") == "kube-system":
            peers.append("names")
        elif space:
            peers.append(" ".join(f"{k}={v}" for k, v in sorted(space.items())))
        elif "podSelector" in peer:
            peers += [g for g, labels in groups.items() if links.matches(peer["podSelector"], labels)]
        else:
            peers.append("anywhere")
    for peer in peers:
        for port in rule.get("ports", [{}]):
            yield peer, port.get("port", "any")


def _fences(policy):
    for rule in policy["spec"].get("egress", []):
        for peer in rule.get("to", []):
            block = peer.get("ipBlock", {})
            if block.get("cidr") == "0.0.0.0/0" and not PRIVATE <= set(block.get("except", [])):
                yield f"{policy['metadata']['name']}: lets private addresses be called"


def _compare(into, out, groups, every):
    """What the page allows against what the policies allow, each seen from the ends that are in the cluster."""
    inside = set(groups)
    clustered = bool(of_kind(every, "RabbitmqCluster"))
    endpoint = _endpoint(every)
    if endpoint and endpoint.port is None:
        yield "tracing.endpoint: says no port"
    amqp = 5671 if clustered else 5672
    wanted_in, wanted_out = set(), set()
    for source, target, port in documented():
        if target == "RabbitMQ" and port != amqp:
            continue
        # Only where spans are sent, and then to the port that they are sent to.
        if target == "collector":
            if not endpoint:
                continue
            port = endpoint.port
        target = {"RabbitMQ": "rabbitmq", "PostgreSQL": "postgres", "HTTP bots": "world", "POST_URLs": "world", "collector": "switchhook/tracing=true"}.get(target, target)
        source = {"clients": "switchhook/edge=true", "monitoring": "switchhook/monitoring=true"}.get(source, source)
        if target == "postgres" and clustered:
            target = "192.0.2.10/32"
        if target in inside:
            wanted_in.add((source, target, port))
        if source in inside:
            wanted_out.add((source, target, port))
    for group in inside:
        wanted_out.add((group, "names", 53))
    if clustered:
        for port in (4369, 25672):
            wanted_in.add(("rabbitmq", "rabbitmq", port))
            wanted_out.add(("rabbitmq", "rabbitmq", port))
        wanted_in.add(("switchhook/monitoring=true", "rabbitmq", 15691))
        wanted_out |= {("rabbitmq", "anywhere", 443), ("rabbitmq", "anywhere", 6443)}
    if of_kind(every, "ScaledObject"):
        wanted_in.add(("kubernetes.io/metadata.name=keda", "rabbitmq", 15671 if clustered else 15672))
    for where, wanted, got in (("in", wanted_in, into), ("out", wanted_out, out)):
        for source, target, port in sorted(map(_text, wanted - got)):
            yield f"{where}: {source} to {target}:{port} is not allowed"
        for source, target, port in sorted(map(_text, got - wanted)):
            yield f"{where}: {source} to {target}:{port} is allowed and not in ARCHITECTURE.md"


def _endpoint(every):
    """The collector's URL, where there is one."""
    for settings in of_kind(every, "ConfigMap"):
        if url := settings.get("data", {}).get("SWITCHHOOK_TRACING_ENDPOINT"):
            return urllib.parse.urlsplit(url)
    return None


def _text(flow):
    return tuple(str(part) for part in flow)
