"""A bot that is a script, in the dispatchers' containers: whether its hosts can jail themselves inside the container's own
seccomp filter, as a user that is not root, on a root that cannot be written."""

import json
import pathlib
import struct
import subprocess
import time

import speakers

SCRIPT = 'say("from within: " + message);\n'
TROUBLE = ("the jail of scripts is not whole", "a script host cannot be started")
USERS, PATIENCE = 40, 60
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")


def check(rooms, app, hub, work):
    """Raises unless every dispatcher answers by a script of which the kernel says that it is jailed; a figure."""
    _told(hub, work)
    dispatchers = rooms["dispatcher"].pods
    path = _registered(rooms["ingress"].pods[0])
    deadline, answered = time.monotonic() + PATIENCE, 0
    while answered < USERS or not all(map(hosts, dispatchers)):
        if time.monotonic() > deadline:
            logs = "\n".join(pod.log()[-1500:] for pod in dispatchers)
            raise SystemExit(f"scripts: {answered} answers, hosts: {[len(hosts(pod)) for pod in dispatchers]}; {logs}")
        host = rooms["ingress"].addresses()[0]
        status, answer = speakers.post(host, app, path, f"script-{answered}", str(answered))
        if status == 200:
            if json.loads(answer).get("text") != f"from within: {answered}":
                raise SystemExit(f"scripts: {answered} was answered with {answer}")
            answered += 1
        else:
            time.sleep(0.2)
    wrong = [finding for pod in dispatchers for finding in _unjailed(pod)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    return f"{answered} turns of a script bot were answered by jailed hosts of {len(dispatchers)} dispatchers; without landlock none would run"


def _registered(pod):
    pod.execute("bot", "add", "--name", "script", "--script", "-", "--json", given=SCRIPT)
    add = ("channel", "add", "--bot", "script", "--app", "rooms", "--name", "script", "--rate", "1000", "--burst", "1000", "--approve", "--json")
    return "/chatbot" + json.loads(pod.execute(*add))["url"].split("/chatbot", 1)[1]


def hosts(pod):
    """Processes of the Pod that are script hosts."""
    parent, found = pod.inspect("{{.State.Pid}}"), []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if _status(folder)["PPid"] == parent and b"script-host" in (folder / "cmdline").read_bytes():
                found.append(folder)
        except (OSError, KeyError):
            continue  # it has ended in the meantime
    return found


def _status(folder):
    return dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)


def _unjailed(pod):
    """What is missing of the jail of a Pod's hosts."""
    own = pathlib.Path("/proc") / pod.inspect("{{.State.Pid}}")
    yield from (f"{pod.name}: {trouble}" for trouble in TROUBLE if trouble in pod.log())
    filters = int(_status(own)["Seccomp_filters"])
    for host in hosts(pod):
        now = _status(host)
        if b"--best-effort" in (host / "cmdline").read_bytes():
            yield f"{pod.name}: script.jail is not strict"
        if now["Seccomp"] != "2" or int(now["Seccomp_filters"]) != filters + 1 or now["NoNewPrivs"] != "1" or int(now["CapEff"], 16):
            yield f"{pod.name}: a script host has {now['Seccomp_filters']} filters, where its parent has {filters}"
        files = next(line for line in (host / "limits").read_text().splitlines() if line.startswith("Max open files"))
        if files.split()[3:5] != ["3", "3"]:
            yield f"{pod.name}: a script host may open files: {files}"


def _told(hub, work):
    """What a host itself says in a container like the Pods': all stands, and not so when the kernel refuses landlock."""
    profile = json.loads(PROFILE.read_text())
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if not name.startswith("landlock_")]
    without = pathlib.Path(work) / "without-landlock.json"
    without.write_text(json.dumps(profile))
    if missing := _hello(hub, PROFILE):
        raise SystemExit(f"scripts: the jail is not whole in a container: {missing}")
    missing = _hello(hub, without)
    if not any("landlock" in one for one in missing):
        raise SystemExit(f"scripts: landlock was taken away, and a host misses {missing or 'nothing'}")


def _hello(hub, profile):
    """What a script host of the image misses under this seccomp profile."""
    [image] = [line for line in _podman("images", "--format", "{{.Repository}}:{{.Tag}}").decode().split() if "switchhook" in line]
    security = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--security-opt", f"seccomp={profile}")
    said = _podman("run", "--rm", "--interactive", "--network", "none", "--name", f"{hub}-script", *security, image, "script-host")
    hello = json.loads(said[4 : 4 + struct.unpack("<I", said[:4])[0]])
    if hello["works"] == bool(hello["jail"]["missing"]):
        raise SystemExit(f"scripts: a host that is not jailed would work: {hello}")
    return hello["jail"]["missing"]


def _podman(*arguments):
    return subprocess.run(["podman", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout
