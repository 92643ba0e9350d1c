"""compose.yaml: the same image, settings and limits as in Kubernetes, and nothing open that need not be."""

import yaml

import policy
from render import ROOT

ROOMS = ("ingress", "dispatcher", "deliverer", "migrate")


def load():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def check(file):
    known, secret = policy.settings()
    services = file["services"]
    for there, service in services.items():
        if service.get("cap_drop") != ["ALL"] or "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{there}: keeps privileges"
        if not service.get("mem_limit"):
            yield f"{there}: no limit of memory"
        if service.get("image", "").rpartition(":")[2] in ("", "latest"):
            yield f"{there}: the image {service.get('image')} has no version"
        for port in service.get("ports", []):
            if there != "ingress" or not port.startswith("127.0.0.1:"):
                yield f"{there}: {port} is open to the world"
        for needed in service.get("depends_on", {}):
            if needed not in services:
                yield f"{there}: no service {needed}"
        for network in service.get("networks", []):
            if network not in file["networks"]:
                yield f"{there}: no network {network}"
    for room in ROOMS:
        service = services.get(room, {})
        if service.get("image") != f"switchhook:{policy.version()}":
            yield f"{room}: the image {service.get('image')} is not version {policy.version()}"
        if service.get("command") != [room]:
            yield f"{room}: runs {service.get('command')}"
        if not service.get("read_only") or service.get("user") != "65532:65532" or "cap_add" in service:
            yield f"{room}: its root can be written, or it runs as another user"
        grace = policy.seconds(service.get("stop_grace_period", "10s"))
        drain = policy.seconds(known["SWITCHHOOK_LIFECYCLE_DRAIN"])
        if grace < drain + policy.CLOSE_SECONDS + policy.MARGIN_SECONDS:
            yield f"{room}: a grace of {grace:g} s"
        for path in service.get("env_file", []):
            if not (ROOT / path).exists():
                yield f"{room}: no file {path}"
        for variable, value in service.get("environment", {}).items():
            if variable not in {*known, *secret}:
                yield f"{room}: there is no setting {variable}"
            if variable in secret and "${" not in value:
                yield f"{room}: {variable} stands in the file"
    for engine in ("rabbitmq", "postgres"):
        if services.get(engine, {}).get("networks") != ["engines"]:
            yield f"{engine}: is reached by more than the rooms"
    if not file["networks"].get("engines", {}).get("internal"):
        yield "engines: the network is open"


def spoiled(spoil):
    file = load()
    spoil(file["services"], file)
    return file


SEEDED = {
    "compose: open to the world": lambda s, f: s["ingress"].update(ports=["8080:8080"]),
    "compose: another version": lambda s, f: s["dispatcher"].update(image="switchhook:9.9.9"),
    "compose: a root that can be written": lambda s, f: s["deliverer"].pop("read_only"),
    "compose: a secret in the file": lambda s, f: s["ingress"]["environment"].update(SWITCHHOOK_KEYS_VAULT="AAAA"),
    "compose: a setting that does not exist": lambda s, f: s["ingress"]["environment"].update(SWITCHHOOK_NONSENSE="1"),
    "compose: engines open to all": lambda s, f: f["networks"].update(engines={}),
}
