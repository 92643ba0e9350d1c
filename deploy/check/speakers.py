"""Clients of both modes and the receiver of their answers: who says what, and what came of it."""

import base64
import hmac
import http.client
import http.server
import itertools
import json
import threading
import time

PAUSE = 0.2
GIVE_UP = 120


def token(app):
    """A fresh one: HS256 over header and claims."""
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    claims = {"appId": app["client_id"], "sub": "rooms", "iat": int(time.time())}
    head = b".".join(part(json.dumps(value).encode()) for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (head + b"." + part(hmac.digest(app["client_secret"].encode(), head, "sha256"))).decode()


def post(host, app, path, user, text):
    """One message of a user, with a token and a key of its own: status and body, 0 when nobody answers."""
    connection = http.client.HTTPConnection(host, 8080, timeout=30)
    headers = {
        "authorization": f"Bearer {token(app)}",
        "content-type": "application/json",
        "idempotency-key": f"{user}-{text}",
    }
    body = json.dumps({"message": {"text": text}, "from": {"id": user}})
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, repr(error)
    finally:
        connection.close()


class Receiver(http.server.ThreadingHTTPServer):
    """Writes down every POST before it answers 204."""

    daemon_threads = True

    def __init__(self, address):
        super().__init__((address, 0), Receive)
        self.posts, self.lock = {}, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Receive(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            seen = self.server.posts.setdefault(body["to"], [])
            seen.append((self.headers["webhook-id"], body["text"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Speakers:
    """Each says 1, 2, 3, … and repeats a number with its key until it is accepted."""

    def __init__(self, hosts, app, paths, each):
        self.hosts, self.app = hosts, app
        self.accepted, self.wrong, self.refused = {}, [], []
        self.stopped = threading.Event()
        self.turn = itertools.count()
        self.threads = [
            threading.Thread(target=self.speak, args=(f"{mode}-{n}", mode, path), daemon=True)
            for mode, path in paths.items()
            for n in range(each)
        ]
        for thread in self.threads:
            thread.start()

    def speak(self, user, mode, path):
        for number in itertools.count(1):
            if self.stopped.is_set():
                return
            answer = self.until_accepted(path, user, str(number))
            if answer is None:
                self.wrong.append(f"{user}: {number} was never accepted")
                return
            if mode == "sync" and json.loads(answer).get("text") != str(number):
                self.wrong.append(f"{user}: {number} was answered with {answer}")
            self.accepted[user] = number
            time.sleep(PAUSE)

    def until_accepted(self, path, user, text):
        deadline = time.monotonic() + GIVE_UP
        while time.monotonic() < deadline:
            status, answer = self.post(path, user, text)
            if status == 200:
                return answer
            self.refused.append(f"{user}: {text}: {status} {answer[:200]}")
            time.sleep(0.2)
        return None

    def post(self, path, user, text):
        hosts = self.hosts()
        return post(hosts[next(self.turn) % len(hosts)], self.app, path, user, text)

    def said(self):
        return sum(list(self.accepted.values()))

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(GIVE_UP + 30)


def judge(accepted, receiver):
    """What was lost, doubled or came in another order; empty when all is well."""
    for user, count in accepted.items():
        if not user.startswith("async"):
            continue
        # A repeat has the id of the first.
        firsts = dict.fromkeys(receiver.get(user, []))
        texts = [int(text) for _, text in firsts]
        if texts != list(range(1, count + 1)):
            yield f"{user}: {count} were accepted, and these came: {texts}"


def control():
    """That what is broken is found: a judge that finds nothing proves nothing."""
    posts = [(str(n), str(n)) for n in range(1, 4)]
    histories = {
        "nothing": posts,
        "a repeat": posts + posts[:1],
        "a loss": posts[:2],
        "another order": [posts[1], posts[0], posts[2]],
        "a second id": [*posts, ("4", "3")],
    }
    for what, history in histories.items():
        found = bool(list(judge({"async-0": 3}, {"async-0": history})))
        if found != (what not in ("nothing", "a repeat")):
            raise SystemExit(f"the judge is wrong about {what}")
