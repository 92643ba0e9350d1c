"""Prometheus rules, routes and dashboards: metrics that exist, alerts that are explained and tested."""

import json
import re

import yaml

from render import ROOT

# Not ours: RabbitMQ's exporter, cert-manager, Prometheus itself.
OTHERS = {"up", "rabbitmq_detailed_queue_consumers", "rabbitmq_detailed_queue_messages", "certmanager_certificate_expiration_timestamp_seconds"}
# Names of metrics begin like this; the rest of an expression's words are functions and labels.
METRIC = re.compile(r"(?:switchhook|rabbitmq|certmanager|process)[a-z0-9_:]*")


def load():
    return yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]


def check(groups, every_keda):
    rules = [rule for group in groups for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    page = (ROOT / "docs/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(switchhook_[a-z_]+)`", page, re.MULTILINE))
    expressions = {rule.get("record", rule.get("alert")): rule["expr"] for rule in rules}
    for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                expressions[f"{path.name}: {panel['title']}"] = target["expr"]
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                expressions[f"{path.name}: {variable['name']}"] = variable["query"]["query"]
    for found in every_keda:
        for trigger in found["spec"].get("triggers", []) if found["kind"] == "ScaledObject" else []:
            if trigger["type"] == "prometheus":
                expressions[f"scaler {found['metadata']['name']}"] = trigger["metadata"]["query"]
    for where, expression in expressions.items():
        bare = re.sub(r'"[^"]*"', "", expression)
        for metric in METRIC.findall(bare):
            base = re.sub(r"_(bucket|count|sum)$", "", metric)
            if metric not in recorded and base not in documented and metric not in OTHERS and not metric.startswith("process_"):
                yield f"{where}: there is no metric {metric}"
    yield from _alerts(rules)


def _alerts(rules):
    runbook = (ROOT / "docs/runbook.md").read_text()
    tests = yaml.safe_load((ROOT / "deploy/prometheus/rules_test.yaml").read_text())["tests"]
    names = {test["name"] for test in tests}
    for rule in rules:
        alert = rule.get("alert")
        if alert is None:
            continue
        if f"\n### {alert}\n" not in runbook:
            yield f"{alert}: docs/runbook.md has no section for it"
        if rule["annotations"].get("runbook") != f"docs/runbook.md#{alert.lower()}":
            yield f"{alert}: leads to {rule['annotations'].get('runbook')}"
        if rule["labels"].get("severity") not in ("page", "warning"):
            yield f"{alert}: nobody is told"
        for what in ("fires", "does not fire"):
            if f"{alert} {what}" not in names:
                yield f"{alert}: no test that it {what}"


def seeded(groups):
    """Spoiled copies of the rules, each with something to find."""
    import copy

    spoil = {
        "a metric that was renamed": lambda rule: rule.update(expr="switchhook_broker_is_up == 0"),
        "an alert that nobody explains": lambda rule: rule.update(alert="SwitchhookSomething"),
        "an alert that nobody is told of": lambda rule: rule.update(labels={"severity": "none"}),
        "a link that leads elsewhere": lambda rule: rule["annotations"].update(runbook="docs/runbook.md#x"),
    }
    for fault, change in spoil.items():
        spoiled = copy.deepcopy(groups)
        change(next(rule for rule in spoiled[1]["rules"] if rule["alert"] == "SwitchhookBrokerDown"))
        yield fault, spoiled
