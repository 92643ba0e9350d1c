"""Has a real kube-apiserver judge every object of every overlay by server-side dry-run, twice: as `kubectl apply -k` sends it, and
as server-side apply. Then seeds faults, each of which the server must refuse. See deploy/check/server."""

import argparse
import collections
import copy
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import definitions
import faults
import render
from apiserver import Server

WAYS = {"apply": ("--validate=strict",), "server-side apply": ("--server-side", "--validate=strict")}
# What an older server has instead of what it does not know; for one that knows it nothing is touched.
OLDER = {"policy/v1": "policy/v1beta1", "autoscaling/v2": "autoscaling/v2beta2"}
# Fields that came later: the first minor version that has them, and how to leave them out.
LATER = {
    "PodDisruptionBudget": (26, "unhealthyPodEvictionPolicy", lambda spec: spec.pop("unhealthyPodEvictionPolicy", None)),
    "Deployment": (29, "preStop.sleep", lambda spec: [one.pop("lifecycle", None) for one in spec["template"]["spec"]["containers"]]),
}
# Of deploy/check/faults.py, those that any server refuses; the rest is policy, which is none of its business.
REFUSED = (
    "a misspelt field", "a number that is a word", "a required field that is missing", "a kind that does not exist",
    "an operator's field that is misspelt", "an operator's field of another type", "a certificate without an issuer",
    "a broker's field that nobody reviewed", "a route's field that nobody reviewed", "a selector of other Pods",
    "a mount without a volume", "an odd quantity", "a probe with two handlers", "least above most", "a bad name",
    "a restart policy of another kind",
)  # fmt: skip
# How a server, or kubectl with the server's own schema, says no. That it could not be asked is no refusal.
NO = re.compile(r"is invalid|error validating|BadRequest|unknown field|no matches for kind|field not declared|failed to create typed patch|unable to parse")


def translated(found, server):
    """The object as this server can know it, and what was changed."""
    version, kind, changes = found["apiVersion"], found.get("kind"), []
    found = copy.deepcopy(found)
    if version not in server.served and version in OLDER:
        found["apiVersion"] = OLDER[version]
        changes.append(f"{version} as {OLDER[version]}")
    since, field, leave_out = LATER.get(kind, (0, "", None))
    if server.minor < since:
        before = copy.deepcopy(found)
        leave_out(found["spec"])
        changes += [f"without {field}"] if found != before else []
    return found, f"{kind}: {', '.join(changes)}" if changes else None


def judged(server, objects, options):
    """How many were accepted, and what was said of the others."""
    sent = [translated(found, server)[0] for found in objects]
    done = server.kubectl("apply", "--dry-run=server", *options, "-f", "-", objects=sent)
    accepted = len(re.findall(r" \(server dry run\)$", done.stdout, re.MULTILINE))
    return accepted, done.stderr.strip(), done.returncode


def install(server, own):
    """The operators' definitions, and the kinds that are judged by no more than the reviewed list."""
    made, reviewed = definitions.made()
    given = {key: one for key, one in (definitions.given(own) if own else {}).items() if key in made}
    every = {one["metadata"]["name"]: one for one in (made | given).values()}
    server.must("create", "--validate=false", "-f", "-", objects=every.values())
    server.must("wait", "--for=condition=established", "--timeout=60s", *(f"crd/{name}" for name in every))
    return reviewed - {kind for _, kind in given}, len(given)


def overlays(server):
    """The findings; prints a line for each overlay and way."""
    found, changed = [], collections.Counter()
    for overlay in render.OVERLAYS:
        every = render.objects(render.text(overlay))
        changed.update(change for change in (translated(one, server)[1] for one in every) if change)
        for way, options in WAYS.items():
            accepted, said, code = judged(server, every, options)
            print(f"{overlay}, {way}: {accepted} of {len(every)} objects accepted")
            if accepted != len(every) or code:
                found.append(f"{overlay}, {way}: {said}")
    for change, times in sorted(changed.items()):
        print(f"for this server, {times} times: {change}")
    return found


def secrets(server):
    """What deploy/make-secrets prints is accepted as well; the findings."""
    for which in ("keys", "dev"):
        made = subprocess.run([render.ROOT / "deploy/make-secrets", which], capture_output=True, text=True, check=True).stdout
        accepted, said, _ = judged(server, render.objects(made), WAYS["apply"])
        if accepted != len(render.objects(made)):
            yield f"make-secrets {which}: {said}"


def seeded(server):
    """The faults that the server did not refuse."""
    for fault in REFUSED:
        overlay, _, spoil = faults.SEEDED[fault]
        before = render.objects(render.text(overlay))
        every = copy.deepcopy(before)
        spoil(every)
        spoiled = [one for one in every if one not in before]
        for way, options in WAYS.items():
            accepted, said, code = judged(server, spoiled, options)
            if accepted or not code or not NO.search(said):
                yield f"{fault}, {way}: {said or 'accepted'}"


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("kube_apiserver", type=pathlib.Path)
    asked.add_argument("etcd", type=pathlib.Path)
    asked.add_argument("--definitions", type=pathlib.Path, help="a folder with the operators' own CustomResourceDefinitions")
    asked = asked.parse_args()
    # What was started is ended in every way that Python ends by itself.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as folder, Server(asked.kube_apiserver, asked.etcd, pathlib.Path(folder)) as server:
        print(f"server: {server.version}")
        reviewed, given = install(server, asked.definitions)
        print(f"definitions: {given} of the operators' own; {', '.join(sorted(reviewed)) or 'none'} of a reviewed list only")
        # A dry run makes no namespace, and without one nothing can be in it.
        namespace = [one for one in render.objects(render.text("production")) if one["kind"] == "Namespace"]
        server.must("create", "--save-config", "-f", "-", objects=namespace)
        found = [*overlays(server), *secrets(server)]
        missed = [] if found else list(seeded(server))
        if server.must("get", "deployments,services,networkpolicies", "-A", "-o", "name").split() != ["service/kubernetes"]:
            found.append("a dry run left something behind")
    for one in found + [f"seeded and not refused: {one}" for one in missed]:
        print(one, file=sys.stderr)
    if not found:
        sent = len(REFUSED) * len(WAYS)
        print(f"{len(REFUSED)} faults were seeded in {len(WAYS)} ways, {sent - len(missed)} of {sent} refused")
    return 1 if found or missed else 0


if __name__ == "__main__":
    sys.exit(main())
