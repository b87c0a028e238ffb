"""Why pip failed, of all that it and the builds below it said. Standard library only."""

import glob
import re
import sys

ERROR = re.compile(r"(?i)(?:^|[\s:])(?:(?:fatal )?error|fatal): (.+)")
# What pip says when something else has failed before, and said why.
SUMMARY = re.compile(
    r"(?i)subprocess|metadata-generation|legacy-install|failed-wheel|failed building|could not build wheels"
    r"|failed to build|command .* failed|exit(ed)? (code|status)"
)
# What a build's own program ends with.
EXCEPTION = re.compile(r"^\s*((?:\w+\.)*\w*(?:Error|Exception|NotFound): .+)")
# What pip is at, and that it has failed there.
BEGUN = re.compile(r"^\s*(?:Collecting|Processing|Building wheel for|Building editable for) (\S+)")
FAILED = "finished with status 'error'"
SOURCE = re.compile(r"^(?:file://)?/srv/[^/]+/venvs/\w+/source/?")  # where pip finds the source
# What a build misses, to the Debian packages that have it.
PACKAGES = {
    r"pg_config": "libpq-dev",
    r"mysql_config|mysqlclient": "default-libmysqlclient-dev and pkg-config",
    r"'(\w+-linux-gnu-)?(gcc|cc|g\+\+|c\+\+)'|No CMAKE_C\w*_COMPILER|Unknown compiler"
    r"|No working compiler": "build-essential",
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
# What such a build needs besides, to where it is.
COMPILING = {"build-essential": "/usr/bin/cc", "python3-dev": "/usr/include/python3*/Python.h"}
# Of a time when Python did not have it itself, beside what is called as it is there.
BACKPORTS = {"enum34", "functools32", "futures", "subprocess32", "unittest2"}
# What another tool has written into a requirements file, to what is to be done with it.
CONDA = "That line is conda's own: write such lists with pip list --format=freeze."
WRITTEN_BY_OTHERS = {
    r"pkg[-_]resources==0\.0\.0": "Take that line out: some pip freeze writes it, and it is no package.",
    r"/feedstock_root/|/conda-bld/|/croot/": CONDA,
    r"requirement (?:py(?:pi)?win32|pywinpty|windows-curses|twisted-iocpsupport|pyobjc[\w-]*)\b": (
        "That is for Windows or macOS alone: take it out, or write ; sys_platform == 'win32' (or 'darwin')"
        " behind it."
    ),
    r"Invalid requirement: '[\w.-]+=[\w.!+-]+=\w+'": CONDA,
}

# Why no index has answered, which pip says in warnings alone: its error is that there is no such version.
SILENT = {
    r"name resolution|Name or service not known|No address associated": "can't resolve the name of its index",
    r"is not yet valid|has expired": "has a date at which its index's certificate is invalid",
    r"CERTIFICATE_VERIFY_FAILED": "does not know who has signed its index's certificate",
    r"Connection refused|timed out|unreachable|No route to host|ProxyError": "can't reach its index",
}


def culprit(lines):
    """The requirement whose build has failed, as pip names it; "" where none has."""
    name = ""
    for line in lines:
        if FAILED in line:
            return SOURCE.sub("", name) or ("the source" if name else "")
        name = match[1] if (match := BEGUN.search(line)) else name
    return ""


def why(lines):
    """The first error that is no summary of others, with a colon before it; "." where there is none."""
    found = [match[1].strip() for line in lines if (match := ERROR.search(line))]
    raised = [match[1].strip() for line in lines if (match := EXCEPTION.search(line))]
    own = [one for one in found if not SUMMARY.search(one)]
    first = next(iter([*own, *reversed(raised), *found]), "")
    name = culprit(lines)
    built = f"{name} can't be built: " if name else ""
    return f": {built}{first.rstrip('.')}." if first else "."


def remedy(lines):
    """A sentence on what to do: about an index, a line of the requirements, or what a build misses.

    Empty where nothing is known.
    """
    text = "\n".join(lines)
    broken = "\n".join(
        line for line in lines if "connection broken by" in line or "confirming the ssl" in line
    )
    what = next((what for words, what in SILENT.items() if re.search(words, broken)), "")
    if what and "(from versions: none)" in text:
        return f" The host {what}. Mend that, or give tornado_app_index another one, or tornado_app_wheels."
    for words, cure in WRITTEN_BY_OTHERS.items():
        if re.search(words, text):
            return f" {cure}"
    name = culprit(lines)
    if re.split(r"[^\w.-]", name)[0].lower() in BACKPORTS | sys.stdlib_module_names:
        return " Take it out of the requirements: Python has that itself."
    missing = [package for words, package in PACKAGES.items() if re.search(words, text)]
    if any("-dev" in one for one in missing):
        missing += [one for one, path in COMPILING.items() if one not in missing and not glob.glob(path)]
    if missing:
        return f" List {', '.join(missing)} in tornado_app_packages."
    if name == "the source":
        return " List in a requirements.txt what it needs, if it can do without its build: that goes before."
    if "Could not read from remote repository" in text:
        return (
            " A build has no ssh keys: give that package in tornado_app_wheels or tornado_app_index, or as a"
            " folder of the source."
        )
    old = re.search("==|<|~=", name)
    return " It may be too old for this Python: take a newer one, or see tornado_app_python." if old else ""


def no_tornado(requirements, python, lines):
    """The sentence for an environment without a Tornado that works. lines: the last one says why not."""
    why_not = lines[-1] if lines else "no reason given"
    none = "No module named 'tornado'" in why_not
    which = "it" if none else "one that it can"
    other = " What has left Tornado can't be deployed here." if none else ""
    return (
        f"tornado_app_requirements: {requirements} installs no Tornado that {python} can import ({why_not})."
        f" List {which}, as tornado>=6.4: docs/tornado.md says which runs on which Python.{other}"
    )
