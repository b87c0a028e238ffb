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
  - Modes are normalised, the owner is root. The app's group may read all of it; nobody else may,
    but for the static files, which are for the web server. Hidden ones (C(.env)) are not.
  - Links lead to something in the source. Below the folder of static files, and on the way to it, there
    are none in the release; what they lead to is there instead.
  - Called by the action of the same name, which keeps the secrets to itself. With C(remove) alone, the
    action removes the folder of an earlier call.
author: The Tornadoes authors (!UNKNOWN)
options:
  source: {type: str, required: true, description: "Directory, git address, or archive (file or URL)."}
  version: {type: str, default: "", description: "Branch, tag or commit; makes O(source) a git repository."}
  checksum: {type: str, default: "", description: "C(sha256:...) of an archive; required for a URL."}
  destination: {type: path, required: true, description: "The tar file to write."}
  runtime: {type: path, required: true, description: "Directory of launcher and runner."}
  group: {type: str, required: true, description: "Group that may read the release."}
  settings: {type: dict, required: true, description: "What it says of itself."}
  seal: {type: str, default: "", description: "What stands for its secrets in the id."}
  static: {type: str, default: static, description: "Folder of static files in the source."}
  requirements: {type: str, required: true, description: "The requirements file's path in the source."}
  default_requirements: {type: path, required: true, description: "Used where the source has none."}
  wheels: {type: str, default: "", description: "Directory of wheels that the environment is built from."}
  python: {type: str, required: true, description: "The host's interpreter and its version."}
notes:
  - What is wrong with the source comes back as RV(refusal), because the task runs under
    C(no_log), which would hide a failure's message.
"""

EXAMPLES = r"""
- name: Pack a release
  tornadoes.tornadoes.tornado_app_pack:
    source: https://git.example.org/chat.git
    version: v2.1
    destination: /tmp/chat.tar
    runtime: files/release
    group: tornado-chat
    settings: {main: server.py, arguments: []}
    requirements: requirements.txt
    default_requirements: files/release/requirements.txt
    python: /usr/bin/python3 3.13
"""

RETURN = r"""
id: {type: str, returned: success, description: "12 hexadecimal digits, derived from the content."}
venv: {type: str, returned: success, description: "12 hexadecimal digits for requirements and interpreter."}
origin: {type: str, returned: success, description: "The source without passwords, with its git commit."}
editable: {type: bool, returned: success, description: "Whether the environment needs the source for good."}
refusal: {type: str, returned: always, description: "One sentence on what is wrong, or empty."}
"""

import contextlib
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile
import tempfile
from urllib.parse import unquote, urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_file

from ..module_utils.archive import DAMAGED, MOST_BYTES, MOST_FILES, Unsafe, unpack
from ..module_utils.links import Astray, resolve
from ..module_utils.text import printable, without_passwords

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
# Version control, environments and caches: never part of a program.
LEFT_OUT = {".git", ".hg", ".svn", ".venv", ".tox", "__pycache__"}
LEFT_OUT |= {".mypy_cache", ".pytest_cache", ".ruff_cache"}
RESERVED = ".release"
DEFAULT_REQUIREMENTS = "requirements.txt"  # the one file that a source need not have
# Answers git's question for a password from the environment, which no other user can read.
HELPER = (
    """!f() { test "$1" != get || printf 'username=%s\\npassword=%s\\n' "$GIT_USER" "$GIT_PASSWORD"; }; f"""
)


class Refusal(Exception):
    """What the user gave can't be packed; the text is the sentence to show."""

    def __str__(self):
        """As a terminal may show it; names in a source are anybody's."""
        return printable(without_passwords(super().__str__()))


def is_git(source, version):
    """Whether the source is a git address rather than a directory or archive."""
    return bool(version) or source.endswith(".git") or re.match(r"(git@|ssh://|git://)", source)


def is_archive(source):
    """Whether the source's name ends as an archive's does."""
    return source.endswith(ARCHIVES)


