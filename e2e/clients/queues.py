"""Looks into the turn queues with another client: queues.py URL PREFIX.

Takes every job without acknowledging it and prints what a stranger with access to the broker sees.
"""

import json
import sys

import pika

url, prefix = sys.argv[1:3]
connection = pika.BlockingConnection(pika.URLParameters(url))
jobs = []
for partition in range(16):
    name = f"{prefix}.turns.g1.p{partition:02d}"
    channel = connection.channel()
    declared = channel.queue_declare(name, passive=True)
    if declared.method.message_count == 0:
        continue
    channel.basic_qos(prefetch_count=1000)
    for method, properties, body in channel.consume(name, inactivity_timeout=5):
        if method is None:
            break
        jobs.append({
            "queue": name,
            "headers": properties.headers or {},
            "properties": {
                key: str(value)
                for key, value in vars(properties).items()
                if value is not None and key != "headers"
            },
            "body": body.hex(),
        })
        if method.delivery_tag == declared.method.message_count:
            break
connection.close()
print(json.dumps(jobs))
