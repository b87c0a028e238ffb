"""Where things are on the host."""

from pathlib import Path

DESCRIPTION = Path("/etc/nginx/certificates.json")  # what shall be; Ansible writes it
CERTIFICATES = Path("/etc/nginx/certificates")
CA = Path("/etc/nginx/private-ca")
STATE = Path("/var/lib/nginx-proxy")
CHALLENGES = STATE / "challenges"
FAILURES = STATE / "failures.json"
