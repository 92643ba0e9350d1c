"""The rooms as the rendered Deployments run them, under load: rolled, and scaled one by one. See deploy/check/rooms."""

import base64
import copy
import json
import os
import pathlib
import sys
import time

import engines
import pods
import render
import scripts
import speakers

REPLICAS = 2
EACH = 12


class Check:
    def __init__(self, hub, work):
        self.hub, self.work = hub, work
        every = render.objects(render.text("dev"))
        [self.config] = [c for c in render.of_kind(every, "ConfigMap") if c["metadata"]["name"].startswith("switchhook-settings")]
        # As docs/kubernetes.md says for endpoints inside the cluster.
        self.config["data"]["SWITCHHOOK_EGRESS_ALLOW"] = "192.0.2.0/24"
        self.templates = {
            found["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: found["spec"]["template"]
            for found in render.of_kind(every, "Deployment", "Job")
        }
        self.figures = []

    def pod(self, component, template=None):
        return pods.Pod(self.hub, self.work, template or self.templates[component], self.config, component)

    def room(self, component):
        return pods.Room(lambda: self.pod(component), REPLICAS)

    def tell(self, text):
        self.figures.append(text)
        print(f"rooms: {text}", flush=True)

    def migrate(self):
        template = copy.deepcopy(self.templates["migrate"])
        template["spec"]["restartPolicy"] = "Never"
        pod = self.pod("migrate", template)
        code = pod.wait_ended(60)
        if code:
            raise SystemExit(f"migrate: exit code {code}: {pod.log()}")
        pod.remove()

    def limited(self):
        """That the limit of memory is in force: a Pod that may have next to none is killed for it."""
        template = copy.deepcopy(self.templates["dispatcher"])
        template["spec"]["restartPolicy"] = "Never"
        template["spec"]["containers"][0]["resources"] = {"limits": {"memory": "6Mi"}}
        pod = self.pod("starved", template)
        code = pod.wait_ended(60)
        if code != 137:
            raise SystemExit(f"a Pod with 6 MiB of memory ended with {code}: {pod.log()}")
        pod.remove()


def confined(pod):
    """What the manifest asks for, as the kernel has it."""
    pid = pod.inspect("{{.State.Pid}}")
    proc = pathlib.Path("/proc") / pid
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
    user = str(pod.spec["securityContext"]["runAsUser"])
    if set(status["Uid"].split()) != {user} or int(status["CapEff"], 16) or status["NoNewPrivs"] != "1" or status["Seccomp"] != "2":
        yield f"{pod.name}: {status['Uid']}, {status['CapEff']}, {status['NoNewPrivs']}, {status['Seccomp']}"
    roots = [line.split() for line in (proc / "mountinfo").read_text().splitlines() if line.split()[4] == "/"]
    if any("ro" not in root[5].split(",") for root in roots):
        yield f"{pod.name}: its root can be written"
    limit = pod.container["resources"]["limits"]["memory"]
    wanted = int(limit.removesuffix("Mi")) << 20
    groups = dict(line.split(":")[1:] for line in (proc / "cgroup").read_text().splitlines())
    old, new = "/sys/fs/cgroup/memory{}/memory.limit_in_bytes", "/sys/fs/cgroup{}/memory.max"
    file = old.format(groups["memory"]) if "memory" in groups else new.format(groups[""])
    if int(pathlib.Path(file).read_text()) != wanted:
        yield f"{pod.name}: its limit of memory is not {limit}"


def registered(room, receiver):
    """An app, an echo bot and a channel of each mode, by the command line inside a Pod; client id and paths."""
    pod = room.pods[0]
    app = json.loads(pod.execute("app", "add", "--name", "rooms", "--json"))
    json.loads(pod.execute("bot", "add", "--name", "echo", "--json"))
    add = ["channel", "add", "--bot", "echo", "--app", "rooms", "--rate", "1000", "--burst", "1000", "--approve", "--json"]
    url = f"http://{receiver.server_address[0]}:{receiver.server_address[1]}/"
    made = {
        "sync": json.loads(pod.execute(*add, "--name", "sync")),
        "async": json.loads(pod.execute(*add, "--name", "async", "--post-url", url)),
    }
    return app, {mode: "/chatbot" + channel["url"].split("/chatbot", 1)[1] for mode, channel in made.items()}


def tried(pod):
    """What docs/kubernetes.md has whoever tries it do in a Pod, after the registrations."""
    if "BAD" in pod.execute("doctor"):
        raise SystemExit(f"doctor: {pod.execute('doctor')}")
    answer = pod.execute("send", "--channel", "echo/sync", "--url", "http://127.0.0.1:8080", "hello")
    if "hello" not in answer:
        raise SystemExit(f"send: {answer}")


def scalers_ask():
    """That the database answers what KEDA's scalers would ask of it."""
    scalers = render.of_kind(render.objects(render.text("keda")), "ScaledObject")
    triggers = [trigger for scaler in scalers for trigger in scaler["spec"]["triggers"] if trigger["type"] == "postgresql"]
    answers = [engines.ask(trigger["metadata"]["query"]) for trigger in triggers]
    if not answers or not all(map(str.isdigit, answers)):
        raise SystemExit(f"scalers: {answers}")


def wait(what, is_so, within=120):
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {within} s: {what}")
        time.sleep(0.2)


def more(load, receiver):
    """Waits until much more was said and delivered."""
    said, posts = load.said(), sum(map(len, receiver.posts.values()))
    wait("more answers", lambda: load.said() > said + 20 * EACH and sum(map(len, receiver.posts.values())) > posts + 8 * EACH)


def rolled(check, rooms):
    for component, room in rooms.items():
        before = room.identities()
        slowest = room.roll()
        if set(before) & set(room.identities()):
            raise SystemExit(f"{component}: a Pod was not replaced")
        check.tell(f"{component}: {len(before)} Pods were replaced one by one; the slowest took {slowest:.1f} s from preStop to its end, exit code 0")


def scaled(check, rooms, component, load, receiver):
    """One room up and down; the others are the same processes afterwards."""
    others = [room for name, room in rooms.items() if name != component]
    before = [room.identities() for room in others]
    for replicas in (4, 1, REPLICAS):
        rooms[component].scale(replicas)
        more(load, receiver)
    if [room.identities() for room in others] != before:
        raise SystemExit(f"scaling {component} touched another room")
    check.tell(f"{component}: scaled to 4, 1 and {REPLICAS}; no process of another room was started anew")


def run(check):
    pods.secret("switchhook-engines", amqp=engines.AMQP, postgres=engines.POSTGRES)
    key = lambda: base64.b64encode(os.urandom(32)).decode()
    pods.secret("switchhook-keys", envelope=key(), vault=key())
    check.migrate()
    check.limited()
    rooms = {component: check.room(component) for component in ("deliverer", "dispatcher", "ingress")}
    wrong = [finding for room in rooms.values() for pod in room.pods for finding in confined(pod)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    check.tell("user, capabilities, seccomp, read-only root and limits of memory are the manifests'; too little memory kills")
    receiver = speakers.Receiver(pods.BRIDGE)
    app, paths = registered(rooms["ingress"], receiver)
    tried(rooms["ingress"].pods[0])
    scalers_ask()
    check.tell(scripts.check(rooms, app, check.hub, check.work))
    load = speakers.Speakers(rooms["ingress"].addresses, app, paths, EACH)
    more(load, receiver)
    rolled(check, rooms)
    for component in ("deliverer", "dispatcher"):
        scaled(check, rooms, component, load, receiver)
    load.stop()
    expected = sum(count for user, count in load.accepted.items() if user.startswith("async"))
    wait("the last deliveries", lambda: len({id for posts in receiver.posts.values() for id, _ in posts}) >= expected)
    lost = [*load.wrong, *speakers.judge(load.accepted, receiver.posts), *load.refused]
    parked = engines.ask("select (select count(*) from stray) + (select count(*) from turn where parked is not null)")
    if lost or parked != "0":
        raise SystemExit("\n".join([*lost[:20], f"{len(lost)} findings; {parked} jobs or turns were put aside"]))
    posts = sum(map(len, receiver.posts.values()))
    check.tell(
        f"{load.said()} messages in both modes, none refused, lost, doubled or out of order; "
        f"{posts} POSTs for {expected} deliveries"
    )


def main():
    speakers.control()
    hub, work = sys.argv[1], pathlib.Path(sys.argv[2])
    # Where podman's helper leaves a mark when a Pod is killed for its memory.
    os.chdir(work)
    pods.bridge()
    running = engines.start(work)
    try:
        run(Check(hub, work))
    finally:
        engines.end(running)


if __name__ == "__main__":
    main()
