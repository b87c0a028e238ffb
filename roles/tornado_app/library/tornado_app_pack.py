#!/usr/bin/python
"""Turn a source and the settings of an app into one release, packed as a tar file."""

DOCUMENTATION = r"""
---
module: tornado_app_pack
short_description: Pack a source and its settings into a release
description:
  - Runs on the controller. Takes a directory, a git repository or an archive, adds the
    settings, the launcher and the runner below C(.release/), and writes one tar file.
  - The release's id is derived from all that content, so packing the same twice gives
    the same id, and any change of code or settings another one.
  - Modes are normalised (0644, 0755 for what may be executed), the owner is root.
options:
  source: {type: str, required: true, description: "Directory, git address, or archive (file or URL)."}
  version: {type: str, default: "", description: "Branch, tag or commit; makes O(source) a git repository."}
  checksum: {type: str, default: "", description: "C(sha256:...) of an archive; required for a URL."}
  destination: {type: path, required: true, description: "The tar file to write."}
  runtime: {type: path, required: true, description: "Directory of launcher and runner."}
  group: {type: str, required: true, description: "Group that may read settings and secrets."}
  settings: {type: dict, required: true, description: "What it says of itself; C(secrets) become files."}
  requirements: {type: str, required: true, description: "The requirements file's path in the source."}
  default_requirements: {type: path, required: true, description: "Used where the source has none."}
  wheels: {type: str, default: "", description: "Directory of wheels that the environment is built from."}
  python: {type: str, required: true, description: "The host's interpreter and its version."}
notes:
  - What is wrong with the source comes back as RV(refusal), because the task runs under
    C(no_log), which would hide a failure's message.
"""

RETURN = r"""
id: {type: str, returned: success, description: "12 hexadecimal digits, derived from the content."}
venv: {type: str, returned: success, description: "12 hexadecimal digits for requirements and interpreter."}
origin: {type: str, returned: success, description: "The source, with the git commit where there is one."}
refusal: {type: str, returned: always, description: "One sentence on what is wrong, or empty."}
"""

import contextlib
import hashlib
import io
import json
import lzma
import os
import re
import stat
import subprocess
import tarfile
import tempfile
import zipfile
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_file

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
# Version control, environments and caches: never part of a program.
LEFT_OUT = {".git", ".hg", ".svn", ".venv", ".tox", "__pycache__"}
LEFT_OUT |= {".mypy_cache", ".pytest_cache", ".ruff_cache"}
RESERVED = ".release"
# What a damaged archive raises, by its kind.
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)
# Nothing outside of the target, no devices; Debian 12's first Pythons lack the filter.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class Refusal(Exception):
    """What the user gave can't be packed; the text is the sentence to show."""


def is_git(source, version):
    """Whether the source is a git address rather than a directory or archive."""
    return bool(version) or source.endswith(".git") or re.match(r"(git@|ssh://|git://)", source)


def is_archive(source):
    """Whether the source's name ends as an archive's does."""
    return source.endswith(ARCHIVES)


def git(where, *words):
    """Run git without ever asking the user something; its output, or a Refusal."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    done = subprocess.run(
        ["git", "-C", where, *words], capture_output=True, env={**quiet, **os.environ}, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refusal(lines[-1].removeprefix("fatal: ").strip())
    return done.stdout


def from_git(source, version, scratch):
    """Fetch one version with the user's own keys; its tree, and the commit."""
    address = os.path.abspath(os.path.expanduser(source)) if os.path.exists(source) else source
    repository = os.path.join(scratch, "git")
    os.mkdir(repository)
    try:
        git(repository, "init", "--quiet", "--bare")
        try:
            # Servers give away branches and tags by name, commits only sometimes.
            git(repository, "fetch", "--quiet", "--depth=1", address, version or "HEAD")
            commit = git(repository, "rev-parse", "FETCH_HEAD^{commit}").decode().strip()
        except Refusal:
            git(repository, "fetch", "--quiet", address, "+refs/*:refs/*")
            commit = git(repository, "rev-parse", "--verify", (version or "HEAD") + "^{commit}")
            commit = commit.decode().strip()
        tree = git(repository, "archive", "--format=tar", commit)
    except Refusal as problem:
        raise Refusal(
            f"tornado_app_source: git can't fetch version '{version or 'HEAD'}' of {source}"
            f" ({problem}). Give an address and a version that exist and that you may read."
        ) from problem
    target = os.path.join(scratch, "tree")
    with tarfile.open(fileobj=io.BytesIO(tree)) as packed:
        packed.extractall(target, **SAFELY)
    return target, commit


