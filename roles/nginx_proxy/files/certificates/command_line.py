"""The certificates of nginx's sites.

status   what each site has; exit code 1 if one is in trouble (nginx-proxy-status)
issue    sign with the host's own CA what is missing or due. Asks nobody, reloads nothing
renew    the same, ask the ACME server for the rest, reload nginx and see it serve them
provide  install a pair that the user brings, as {"certificate": PEM, "key": PEM} on stdin
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys

from . import paths
from .description import Description, Trouble
from .renewal import alone, issue, provide, renew
from .status import failed, judged, table, troubles
from .trust import distrusted


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("verb", nargs="?", choices=["status", "issue", "renew", "provide"], default="status")
    parser.add_argument("site", nargs="?", help="for provide: the name of its folder")
    parser.add_argument(
        "--description", default=str(paths.DESCRIPTION), help="file, or - for the standard input"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be issued")
    parser.add_argument("--report", action="store_true", help="print the status at the end, as JSON")
    parser.add_argument("--force", action="store_true", help="issue what is not due, too")
    words = parser.parse_args()
    if os.geteuid():
        sys.exit("Run it as root: the sites' keys are nobody else's to read.")
    os.umask(0o022)
    one_at_a_time = contextlib.nullcontext() if words.dry_run or words.verb == "status" else alone()
    if words.verb == "provide":
        with one_at_a_time:
            provide(words.site, sys.stdin.read(), words.dry_run)
        return 0
    with contextlib.nullcontext(sys.stdin) if words.description == "-" else open(words.description) as file:
        wanted = Description.read(file.read())
    try:
        with one_at_a_time:
            if words.verb == "issue":
                issue(wanted, words.dry_run, words.force)
            if words.verb == "renew":
                renew(wanted, words.dry_run, words.force)
    except Trouble as problem:
        sys.exit(f"{problem}.")
    failures = failed()
    rows = [judged(site, wanted.acme, failures) for site in wanted.sites]
    said = troubles(rows)
    # Not before nginx has read whom it is to trust.
    if words.verb == "status":
        said += distrusted(wanted.trusts, wanted.trusted_name)
    if words.report:
        print(json.dumps({"table": table(rows).splitlines(), "troubles": said}))
    if words.verb == "issue" or (words.verb == "renew" and words.dry_run):
        return 0
    if words.verb == "status" and rows:
        print(table(rows))
    for trouble in said:
        print(trouble, file=sys.stderr)
    return 1 if said else 0
