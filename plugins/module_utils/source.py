"""Bring a source onto the controller: a folder, a git repository, or an archive."""

import hashlib
import os
import stat
import subprocess
from urllib.parse import unquote, urlsplit

from ansible.module_utils.urls import fetch_file

from .archive import DAMAGED, unpack
from .refusal import Refusal
from .text import printable, without_passwords

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
WEB = ("http", "https")
# Answers git's question for a password from the environment, which no other user can read.
HELPER = (
    """!f() { test "$1" != get || printf 'username=%s\\npassword=%s\\n' "$GIT_USER" "$GIT_PASSWORD"; }; f"""
)


def scheme(source):
    """The scheme of an address, as https; that of git's user@host:path is ssh. "" of a path."""
    name, slashes, _rest = source.partition("://")
    return name.lower() if slashes else "ssh" if source.startswith("git@") else ""


def remote(source):
    """Whether a source is the address of a repository or an archive, rather than a path."""
    return scheme(source) in ("git", "ssh", *WEB)


def is_git(source, version):
    """Whether a source is a git repository, rather than a folder or an archive."""
    return bool(version) or source.endswith(".git") or scheme(source) in ("git", "ssh")


def origin_of(source, *more):
    """A source as the history and the status show it, without secrets."""
    if scheme(source) in WEB:
        source = source.partition("?")[0].partition("#")[0]
    return " ".join(word for word in (printable(without_passwords(source)), *more) if word)


def fetch(module, scratch):
    """The folder of the source that an AnsibleModule names, and its origin. scratch: a folder to use."""
    source, version, checksum = (module.params[name] for name in ("source", "version", "checksum"))
    if is_git(source, version):
        folder, commit = from_git(source, version, scratch)
        return folder, origin_of(source, version, commit)
    origin = origin_of(source)
    path = os.path.expanduser(source)
    if scheme(source) in WEB:
        if not checksum:
            raise Refusal(
                f"tornado_app_checksum: {origin} comes from the network. Give its checksum, sha256:DIGITS."
            )
        path = fetch_file(module, source)
    if source.endswith(ARCHIVES):
        if not os.path.isfile(path):
            raise Refusal(f"tornado_app_source: {origin} is no file on the controller.")
        return from_archive(path, origin, checksum, scratch), origin
    if not os.path.isdir(path):
        raise Refusal(
            f"tornado_app_source: {origin} does not exist on the controller."
            " Give a directory, a git address or an archive."
        )
    return os.path.realpath(path), origin


def git(where, *words, **variables):
    """What git prints, which never asks the user for anything. Refusal: it failed."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    environment = {**quiet, **os.environ, **variables}
    done = subprocess.run(["git", "-C", where, *words], capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refusal(lines[-1].removeprefix("fatal: ").strip())
    return done.stdout.decode().strip()


def credentials(address):
    """An address without name and password, and variables that give them to git, unseen in process lists."""
    if scheme(address) not in WEB or "@" not in (parts := urlsplit(address)).netloc:
        return address, {}
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    name = unquote(parts.username or "")
    # A name alone may be a token; the user's own helpers may know its password.
    key, value = "credential.username", name
    if parts.password is not None:
        key, value = "credential.helper", HELPER
    variables = {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": key,
        f"GIT_CONFIG_VALUE_{count}": value,
        "GIT_USER": name,
        "GIT_PASSWORD": unquote(parts.password or ""),
    }
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), variables


def from_git(source, version, scratch):
    """Fetch one version with the user's own keys; its folder, and the commit."""
    repository, archive = os.path.join(scratch, "git"), os.path.join(scratch, "tree.tar")
    wanted = version or "HEAD"
    os.mkdir(repository)
    try:
        address = os.path.abspath(os.path.expanduser(source)) if os.path.exists(source) else source
        address, variables = credentials(address)
        git(repository, "init", "--quiet", "--bare")
        try:
            # Servers give away branches and tags by name, commits only sometimes.
            git(repository, "fetch", "--quiet", "--depth=1", address, wanted, **variables)
            commit = git(repository, "rev-parse", "FETCH_HEAD^{commit}")
        except Refusal:
            git(repository, "fetch", "--quiet", address, "+refs/*:refs/*", **variables)
            commit = git(repository, "rev-parse", "--verify", wanted + "^{commit}")
        git(repository, "archive", "--format=tar", f"--output={archive}", commit)
    except (Refusal, ValueError) as problem:  # an address that is none
        raise Refusal(
            f"tornado_app_source: git can't fetch version '{wanted}' of {source}"
            f" ({problem}). Give an address and a version that exist and that you may read."
        ) from problem
    return unpacked(archive, f"version '{wanted}' of {source}", scratch), commit


def from_archive(path, name, checksum, scratch):
    """Unpack an archive; its folder, or the one folder in it that holds everything."""
    if checksum:
        kind, _colon, wanted = checksum.partition(":")
        if kind not in ("sha256", "sha384", "sha512") or not wanted:
            raise Refusal(f"tornado_app_checksum: '{checksum}' is no checksum. Write sha256:DIGITS.")
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != wanted.lower():
            raise Refusal(f"tornado_app_checksum: the archive has {kind}:{found}, not {checksum}.")
    folder = unpacked(path, name, scratch)
    inside = os.listdir(folder)
    # A link is no folder that holds everything: it may lead anywhere.
    if len(inside) == 1 and stat.S_ISDIR(os.lstat(os.path.join(folder, inside[0])).st_mode):
        return os.path.join(folder, inside[0])
    return folder


def unpacked(path, name, scratch):
    """The folder that an archive was unpacked into."""
    folder = os.path.join(scratch, "tree")
    try:
        unpack(path, folder)
    except Refusal as problem:
        raise Refusal(f"tornado_app_source: {name} {problem}. Give a source without it.") from problem
    except (*DAMAGED, OSError) as problem:
        raise Refusal(f"tornado_app_source: {name} can't be unpacked ({problem}).") from problem
    return folder
