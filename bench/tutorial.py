"""The tutorial's own way, on the bench's host: its hello.py started plainly, its nginx configuration.

The listings stand in listings/ to the letter (and the program in tests/samples/programs/).
CHANGES is all that is done to them, so that Debian's nginx takes them beside the other one.
"""

import re
from pathlib import Path

from lab import on_host, put

PORTS = [9010, 9011, 9012, 9013]
HTTP, HTTPS = 9080, 9443
NAME = "hello.example.test"
FOLDER = Path(__file__).resolve().parent / "listings"
CERTIFICATE = f"/etc/nginx/certificates/{NAME}"
# What is there, what stands there instead, and why.
CHANGES = [
    (r"(?s)(proxy_next_upstream.*)", r"http {\n\1}\n", "upstream and server belong in http, nginx says"),
    (r"/var/run/nginx.pid", "/run/tutorial.pid", "the other nginx has that file"),
    (r"listen 80;", f"listen {HTTP};", "the other nginx has that port"),
    (r"listen 443;\s+ssl on;", f"listen {HTTPS} ssl;", "nginx 1.25 has no ssl on; and the port is taken"),
    (r"www.example.org \*.example.org", NAME, "the name that is asked for"),
    (r"/path/to/cert.pem", f"{CERTIFICATE}/fullchain.pem", "the other's certificate: the same key type"),
    (r"/path/to/cert.key", f"{CERTIFICATE}/privkey.pem", "and its key"),
    (r"127.0.0.1:800", "127.0.0.1:901", "processes of its own"),
]
# Not the tutorial's: without these lines its nginx lets no WebSocket through at all.
SOCKETS = """
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
"""


def configuration(sockets=False):
    """Both listings as one file; with what a WebSocket needs."""
    text = (FOLDER / "listing-2-1.conf").read_text() + (FOLDER / "listing-2-2.conf").read_text()
    for found, instead, _why in CHANGES:
        text = re.sub(found, instead, text)
    if sockets:
        text = text.replace("location / {", "location / {" + SOCKETS)
    return text


def changes():
    """What differs from the listings, a line each."""
    return [f"{found} -> {instead}: {why}" for found, instead, why in CHANGES]


def start(sockets=False):
    """Four processes and the tutorial's nginx; sockets: of app/, since the tutorial's program has none."""
    name = "hello" if sockets else "tutorial"
    home = on_host(f"realpath /srv/{name}/current")
    python = f"{home}/.release/venv/bin/python"
    on_host("id nginx > /dev/null 2>&1 || useradd --system --no-create-home nginx")
    for port in PORTS:
        on_host(
            f"systemctl is-active --quiet tutorial-{port} || systemd-run --quiet --unit=tutorial-{port}"
            f" --property=LimitNOFILE=infinity {python} {home}/{name}.py --logging=warning --port={port}"
        )
    for port in PORTS:
        on_host(f"curl --silent --fail --retry 20 --retry-connrefused http://127.0.0.1:{port}/")
    put("/etc/tutorial/nginx.conf", configuration(sockets))
    on_host("nginx -t -q -c /etc/tutorial/nginx.conf")
    on_host(
        "systemctl stop tutorial-nginx 2> /dev/null; systemd-run --quiet --unit=tutorial-nginx"
        " nginx -g 'daemon off;' -c /etc/tutorial/nginx.conf"
    )
    on_host(f"curl --silent --fail --retry 20 --retry-connrefused -H 'Host: {NAME}' http://127.0.0.1:{HTTP}/")


def stop():
    """All of it is gone."""
    on_host(
        f"systemctl stop tutorial-nginx {' '.join(f'tutorial-{port}' for port in PORTS)} 2> /dev/null || true"
    )
