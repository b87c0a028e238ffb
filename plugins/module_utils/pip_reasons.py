"""Why pip failed, of all that it and the builds below it said. Standard library only."""

import re

ERROR = re.compile(r"(?i)(?:^|[\s:])(?:fatal )?error: (.+)")
# What pip says when something else has failed before, and said why.
SUMMARY = re.compile(
    r"(?i)subprocess|metadata-generation|legacy-install|failed-wheel|failed building|could not build wheels"
    r"|failed to build|command .* failed|exit(ed)? (code|status)"
)
# What a build misses, to the Debian packages that have it.
PACKAGES = {
    r"pg_config": "libpq-dev",
    r"mysql_config|mysqlclient": "default-libmysqlclient-dev and pkg-config",
    r"'(\w+-linux-gnu-)?(gcc|cc|g\+\+|c\+\+)'|No CMAKE_C\w*_COMPILER|Unknown compiler": "build-essential",
    r"Python\.h": "python3-dev",
    r"ffi\.h": "libffi-dev",
    r"openssl/\w+\.h": "libssl-dev",
    r"libxml/|xmlversion\.h|xslt-config|libxslt": "libxml2-dev and libxslt1-dev",
    r"lber\.h|ldap\.h": "libldap-dev and libsasl2-dev",
    r"jpeglib\.h|jpeg.* could not be found": "libjpeg-dev",
    r"zlib\.h|zlib.* could not be found": "zlib1g-dev",
    r"sqlite3\.h": "libsqlite3-dev",
    r"krb5-config": "libkrb5-dev",
    r"curl-config": "libcurl4-openssl-dev",
    r"pkg-config.*not found|Did not find pkg-config": "pkg-config",
    r"command 'git'|find command 'git'": "git",
    r"can't find Rust compiler|cargo.*not (found|installed)": "cargo",
}


def why(lines):
    """The first error that is no summary of others, with a colon before it; "." where there is none."""
    found = [match[1].strip() for line in lines if (match := ERROR.search(line))]
    first = next((one for one in found if not SUMMARY.search(one)), None) or (found[0] if found else "")
    return f": {first.rstrip('.')}." if first else "."


def remedy(lines):
    """A sentence that names Debian's packages for what a build misses; empty where nothing is known."""
    text = "\n".join(lines)
    missing = [package for words, package in PACKAGES.items() if re.search(words, text)]
    return f" List {', '.join(missing)} in tornado_app_packages." if missing else ""