def git(where, *words, **variables):
    """Run git without ever asking the user something; its output, or a Refusal."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    environment = {**quiet, **os.environ, **variables}
    done = subprocess.run(["git", "-C", where, *words], capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refusal(lines[-1].removeprefix("fatal: ").strip())
    return done.stdout


def credentials(address):
    """An address without name and password in it, and what gives these to git: not in a process list."""
    parts = urlsplit(address) if re.match(r"https?://[^/]*@", address) else None
    if parts is None:
        return address, {}
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    name = unquote(parts.username or "")
    # A name alone may be a token; the user's own helpers may know its password.
    key, value = "credential.username", name
    if parts.password is not None:
        key, value = "credential.helper", HELPER
    words = {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": key,
        f"GIT_CONFIG_VALUE_{count}": value,
        "GIT_USER": name,
        "GIT_PASSWORD": unquote(parts.password or ""),
    }
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), words


def from_git(source, version, scratch):
    """Fetch one version with the user's own keys; its tree, and the commit."""
    address = os.path.abspath(os.path.expanduser(source)) if os.path.exists(source) else source
    address, words = credentials(address)
    repository, tree = os.path.join(scratch, "git"), os.path.join(scratch, "tree.tar")
    os.mkdir(repository)
    try:
        git(repository, "init", "--quiet", "--bare")
        try:
            # Servers give away branches and tags by name, commits only sometimes.
            git(repository, "fetch", "--quiet", "--depth=1", address, version or "HEAD", **words)
            commit = git(repository, "rev-parse", "FETCH_HEAD^{commit}").decode().strip()
        except Refusal:
            git(repository, "fetch", "--quiet", address, "+refs/*:refs/*", **words)
            commit = git(repository, "rev-parse", "--verify", (version or "HEAD") + "^{commit}")
            commit = commit.decode().strip()
        git(repository, "archive", "--format=tar", f"--output={tree}", commit)
    except Refusal as problem:
        raise Refusal(
            f"tornado_app_source: git can't fetch version '{version or 'HEAD'}' of {source}"
            f" ({problem}). Give an address and a version that exist and that you may read."
        ) from problem
    return unpacked(tree, f"version '{version or 'HEAD'}' of {source}", scratch), commit


def unpacked(path, name, scratch):
    """The folder that an archive was unpacked into."""
    target = os.path.join(scratch, "tree")
    try:
        unpack(path, target)
    except Unsafe as problem:
        raise Refusal(f"tornado_app_source: {name} {problem}. Give a source without it.") from problem
    except (*DAMAGED, OSError) as problem:
        raise Refusal(f"tornado_app_source: {name} can't be unpacked ({problem}).") from problem
    return target


def from_archive(path, name, checksum, scratch):
    """Unpack an archive; its tree, without the one folder that holds everything."""
    if checksum:
        kind, _colon, wanted = checksum.partition(":")
        if kind not in ("sha256", "sha384", "sha512") or not wanted:
            raise Refusal(f"tornado_app_checksum: '{checksum}' is no checksum. Write sha256:DIGITS.")
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != wanted.lower():
            raise Refusal(f"tornado_app_checksum: the archive has {kind}:{found}, not {checksum}.")
    target = unpacked(path, name, scratch)
    inside = os.listdir(target)
    # A link is no folder that holds everything: it may lead anywhere.
    if len(inside) == 1 and stat.S_ISDIR(os.lstat(os.path.join(target, inside[0])).st_mode):
        return os.path.join(target, inside[0])
    return target


def origin_of(source, *more):
    """What the history and the status say of a source; neither is for secrets."""
    if re.match(r"(?i)https?://", source):
        source = re.split(r"[?#]", source)[0]
    return " ".join(word for word in (printable(without_passwords(source)), *more) if word)


def find_tree(module, scratch):
    """Get the source onto this machine; the folder that holds it, and its origin."""
    source, version = module.params["source"], module.params["version"]
    checksum = module.params["checksum"]
    if is_git(source, version):
        tree, commit = from_git(source, version, scratch)
        return tree, origin_of(source, version, commit)
    path = os.path.expanduser(source)
    if source.startswith(("https://", "http://")):
        if not checksum:
            raise Refusal(
                f"tornado_app_checksum: {origin_of(source)} comes from the network."
                " Give its checksum, sha256:DIGITS."
            )
        path = fetch_file(module, source)
    if is_archive(source):
        if not os.path.isfile(path):
            raise Refusal(f"tornado_app_source: {origin_of(source)} is no file on the controller.")
        return from_archive(path, origin_of(source), checksum, scratch), origin_of(source)
    if not os.path.isdir(path):
        raise Refusal(
            f"tornado_app_source: {origin_of(source)} does not exist on the controller."
            " Give a directory, a git address or an archive."
        )
    return os.path.realpath(path), origin_of(source)


def too_much(limit):
    """The Refusal of a source that is too large to be a program."""
    return Refusal(f"tornado_app_source: it holds more than {limit}. Leave out what is not the program's.")


