"""A RabbitMQ and a PostgreSQL of Debian in this network namespace, both ended with this process."""

import os
import pathlib
import pwd
import socket
import subprocess
import time

ADDRESS = "192.0.2.1"
AMQP = f"amqp://guest:guest@{ADDRESS}:5672/%2f"
POSTGRES = f"postgres://postgres@{ADDRESS}/postgres"
PATIENCE = 120


def start(folder):
    """Both, answering; their processes."""
    running = [rabbitmq(folder / "rabbitmq"), postgres(folder / "postgres")]
    for port in (5672, 5432):
        deadline = time.monotonic() + PATIENCE
        while not answers(port):
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing answers on port {port}")
            time.sleep(0.2)
    return running


def answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((ADDRESS, port)) == 0


def rabbitmq(folder):
    folder.mkdir()
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = {ADDRESS}:5672\nloopback_users = none\ndisk_free_limit.absolute = 1MB\nlog.file.level = warning\n"
    )
    (folder / "plugins").write_text("[].\n")
    (folder / "env.conf").write_text("")
    server = max(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")) / "sbin" / "rabbitmq-server"
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": "switchhook@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    with (folder / "out").open("wb") as out:
        return [
            subprocess.Popen(["epmd"], env=env, stdout=out, stderr=out),
            subprocess.Popen(["/bin/sh", server], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out),
        ]


def postgres(folder):
    user = pwd.getpwnam("postgres")
    folder.mkdir()
    os.chown(folder, user.pw_uid, user.pw_gid)
    binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    run = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
    command = [binaries / "initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D", folder / "data"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **run)
    with (folder / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 192.0.2.0/24 trust\n")
    settings = {"listen_addresses": ADDRESS, "unix_socket_directories": folder, "max_connections": 200, "fsync": "on"}
    command = [binaries / "postgres", "-D", folder / "data"]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    with (folder / "data" / "out").open("wb") as out:
        return [subprocess.Popen(command, stdout=out, stderr=out, **run)]


def ask(sql):
    """What one statement returns, as text."""
    command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, POSTGRES]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def end(running):
    for process in [process for pair in running for process in reversed(pair)]:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
