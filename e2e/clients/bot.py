"""An HTTP bot in another language: bot.py. Prints its port, then answers with what it was told.

Speaks docs/http-bot.md with nothing but the standard library.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bot(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers["content-length"])
        request = json.loads(self.rfile.read(length))
        session = request["context"]["session"]["BotUserSession"]
        token = session["lastMessage"]["customData"]["userToken"]
        count = session.get("count", 0) + 1
        answer = {
            "messages": [
                f"message {count}: {request['message']['text']}",
                f"token {token}",
            ],
            "session": {"count": count},
            "endOfTask": True,
            "endReason": "Fulfilled",
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Bot)
print(server.server_address[1], flush=True)
server.serve_forever()
