"""Ask git: for one version of a repository, with the user's own keys and helpers; and what it ignores."""

import os
import re
import subprocess
from urllib.parse import unquote, urlsplit

from ..module_utils.refusal import Refusal

WEB = ("http", "https")
# How git is to reach a server. All else that the environment says is about another repository: git sets it
# for what a hook, a rebase or a bisect runs.
INHERITED = re.compile(
    "GIT_(SSH|SSL_|HTTP_|PROXY_|ASKPASS|CONFIG_(COUNT|KEY_|VALUE_|GLOBAL|SYSTEM|NOSYSTEM))"
)
# A repository names programs that git would run for it; this machine's folders are no more than read.
NO_PROGRAMS = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]
# Nor do they have it ask a server for what they lack, which is another program of the repository's choice.
NO_SERVERS = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
# What git says besides the reason.
ADVICE = (
    "could not read from remote",
    "make sure you have the correct",
    "and the repository exists",
    "hint:",
)
# Answers git's question for a password from the environment, which no other user can read.
HELPER = (
    """!f() { test "$1" != get || printf 'username=%s\\npassword=%s\\n' "$GIT_USER" "$GIT_PASSWORD"; }; f"""
)


def scheme(source):
    """The scheme of an address, as https; that of git's host:path is ssh. "" of a path."""
    name, slashes, _rest = source.partition("://")
    if slashes:
        return name.lower()
    short = ":" in source.split("/")[0] and not os.path.lexists(source)
    return "ssh" if short else ""


def reason(text):
    """Why git failed, of all that it said."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not any(one in line.lower() for one in ADVICE)]
    return (
        "; ".join(re.sub("^(fatal|error|remote): ", "", one).rstrip(".") for one in said[-2:])
        or "no reason given"
    )


def git(where, *words, **variables):
    """What git prints, as one text. Refusal: it failed."""
    return answer(where, *words, **variables).decode().strip()


def answer(where, *words, **variables):
    """The bytes that git prints, which never asks the user for anything. Refusal: it failed."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or INHERITED.match(name)
    }
    quiet = {"GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never"}
    done = subprocess.run(
        ["git", "-C", where, *NO_PROGRAMS, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**inherited, **quiet, **variables},
        start_new_session=True,  # without a terminal, where ssh would ask
        check=False,
    )
    if done.returncode != 0:
        raise Refusal(reason(done.stderr.decode("utf-8", "replace")))
    return done.stdout


def checkout_of(folder):
    """The nearest folder with a repository that a folder is or lies in; None: there is none."""
    # Beside a submodule and a worktree lies a file that says where the repository is.
    while not any(os.path.isfile(os.path.join(folder, one)) for one in (".git", ".git/HEAD")):
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)
    return folder


def ignored(folder):
    """Paths in a folder of a checkout that git ignores. Refusal, FileNotFoundError: git can't say.

    None of them where it ignores the whole folder, as it does what a build has made: that is to run.
    """
    top = checkout_of(folder)
    if top is None:
        return []
    prefix = os.path.relpath(folder, top)
    prefix = "" if prefix == "." else f"{prefix}/"
    # Of the whole checkout: asked for a folder below one that it ignores, git knows no answer.
    words = ["--others", "--ignored", "--exclude-standard", "--directory"]
    said = answer(top, "ls-files", "-z", *words, **NO_SERVERS)
    found = [os.fsdecode(one).rstrip("/") for one in said.split(b"\0") if one]
    if any(f"{prefix}/".startswith(f"{one}/") for one in found):
        return []
    return [one.removeprefix(prefix) for one in found if one.startswith(prefix)]


def credentials(address):
    """An address without name and password, and variables that give them to git, unseen in process lists.

    For that server alone: what a repository names as a submodule may be with anybody.
    """
    if scheme(address) not in WEB or "@" not in (parts := urlsplit(address)).netloc:
        return address, {}
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    name, password = unquote(parts.username or ""), parts.password
    # A name alone may be a token; the user's own helpers may know its password.
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    key, value = "username", name
    if password is not None:
        key, value = "helper", HELPER
    variables = {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"credential.{parts.scheme}://{parts.netloc}.{key}",
        f"GIT_CONFIG_VALUE_{count}": value,
        "GIT_USER": name,
        "GIT_PASSWORD": unquote(password or ""),
    }
    return parts.geturl(), variables


def check_out(source, version, folder):
    """Check a version out, with its submodules, into a folder that is not there yet; its commit."""
    wanted = version or "HEAD"
    os.mkdir(folder)
    try:
        if wanted.startswith("-"):
            raise Refusal("a version begins with no dash")
        path = os.path.expanduser(source)
        address, variables = credentials(os.path.abspath(path) if os.path.exists(path) else source)
        git(folder, "init", "--quiet")
        git(folder, "remote", "add", "origin", address)
        try:
            # Servers give away branches and tags by name, commits only sometimes.
            git(folder, "fetch", "--quiet", "--depth=1", "origin", wanted, **variables)
            commit = git(folder, "rev-parse", "FETCH_HEAD^{commit}")
        except Refusal:
            git(folder, "fetch", "--quiet", "origin", "+refs/*:refs/tornadoes/*", **variables)
            commit = find(folder, wanted)
        git(folder, "checkout", "--quiet", "--detach", commit, **variables)
        if os.path.exists(f"{folder}/.gitmodules"):
            # One of this machine may lie beside a repository of this machine, and of no other.
            mine = ["-c", "protocol.file.allow=always"] if scheme(address) in ("", "file") else []
            update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"]
            git(folder, *mine, *update, **variables)
    except (Refusal, ValueError) as problem:  # an address that is none
        raise Refusal(
            f"tornado_app_source: git can't fetch version '{wanted}' of {source}"
            f" ({problem}). Give an address and a version that exist and that you may read."
        ) from problem
    date(folder, int(git(folder, "show", "--no-patch", "--format=%ct", commit)))
    return commit


def find(folder, wanted):
    """The commit of a version, by its name at the server or its id."""
    for name in (f"refs/tornadoes/heads/{wanted}", f"refs/tornadoes/tags/{wanted}", wanted):
        try:
            return git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except Refusal:
            continue
    raise Refusal(f"there is no branch, tag or commit '{wanted}'")


def date(folder, seconds):
    """Give all files the commit's time, in seconds since 1970: browsers see a static file's."""
    for where, _folders, names in os.walk(folder):
        for name in names:
            os.utime(os.path.join(where, name), (seconds, seconds), follow_symlinks=False)
