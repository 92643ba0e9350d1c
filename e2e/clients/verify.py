"""Verifies a delivery with the PyPI package: verify.py SECRET < {"headers":{…},"body":"…"} a line."""

import json
import sys

from standardwebhooks.webhooks import Webhook

webhook = Webhook(sys.argv[1])
for line in sys.stdin:
    post = json.loads(line)
    webhook.verify(post["body"], post["headers"])
    tampered = post["body"].replace("text", "test", 1)
    try:
        webhook.verify(tampered, post["headers"])
    except Exception:  # the library's own class differs between releases
        print("verified")
    else:
        sys.exit("a tampered body was accepted")