class Tree:
    """A source. static: the folder in it whose files are for everybody."""

    def __init__(self, folder, static):
        self.folder, self.static, self.found, self.visited = folder, static, {}, 0
        try:
            self.visit("", "", [])
        except RecursionError as problem:
            raise too_much("some hundred folders in each other") from problem

    def public(self, name):
        """Whether all may read what has this path."""
        hidden = any(part.startswith(".") for part in name[len(self.static) :].split("/"))
        return f"{name}/".startswith(f"{self.static}/") and not hidden

    def on_the_way(self, name):
        """Whether a path is the static folder, above it or below it."""
        return f"{name}/".startswith(f"{self.static}/") or self.static.startswith(f"{name}/")

    def visit(self, name, real, above):
        """Note all that a folder holds. name: its path in the release; real: in the source.

        above: the real paths of the folders that it lies in.
        """
        # Links to one folder from several others make many of it, without a file in any.
        self.visited += 1
        if self.visited > MOST_FILES:
            raise too_much(f"{MOST_FILES} folders")
        for entry in sorted(os.listdir(os.path.join(self.folder, real))):
            self.note(f"{name}/{entry}".lstrip("/"), f"{real}/{entry}".lstrip("/"), [*above, real])

    def note(self, name, real, above):
        """Note a file or a link; look into a folder."""
        path = os.path.join(self.folder, real)
        if os.path.islink(path):
            where = self.target(name, real, above)
            if where is None:
                if os.path.basename(name) not in LEFT_OUT:
                    self.add(name, path)
                return
            real, path = where, os.path.join(self.folder, where)
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            if os.path.basename(name) not in LEFT_OUT:
                self.visit(name, real, above)
        elif not stat.S_ISREG(mode):
            raise Refusal(f"tornado_app_source: {name} is neither a file, a folder nor a link.")
        elif not name.endswith(".pyc"):
            self.add(name, path)

    def add(self, name, path):
        """Note one file or link."""
        self.found[name] = path
        if len(self.found) > MOST_FILES:
            raise too_much(f"{MOST_FILES} files")

    def target(self, name, real, above):
        """Where a link leads, if that takes its place; None: it stays what it is."""
        says = os.readlink(os.path.join(self.folder, real))
        link = f"tornado_app_source: the link {name}"
        try:
            where = resolve(self.folder, real)
        except Astray as problem:
            raise Refusal(
                f"{link} leads {problem} the source (to {says}). A release holds all that it needs."
            ) from problem
        if where.split("/")[0] == RESERVED:
            raise Refusal(f"{link} leads to {RESERVED} (to {says}), a name kept for us.")
        # As "x -> ." does, and one that is reached through another: without end for whoever follows.
        if where in above:
            raise Refusal(f"{link} leads to a folder that holds it (to {says}). Links go in no circle.")
        there = os.path.lexists(os.path.join(self.folder, where)) and not LEFT_OUT & set(where.split("/"))
        return where if there and self.on_the_way(name) else None


class Hashing:
    """A file that is read once: into the tar file, and into the digest."""

    def __init__(self, file, *digests):
        self.file, self.digests = file, digests

    def read(self, size=-1):
        """As a file's."""
        data = self.file.read(size)
        for one in self.digests:
            one.update(data)
        return data


