"""Pods of rendered manifests under podman, each in a network namespace of its own on one bridge. What the parts of a
cluster do around them (endpoints, rolling replacement, probes, preStop) is done here, by the figures of the manifests."""

import base64
import http.client
import itertools
import json
import pathlib
import subprocess
import threading
import time

import yaml

BRIDGE = "192.0.2.1"
#: What podman 4.3 would turn into published ports, or into `curl` inside the image.
NOT_FOR_PODMAN = ("ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle")


def sh(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def bridge():
    """The network that all are on; nothing leads out of it."""
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "add", "br0", "type", "bridge")
    sh("ip", "addr", "add", f"{BRIDGE}/24", "dev", "br0")
    sh("ip", "link", "set", "br0", "up")


def secret(name, **values):
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    sh("podman", "secret", "create", name, "-", input=json.dumps(data))


class Pod:
    """One Pod of a template."""

    numbers = itertools.count(10)

    def __init__(self, hub, work, template, config, component):
        number = next(Pod.numbers)
        self.component, self.name = component, f"{component}-{number}"
        self.address, self.namespace = f"192.0.2.{number}", f"{hub}-{number}"
        self.spec = template["spec"]
        [self.container] = self.spec["containers"]
        self._network(hub, number)
        spec = {**self.spec, "containers": [{k: v for k, v in self.container.items() if k not in NOT_FOR_PODMAN}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "labels": template["metadata"]["labels"]}, "spec": spec}
        file = pathlib.Path(work) / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump_all([config, pod]))
        sh("nsenter", f"--net=/run/netns/{self.namespace}", "podman", "play", "kube", "--network", "host", file)

    def _network(self, hub, number):
        link = f"pod{number}"
        sh("ip", "netns", "add", self.namespace)
        sh("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        sh("ip", "link", "set", link, "master", "br0", "up")
        for line in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            sh("ip", "-n", self.namespace, *line.split())

    @property
    def engine_name(self):
        return f"{self.name}-{self.container['name']}"

    def inspect(self, what):
        return sh("podman", "inspect", "--format", what, self.engine_name).strip()

    def identity(self):
        """What changes when it is started anew."""
        return self.inspect("{{.Id}} {{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}")

    def log(self):
        done = subprocess.run(["podman", "logs", self.engine_name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def execute(self, *arguments, given=""):
        """As `kubectl exec --stdin` does."""
        inside = ("nsenter", f"--net=/run/netns/{self.namespace}")
        return sh(*inside, "podman", "exec", "--interactive", self.engine_name, "/switchhook", *arguments, input=given)

    def port(self, name):
        return next(port["containerPort"] for port in self.container["ports"] if port["name"] == name)

    def ready(self):
        """Its readiness probe."""
        get = self.container["readinessProbe"]["httpGet"]
        try:
            connection = http.client.HTTPConnection(self.address, self.port(get["port"]), timeout=2)
            connection.request("GET", get["path"])
            return connection.getresponse().status == 200
        except OSError:
            return False

    def wait_ready(self):
        probe = self.container["startupProbe"]
        deadline = time.monotonic() + probe["failureThreshold"] * probe["periodSeconds"]
        while not self.ready():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} is not ready: {self.log()[-2000:]}")
            time.sleep(0.2)
        return self

    def wait_ended(self, within):
        deadline = time.monotonic() + within
        while self.inspect("{{.State.Status}}") not in ("exited", "stopped"):
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} does not end: {self.log()[-2000:]}")
            time.sleep(0.2)
        return int(self.inspect("{{.State.ExitCode}}"))

    def end(self):
        """preStop, SIGTERM, and SIGKILL after the grace; its exit code."""
        began = time.monotonic()
        pause = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        time.sleep(pause)
        grace = self.spec["terminationGracePeriodSeconds"] - pause
        sh("podman", "stop", "--time", grace, self.engine_name)
        code = int(self.inspect("{{.State.ExitCode}}"))
        self.remove()
        return code, time.monotonic() - began

    def remove(self):
        sh("podman", "pod", "rm", "--force", "--time", "0", self.name)
        sh("ip", "netns", "del", self.namespace)


class Room:
    """A Deployment: so many Pods, replaced one by one; those that are endpoints of its Service."""

    def __init__(self, make, replicas):
        self.make, self.pods, self.endpoints = make, [], []
        self.lock = threading.Lock()
        self.scale(replicas)

    def addresses(self):
        with self.lock:
            return [pod.address for pod in self.endpoints]

    def identities(self):
        return [pod.identity() for pod in self.pods]

    def _add(self, pod):
        with self.lock:
            self.endpoints.append(pod)
        self.pods.append(pod)

    def _end(self, pod):
        with self.lock:
            self.endpoints.remove(pod)
        self.pods.remove(pod)
        code, took = pod.end()
        if code:
            raise SystemExit(f"{pod.name}: SIGTERM led to exit code {code} after {took:.1f} s")
        return took

    def scale(self, replicas):
        """The longest that a Pod took to end."""
        for pod in [self.make() for _ in range(replicas - len(self.pods))]:
            self._add(pod.wait_ready())
        return max((self._end(self.pods[-1]) for _ in range(len(self.pods) - replicas)), default=0.0)

    def roll(self):
        """A new Pod, ready, for each old one (maxSurge 1, maxUnavailable 0); the longest that one took to end."""
        slowest = 0.0
        for old in list(self.pods):
            self._add(self.make().wait_ready())
            slowest = max(slowest, self._end(old))
        return slowest
