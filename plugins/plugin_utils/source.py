"""Bring a source onto the controller: a folder, a git repository, or an archive."""

import hashlib
import os
import shutil
import stat
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

from ansible.module_utils.urls import ConnectionError, open_url

from ..module_utils.refusal import Refusal
from ..module_utils.text import printable, without_passwords
from .archive import DAMAGED, unpack
from .git import WEB, check_out, scheme

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")


def remote(source):
    """Whether a source is the address of a repository or an archive, rather than a path."""
    return scheme(source) in ("git", "ssh", "file", *WEB)


def is_archive(source):
    """Whether a source is called as an archive, by path or address."""
    return (urlsplit(source).path if scheme(source) else source).endswith(ARCHIVES)


def is_git(source, version):
    """Whether a source is a git repository, rather than a folder or an archive."""
    return bool(version) or source.endswith(".git") or (remote(source) and not is_archive(source))


def origin_of(source, *more):
    """A source as the history and the status show it, without secrets."""
    if scheme(source) in WEB:
        source = source.partition("?")[0].partition("#")[0]
    return " ".join(word for word in (printable(without_passwords(source)), *more) if word)


def fetch(params, scratch):
    """The folder of the source that these options name, and its origin. scratch: a folder to use."""
    source, version, checksum = (params[name] for name in ("source", "version", "checksum"))
    if not remote(source) and ".." in source.split("/"):
        source = os.path.realpath(os.path.expanduser(source))
    if is_git(source, version):
        folder = os.path.join(scratch, "tree")
        commit = check_out(source, version, folder)
        return folder, origin_of(source, version, commit)
    origin = origin_of(source)
    path = os.path.expanduser(source)
    if scheme(source) in WEB:
        if not checksum:
            raise Refusal(
                f"tornado_app_checksum: {origin} comes from the network. Give its checksum, sha256:DIGITS."
            )
        path = download(source, origin, scratch)
    elif scheme(source) == "file":
        path = unquote(urlsplit(source).path)
    if is_archive(source):
        if not os.path.isfile(path):
            raise Refusal(f"tornado_app_source: {origin} is no file on the controller.")
        return from_archive(path, origin, checksum, scratch), origin
    if not os.path.isdir(path):
        raise Refusal(
            f"tornado_app_source: {origin} does not exist on the controller."
            " Give a directory, a git address or an archive."
        )
    return os.path.realpath(path), origin


def download(source, origin, scratch):
    """The path of what an address gives. origin: the address as it may be shown."""
    path = os.path.join(scratch, "archive")
    try:
        with open_url(source, timeout=60) as answer, open(path, "wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, ConnectionError, HTTPException) as problem:  # an answer that is an error among them
        raise Refusal(f"tornado_app_source: {origin} can't be fetched ({problem}).") from problem
    return path


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