def from_archive(path, checksum, scratch):
    """Unpack an archive; its tree, without the one folder that holds everything."""
    if checksum:
        kind, _colon, wanted = checksum.partition(":")
        if kind not in ("sha256", "sha384", "sha512") or not wanted:
            raise Refusal(f"tornado_app_checksum: '{checksum}' is no checksum. Write sha256:DIGITS.")
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != wanted.lower():
            raise Refusal(f"tornado_app_checksum: the archive has {kind}:{found}, not {checksum}.")
    target = os.path.join(scratch, "tree")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                packed.extractall(target)
        else:
            with tarfile.open(path) as packed:
                packed.extractall(target, **SAFELY)
    except (*DAMAGED, OSError) as problem:
        raise Refusal(f"tornado_app_source: {path} can't be unpacked ({problem}).") from problem
    inside = os.listdir(target)
    if len(inside) == 1 and os.path.isdir(os.path.join(target, inside[0])):
        return os.path.join(target, inside[0])
    return target


def find_tree(module, scratch):
    """Get the source onto this machine; the folder that holds it, and its origin."""
    source, version = module.params["source"], module.params["version"]
    checksum = module.params["checksum"]
    if is_git(source, version):
        tree, commit = from_git(source, version, scratch)
        return tree, f"{source} {version} {commit}".replace("  ", " ")
    path = os.path.expanduser(source)
    if source.startswith(("https://", "http://")):
        if not checksum:
            raise Refusal(
                f"tornado_app_checksum: {source} comes from the network. Give its checksum, sha256:DIGITS."
            )
        path = fetch_file(module, source)
    if is_archive(source):
        if not os.path.isfile(path):
            raise Refusal(f"tornado_app_source: {source} is no file on the controller.")
        return from_archive(path, checksum, scratch), source
    if not os.path.isdir(path):
        raise Refusal(
            f"tornado_app_source: {source} does not exist on the controller."
            " Give a directory, a git address or an archive."
        )
    return os.path.realpath(path), source


def list_tree(tree):
    """All that belongs to the program: (path below the tree, full path), sorted."""
    found = []
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            path = os.path.join(folder, name)
            if not name.endswith(".pyc"):
                found.append((os.path.relpath(path, tree), path))
    return sorted(found)


