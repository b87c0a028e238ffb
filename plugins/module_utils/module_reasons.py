"""What to do about what a program misses, module or file, by what a release holds. Standard library only."""

import glob
import os
import re

from .text import printable

NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)'")
NO_FILE = re.compile(r"No such file or directory: '([^']+)'")
# What environments or Python 3.12 had of themselves, to the requirement that brings it.
FORMER = {"pkg_resources": "setuptools<82", "distutils": "setuptools", "setuptools": "setuptools"}
REDISTRIBUTED = (
    *("aifc", "asynchat", "asyncore", "cgi", "cgitb", "chunk", "crypt", "imghdr", "mailcap", "nntplib"),
    *("pipes", "smtpd", "sndhdr", "sunau", "telnetlib", "uu", "xdrlib"),
)
FORMER |= {"imp": "zombie-imp", **{name: f"standard-{name}" for name in REDISTRIBUTED}}
# What Python 3 says of code that only Python 2 understands.
PYTHON_2_MODULES = (
    r"__builtin__|BaseHTTPServer|ConfigParser|Cookie|cookielib|copy_reg|cPickle|c?StringIO|HTMLParser"
    r"|htmlentitydefs|httplib|md5|Queue|SimpleHTTPServer|sha|SocketServer|thread|Tkinter|url(?:lib2|parse)|xmlrpclib"
)
PYTHON_2 = re.compile(
    rf"ModuleNotFoundError: No module named '(?:{PYTHON_2_MODULES})'"
    r"|SyntaxError: (?:Missing parentheses in call to 'print'|multiple exception types must be parenthesized)"
    r"|NameError: name '(?:basestring|execfile|raw_input|unichr|unicode|xrange)' is not defined"
    r"|ImportError: cannot import name '\w+' from 'urllib'|ImportError: cannot import name 'izip"
    r"|AttributeError: 'dict' object has no attribute '(?:has_key|iter\w+)'"
)
INSTALLED = ("requirements.txt", "pyproject.toml", "setup.py", "pylock.toml", "Pipfile", "Pipfile.lock")
PROJECT = re.compile(r"^\[(?:project|tool\.poetry)\]", re.MULTILINE)  # others have settings of tools alone
FOR_PIP = ("*requirements*.txt", "requirements*/*.txt", "*/requirements.txt")
FOR_OTHERS = ("environment.y*ml", "conda*.y*ml", "requirements*.in")
SHOWN = 3  # files in a sentence


def found(release, *patterns):
    """The paths in a release that have such names."""
    return sorted(path for one in patterns for path in glob.glob(one, root_dir=release))


def folders(release, *above):
    """The folders in a release, or in some of its own. No links: a program may write where these lead."""
    every = [path for one in above or [""] for path in found(release, f"{glob.escape(one)}*/")]
    return [one for one in every if not os.path.islink(os.path.join(release, one.rstrip("/")))]


def holder(release, module):
    """The folder of a release that Python would find a module in, "." being the release; "" where none is."""
    for folder in (".", *folders(release)):
        path = os.path.join(folder, module)
        if found(release, f"{path}.py", f"{path}/*.py"):
            return folder.rstrip("/")
    return ""


def installs(release, name):
    """Whether a file of a release, of those that are read, says what is to be installed."""
    with open(os.path.join(release, name), encoding="utf-8", errors="replace") as file:
        return name != "pyproject.toml" or bool(PROJECT.search(file.read()))


def beside(line, release):
    """A sentence for a file that a program has looked for in the source, and that lies in a folder there."""
    match = NO_FILE.search(line)
    path = os.path.normpath(match[1].removeprefix(f"{release}/")) if match else "/"
    if path.startswith(("/", "..")):
        return ""
    first = folders(release)
    for folder in first + (folders(release, *first) if first else []):
        if os.path.exists(os.path.join(release, folder, path)):
            name = printable(folder.rstrip("/"))
            return (
                f" The source has {name}/{printable(path)}: tornado_app_folder: {name} lets it start there."
            )
    return ""


def unread(release, left_out):
    """A sentence on what a source says that it needs where nobody has looked; "" where it says nothing."""
    if over := [one for one in left_out if one.startswith("../")]:
        return (
            f" {printable(over[0])} lies above the source, so nothing of it is installed: give that folder as"
            " tornado_app_source, and the paths in it."
        )
    if not os.path.isdir(release) or any(installs(release, one) for one in found(release, *INSTALLED)):
        return ""
    if files := found(release, *FOR_PIP):
        names = ", ".join(map(printable, files[:SHOWN]))
        return f" The source has {names}: name what is to be installed in tornado_app_requirements."
    if files := found(release, *FOR_OTHERS):
        return f" What {printable(files[0])} says is not installed: write it into a requirements.txt."
    return ""


def remedy(line, release, left_out=()):
    """A sentence for a line that misses something, or is about another Python; "" where nothing is known.

    release: its folder. left_out: paths, as seen from the source, that are no part of it.
    """
    match = NO_MODULE.search(line)
    module = match[1] if match else ""
    if module and (folder := holder(release, module)):
        path = printable(os.path.normpath(f"{folder}/{module}"))
        return (
            f" The source has {path}, where Python does not look: if that is meant, set"
            f" PYTHONPATH: {printable(folder)} in tornado_app_environment."
        )
    if sentence := beside(line, release):
        return sentence
    if PYTHON_2.search(line):
        return " That is Python 2: docs/carry-forward.md says how such a program goes on."
    if module in FORMER:
        return f" {module} is no part of Python any more: list {FORMER[module]} in the requirements."
    return unread(release, left_out) if module else ""
