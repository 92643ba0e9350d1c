"""fakellm, an OpenAI-compatible server, with the rules of model.yaml. Prints its port."""

import os
import pathlib
import socket

os.environ["FAKELLM_CONFIG"] = str(pathlib.Path(__file__).with_name("model.yaml"))

import uvicorn  # noqa: E402
from fakellm.server import app  # noqa: E402

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(100)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
