#!/usr/bin/env python3
"""What a script costs a turn, end to end: one client says one message after another to bots of one `up` on the
embedded engines. An echo and a script that says the same take turns; a dialog asks forty questions; and an echo's
users speak while a script never ends. Standard library only.

    cargo build --release -p switchhook
    python3 bench/turns.py target/release/switchhook
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HELLO = "say(context.session.BotUserSession.lastMessage.messagePayload.message.text);"
DIALOG = "for (let n = 1; n <= 40; n += 1) { await ask('question ' + n); } say('done');"
ENDLESS = "for (;;) {}"
ROUNDS, PAIRS, DIALOGS = 5, 400, 40


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Client:
    def __init__(self, port, channel, token):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.path, self.token = channel, token

    def say(self, user, text):
        """Milliseconds to the answer."""
        body = json.dumps({"message": {"text": text}, "from": {"id": user}})
        headers = {"authorization": f"bearer {self.token}", "content-type": "application/json"}
        began = time.perf_counter()
        self.http.request("POST", self.path, body, headers)
        answer = self.http.getresponse()
        said = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            sys.exit(f"status {answer.status}: {said}")
        return took


def p(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def beside(client, stop):
    took = []
    while not stop.is_set():
        took.append(client.say(f"b{len(took) % 50}", "hello"))
    return took


def measured(client, seconds):
    stop, out = threading.Event(), []
    worker = threading.Thread(target=lambda: out.extend(beside(client, stop)))
    worker.start()
    time.sleep(seconds)
    stop.set()
    worker.join()
    return out


def main(binary):
    with tempfile.TemporaryDirectory() as data:
        def run(*words):
            return subprocess.run([binary, *words, "--data", data], check=True, capture_output=True, text=True).stdout

        def made(*words):
            return json.loads(run(*words, "--json"))

        made("app", "add", "--name", "app")
        paths = {}
        for name, script in [("echo", None), ("hello", HELLO), ("dialog", DIALOG), ("endless", ENDLESS)]:
            words = ["bot", "add", "--name", name]
            if script is not None:
                path = os.path.join(data, f"{name}.js")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(script)
                words += ["--script", path]
            made(*words)
            channel = made("channel", "add", "--name", name, "--bot", name, "--app", "app", "--approve",
                           "--rate", "1000", "--burst", "1000")
            paths[name] = "/" + channel["url"].split("/", 3)[3]
        token = run("token", "--app", "app").strip().splitlines()[-1]
        port, admin = free_port(), free_port()
        with open(os.path.join(data, "log"), "w", encoding="utf-8") as log:
            up = subprocess.Popen([binary, "up", "--no-demo", "--data", data, "--listen", f"127.0.0.1:{port}",
                                   "--admin-listen", f"127.0.0.1:{admin}"], stdout=log, stderr=log)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            of = {name: Client(port, path, token) for name, path in paths.items()}
            for name in ("echo", "hello"):
                for n in range(200):
                    of[name].say(f"warm{n}", "hello")
            for _ in range(ROUNDS):
                echo, hello = [], []
                for n in range(PAIRS):
                    echo.append(of["echo"].say(f"e{n % 50}", "hello"))
                    hello.append(of["hello"].say(f"h{n % 50}", "hello"))
                e, h = statistics.median(echo), statistics.median(hello)
                print(f"echo p50 {e:.2f} ms, hello p50 {h:.2f} ms: a script adds {h - e:.2f} ms")
            first, last = [], []
            for user in range(DIALOGS):
                took = [of["dialog"].say(f"d{user}", "answer") for _ in range(41)]
                first.append(took[0])
                last.append(took[40])
            f, l = statistics.median(first), statistics.median(last)
            print(f"a dialog's first turn p50 {f:.2f} ms, the one after 40 answers {l:.2f} ms: {l / f:.2f} times")
            for _ in range(3):
                quiet = measured(of["echo"], 5)
                worker = threading.Thread(target=lambda: [of["endless"].say(f"x{n}", "x") for n in range(4)])
                worker.start()
                loud = measured(of["echo"], 5)
                worker.join()
                a, b = p(quiet, 0.99), p(loud, 0.99)
                print(f"echo p99 {a:.2f} ms; beside a script that never ends {b:.2f} ms: {b / a:.2f} times")
        finally:
            up.terminate()
            up.wait()


if __name__ == "__main__":
    main(sys.argv[1])