def tar_entry(name, path):
    """What the tar file and the id know of one file: (TarInfo, content)."""
    info = tarfile.TarInfo(name)
    info.uname = info.gname = "root"
    status = os.lstat(path)
    info.mtime = int(status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        target = os.path.normpath(os.path.join(os.path.dirname(name), info.linkname))
        if os.path.isabs(info.linkname) or target.startswith(".."):
            raise Refusal(
                f"tornado_app_source: the link {name} leads out of the source"
                f" (to {info.linkname}). A release holds all that it needs."
            )
        return info, b""
    if not stat.S_ISREG(status.st_mode):
        raise Refusal(f"tornado_app_source: {name} is neither a file, a folder nor a link.")
    with open(path, "rb") as file:
        content = file.read()
    info.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    info.size = len(content)
    return info, content


def own_entry(name, content, group="root", mode=0o644):
    """One of the files below .release/."""
    info = tarfile.TarInfo(f"{RESERVED}/{name}")
    info.uname, info.gname, info.mode, info.size = "root", group, mode, len(content)
    return info, content


def folders(entries, group):
    """The folders that some entries lie in, so that no umask of the host decides on them."""
    names = {os.path.dirname(info.name) for info, _content in entries}
    for name in list(names):
        while name:
            names.add(name)
            name = os.path.dirname(name)
    for name in sorted(names - {""}):
        info = tarfile.TarInfo(name)
        info.type, info.uname, info.gname, info.mode = tarfile.DIRTYPE, "root", "root", 0o755
        if name == f"{RESERVED}/secrets":
            info.gname, info.mode = group, 0o750
        yield info, b""


def requirement_lines(path, seen=None):
    """The lines of a requirements file and of those that it includes."""
    seen = set() if seen is None else seen
    if path in seen or not os.path.isfile(path):
        return []
    seen.add(path)
    lines = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            lines.append(line)
            included = re.match(r"\s*(?:-r|--requirement|-c|--constraint)[ =]*(\S+)", line)
            if included:
                other = os.path.join(os.path.dirname(path), included[1])
                lines += requirement_lines(other, seen)
    return lines


def digest(*parts):
    """12 hexadecimal digits of SHA-256 over the parts, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()[:12]


def wheel_digests(folder):
    """Names and contents of the wheels that an environment is built from."""
    for name in sorted(os.listdir(folder)) if folder else []:
        with open(os.path.join(folder, name), "rb") as file:
            yield name
            yield hashlib.file_digest(file, "sha256").digest()


def sealed(secrets):
    """Stand for the secrets in the id, which is public: too slow to be guessed from it."""
    text = json.dumps(secrets, sort_keys=True).encode()
    return hashlib.scrypt(text, salt=b"tornado_app release", n=2**14, r=8, p=1)


def check_main(tree, main):
    """Refuse a program that isn't in the source."""
    words = main.split()
    if words[0] == "-m":
        path = words[1].replace(".", "/")
        candidates = [f"{path}.py", f"{path}/__main__.py"]
    else:
        candidates = [words[0]]
    if not any(os.path.isfile(os.path.join(tree, one)) for one in candidates):
        raise Refusal(
            f"tornado_app_main: '{main}' is not in the source (no {' or '.join(candidates)})."
            " Give a script, or -m and a package."
        )


def pack(module, scratch):
    """Write the tar file; what the module returns."""
    params, settings = module.params, module.params["settings"]
    tree, origin = find_tree(module, scratch)
    if os.path.lexists(os.path.join(tree, RESERVED)):
        raise Refusal(f"tornado_app_source: the source has a {RESERVED}, a name kept for us.")
    check_main(tree, settings["main"])
    code = [tar_entry(name, path) for name, path in list_tree(tree)]
    code_digest = digest(
        *(part for info, content in code for part in (info.name, str(info.mode), info.linkname, content))
    )

    requirements = os.path.join(tree, params["requirements"])
    if not os.path.isfile(requirements):
        requirements = params["default_requirements"]
    lines = requirement_lines(requirements)
    # A requirement that is part of the source changes with any of its files.
    local = any(re.match(r"\s*(-e|--editable|\.|/|file:)", line) for line in lines)
    wheels = os.path.expanduser(params["wheels"])
    venv = digest(params["python"], "\n".join(lines), code_digest if local else "", *wheel_digests(wheels))

    public = {key: value for key, value in settings.items() if key != "secrets"}
    own = [own_entry("settings.json", json.dumps(public, sort_keys=True).encode(), params["group"], 0o640)]
    for name in sorted(os.listdir(params["runtime"])):
        if name.endswith(".py"):
            with open(os.path.join(params["runtime"], name), "rb") as file:
                own.append(own_entry(name, file.read()))
    if requirements == params["default_requirements"]:
        with open(requirements, "rb") as file:
            own.append(own_entry("requirements.txt", file.read()))
    secrets = [
        own_entry(f"secrets/{name}", str(text).encode(), params["group"], 0o640)
        for name, text in sorted(settings["secrets"].items())
    ]
    link, _nothing = own_entry("venv", b"")
    link.type, link.linkname = tarfile.SYMTYPE, f"../../../venvs/{venv}"

    release = digest(
        code_digest,
        venv,
        *(part for info, content in own for part in (info.name, content)),
        sealed(settings["secrets"]),
    )
    with tarfile.open(params["destination"], "w:gz", compresslevel=1) as packed:
        entries = [*code, *own, *secrets, (link, b"")]
        for info, content in [*folders(entries, params["group"]), *entries]:
            packed.addfile(info, io.BytesIO(content))
    own_requirements = requirements == params["default_requirements"]
    return {
        "id": release,
        "venv": venv,
        "origin": origin,
        "requirements": ".release/requirements.txt" if own_requirements else params["requirements"],
    }


def main():
    """Ansible calls this."""
    text, needed = {"type": "str", "default": ""}, {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "source": needed,
            "version": text,
            "checksum": text,
            "destination": path,
            "runtime": path,
            "group": needed,
            "settings": {"type": "dict", "required": True},
            "requirements": needed,
            "default_requirements": path,
            "wheels": text,
            "python": needed,
        },
        supports_check_mode=True,
    )
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=module.tmpdir))
        try:
            result = pack(module, scratch)
        except Refusal as problem:
            module.exit_json(changed=False, refusal=str(problem))
    module.exit_json(changed=False, refusal="", **result)


if __name__ == "__main__":
    main()
