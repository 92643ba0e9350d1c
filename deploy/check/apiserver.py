"""An etcd and a kube-apiserver of one's own on loopback, and kubectl for it. No kubelet, no controller, no operator: it
judges objects and nothing comes of them."""

import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import time

PATIENCE = 120
KUBECTL = pathlib.Path(sys.executable).parent / "kubectl"


def free_ports(count):
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


class Server:
    """Up between `with` and its end; everything that it keeps is in `folder`."""

    def __init__(self, kube_apiserver, etcd, folder):
        self.programs, self.folder, self.running = (kube_apiserver, etcd), folder, []
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self):
        try:
            self._start()
            self._wait()
            known = json.loads(self.must("get", "--raw", "/version"))
            self.version, self.minor = known["gitVersion"], int(known["minor"].rstrip("+"))
            # Every group with its version, as an `apiVersion` has it.
            self.served = set(self.must("api-versions").split())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        self._end()

    def _start(self):
        peers, clients, secure = free_ports(3)
        token = secrets.token_hex(16)
        (self.folder / "tokens").write_text(f'{token},judge,judge,"system:masters"\n')
        key = self.folder / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        store = f"http://127.0.0.1:{clients}"
        peer = f"http://127.0.0.1:{peers}"
        self._run("etcd", self.programs[1], f"--data-dir={self.folder / 'etcd'}", "--name=only",
                  f"--listen-client-urls={store}", f"--advertise-client-urls={store}", f"--listen-peer-urls={peer}",
                  f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=only={peer}")
        self._run("kube-apiserver", self.programs[0], f"--etcd-servers={store}", "--bind-address=127.0.0.1",
                  "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", f"--secure-port={secure}",
                  f"--cert-dir={self.folder}", f"--token-auth-file={self.folder / 'tokens'}", "--authorization-mode=RBAC",
                  "--disable-admission-plugins=ServiceAccount", "--service-account-issuer=https://kubernetes.default.svc",
                  f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
                  "--service-cluster-ip-range=198.51.100.0/24")
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "own",
            "clusters": [{"name": "own", "cluster": {"server": f"https://127.0.0.1:{secure}",
                                                     "certificate-authority": str(self.folder / "apiserver.crt")}}],
            "users": [{"name": "judge", "user": {"token": token}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "judge"}}],
        }))

    def _run(self, name, program, *arguments):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running.append(subprocess.Popen([program, *arguments], env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def _wait(self):
        deadline = time.monotonic() + PATIENCE
        while not ((self.folder / "apiserver.crt").exists() and self.kubectl("get", "--raw", "/readyz").stdout == "ok"):
            if time.monotonic() > deadline:
                raise SystemExit(f"the server does not come up: {self._log()}")
            time.sleep(0.5)

    def _end(self):
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self):
        lines = (self.folder / "kube-apiserver.log").read_text(errors="replace").splitlines()
        broke = [number for number, line in enumerate(lines) if line.startswith(("fatal error", "panic:"))]
        return "\n".join(lines[broke[0] :][:30] if broke else lines[-30:])

    def kubectl(self, *arguments, objects=None):
        """`objects` go in as a stream. Never raises for what the server says, but when it has died."""
        command = [KUBECTL, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.folder / 'cache'}", *arguments]
        text = None if objects is None else "\n---\n".join(json.dumps(one) for one in objects)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if any(process.poll() is not None for process in self.running):
            raise SystemExit(f"the server died of kubectl {' '.join(arguments)}: {done.stderr} {self._log()}")
        return done

    def must(self, *arguments, objects=None):
        done = self.kubectl(*arguments, objects=objects)
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout
