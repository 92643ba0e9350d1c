"""An HTTP bot that counts, with nothing but the standard library. Prints its port."""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUTTONS = [{"type": "postback", "title": title, "payload": title.lower()} for title in ("Red", "Blue")]
MENU = {
    "type": "template",
    "payload": {"template_type": "button", "text": "Colour?", "buttons": BUTTONS},
}


class Bot(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        count = request["context"]["session"]["BotUserSession"].get("count", 0) + 1
        time.sleep(0.005)
        text = request["message"]["text"]
        said = MENU if text == "menu" else f"{count}: {text}"
        body = json.dumps({"messages": [said], "session": {"count": count}}).encode()
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
