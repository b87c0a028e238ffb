"""What nginx reads on a host and the role has not made. Standard library only."""

import glob
import hashlib
import os
import subprocess

from . import nginx_paths as paths
from .files import read, read_bytes, write

# What Debian's own nginx.conf says, each release's of them.
STOCK = """
    user www-data; worker_processes auto; worker_cpu_affinity auto; pid /run/nginx.pid;
    error_log /var/log/nginx/error.log; include /etc/nginx/modules-enabled/*.conf;
    events { worker_connections 768; } http { sendfile on; tcp_nopush on; types_hash_max_size 2048;
    server_tokens build; server_tokens off; include /etc/nginx/mime.types;
    default_type application/octet-stream;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on;
    ssl_prefer_server_ciphers off; access_log /var/log/nginx/access.log; gzip on;
    include /etc/nginx/conf.d/*.conf; include /etc/nginx/sites-enabled/*; }
"""


def is_stock(path):
    """Whether this is Debian's welcome page: it would claim port 80 for itself."""
    return path == paths.STOCK_SITE and os.path.realpath(path) == f"{paths.HOME}/sites-available/default"


def unmanaged():
    """Files that nginx.conf includes and the role has not made."""
    found = glob.glob(f"{paths.HOME}/conf.d/*.conf") + glob.glob(f"{paths.HOME}/sites-enabled/*")
    return sorted(path for path in found if os.path.isfile(path) and not is_stock(path))


def seen():
    """The file with the digest of what nginx has loaded."""
    return f"{paths.RELEASES}/.unmanaged"


def digest():
    """What the unmanaged files are known by; "" where there are none."""
    total = hashlib.sha256()
    for path in unmanaged():
        total.update(f"{path}\n".encode() + hashlib.sha256(read_bytes(path)).digest())
    return total.hexdigest() if unmanaged() else ""


def unloaded():
    """Whether one of them came, went or changed since nginx has loaded them."""
    return digest() != read(seen())


def note(loaded):
    """Remember what nginx has loaded."""
    write(seen(), loaded, 0o644)


def shipped():
    """Whether nginx.conf is as its package brought it."""
    words = ["dpkg-query", "--show", "--showformat=${Conffiles}", "nginx-common"]
    known = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    now = hashlib.md5(read_bytes(paths.LINK), usedforsecurity=False).hexdigest()
    return f" {paths.LINK} {now}" in known


def own_settings():
    """Lines that somebody added to Debian's nginx.conf before the role came: number and text."""
    if (
        not os.path.isfile(paths.LINK)
        or os.path.islink(paths.LINK)
        or os.path.exists(paths.DIST)
        or shipped()
    ):
        return []
    stock = {" ".join(one.split()) for one in STOCK.replace("{", "{;").replace("}", "};").split(";")}
    found = []
    for number, line in enumerate(read_bytes(paths.LINK).decode("utf-8", "replace").splitlines(), 1):
        text = " ".join(line.partition("#")[0].split())
        if text and any(" ".join(one.split()) not in stock for one in text.rstrip(";").split(";")):
            found.append(f"line {number}: {text}")
    return found