def tar_entry(name, path, tree, group):
    """What the tar file and the id know of one file or link."""
    info = tarfile.TarInfo(name)
    info.uname, info.gname = "root", group
    status = os.lstat(path)
    info.mtime = int(status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        return info
    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    info.mode = mode if tree.public(name) else mode & 0o750
    info.size = status.st_size
    return info


def own_entry(name, content, group, mode=0o640):
    """One of the files below .release/."""
    info = tarfile.TarInfo(f"{RESERVED}/{name}")
    info.uname, info.gname, info.mode, info.size = "root", group, mode, len(content)
    return info, content


def folders(names, tree, group):
    """The folders that some files lie in, so that no umask of the host decides on them."""
    found = set()
    for name in map(os.path.dirname, names):
        while name:
            found.add(name)
            name = os.path.dirname(name)
    for name in sorted(found):
        info = tarfile.TarInfo(name)
        info.type, info.uname, info.gname = tarfile.DIRTYPE, "root", group
        # One may go through what lies above the static files, and see nothing.
        info.mode = 0o755 if tree.public(name) else 0o751 if tree.on_the_way(name) else 0o750
        yield info


def find_requirements(tree, name):
    """The path of the source's requirements file; None: it has none, and none was asked for."""
    try:
        real = "" if name.startswith("/") else resolve(tree, name)
    except ValueError:  # out of the source, or no path
        real = ""
    if os.path.isfile(os.path.join(tree, real)) and not {*LEFT_OUT, RESERVED} & set(real.split("/")):
        return os.path.join(tree, name)
    if name == DEFAULT_REQUIREMENTS and not os.path.lexists(os.path.join(tree, name)):
        return None
    raise Refusal(
        f"tornado_app_requirements: '{name}' is no file in the source."
        f" Give the path of one there, as {DEFAULT_REQUIREMENTS}, or leave the variable out."
    )


def requirement_lines(tree, path, seen=None):
    """The lines of a requirements file and of those in its source that it includes."""
    seen = set() if seen is None else seen
    if path in seen or not os.path.isfile(path):
        return []
    seen.add(path)
    lines = []
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if "\0" in text:
            raise ValueError
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "no UTF-8 text"
        raise Refusal(
            f"tornado_app_requirements: {os.path.relpath(path, tree)} can't be read ({why})."
            " Give requirements as UTF-8 text, in files that you may read."
        ) from problem
    for line in text.splitlines():
        lines.append(line)
        included = re.match(r"\s*(?:-r|--requirement|-c|--constraint)[ =]*(\S+)", line)
        if included:
            other = os.path.realpath(os.path.join(os.path.dirname(path), included[1]))
            if other.startswith(f"{tree}/"):
                lines += requirement_lines(tree, other, seen)
    return lines


def digest(*parts):
    """12 hexadecimal digits of SHA-256 over the parts, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else os.fsencode(part)
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()[:12]


def wheel_digests(folder):
    """Names and contents of the wheels that an environment is built from."""
    for name in sorted(os.listdir(folder)) if folder else []:
        with open(os.path.join(folder, name), "rb") as file:
            yield name
            yield hashlib.file_digest(file, "sha256").digest()


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


def write_code(packed, tree, group):
    """Write the source into the tar file, each file read once; the digest of all of it."""
    total, size = hashlib.sha256(), 0
    for name, path in sorted(tree.found.items()):
        info = tar_entry(name, path, tree, group)
        size += info.size
        if size > MOST_BYTES:
            raise too_much(f"{MOST_BYTES >> 30} GiB")
        for part in (info.name, str(info.mode), info.linkname):
            total.update(b"%d:" % len(os.fsencode(part)) + os.fsencode(part))
        total.update(b"%d:" % info.size)
        if info.issym():
            packed.addfile(info)
            continue
        # Never through a link that came since, and never waiting for a pipe.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            packed.addfile(info, Hashing(file, total))
    return total.hexdigest()


def pack(module, scratch):
    """Write the tar file; what the module returns."""
    params, group = module.params, module.params["group"]
    folder, origin = find_tree(module, scratch)
    if os.path.lexists(os.path.join(folder, RESERVED)):
        raise Refusal(f"tornado_app_source: the source has a {RESERVED}, a name kept for us.")
    check_main(folder, params["settings"]["main"])
    tree = Tree(folder, params["static"])

    requirements = find_requirements(folder, params["requirements"])
    own_requirements = requirements is None
    if own_requirements:
        requirements = params["default_requirements"]
    lines = requirement_lines(folder, requirements)
    own = [own_entry("settings.json", json.dumps(params["settings"], sort_keys=True).encode(), group)]
    for name in sorted(os.listdir(params["runtime"])):
        if name.endswith(".py"):
            with open(os.path.join(params["runtime"], name), "rb") as file:
                own.append(own_entry(name, file.read(), group))
    if own_requirements:
        with open(requirements, "rb") as file:
            own.append(own_entry("requirements.txt", file.read(), group))

    try:
        with tarfile.open(params["destination"], "w:gz", compresslevel=1) as packed:
            for info in folders([*tree.found, f"{RESERVED}/settings.json"], tree, group):
                packed.addfile(info)
            code_digest = write_code(packed, tree, group)
            # A requirement that is part of the source changes with any of its files.
            local = any(re.match(r"\s*(-e|--editable|\.|/|file:)", line) for line in lines)
            wheels = wheel_digests(os.path.expanduser(params["wheels"]))
            venv = digest(params["python"], "\n".join(lines), code_digest if local else "", *wheels)
            for info, content in own:
                packed.addfile(info, io.BytesIO(content))
            link, _nothing = own_entry("venv", b"", group)
            link.type, link.linkname = tarfile.SYMTYPE, f"../../../venvs/{venv}"
            packed.addfile(link)
    except OSError as problem:
        raise Refusal(
            f"tornado_app_source: {origin} can't be read ({problem}). Try again when nothing writes to it."
        ) from problem
    files = (part for info, content in own for part in (info.name, content))
    return {
        "id": digest(code_digest, venv, *files, params["seal"]),
        "venv": venv,
        "origin": origin,
        "requirements": ".release/requirements.txt" if own_requirements else params["requirements"],
        "editable": any(re.match(r"\s*(-e|--editable)", line) for line in lines),
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
            "seal": text,
            "static": {"type": "str", "default": "static"},
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
