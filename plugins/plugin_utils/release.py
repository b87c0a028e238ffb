"""A release as a tar file, and the ids that are made of its content. Standard library only."""

import hashlib
import io
import os
import stat
import tarfile

from ..module_utils.refusal import Refusal
from .archive import MOST_BYTES
from .tree import RESERVED, too_much

POINTER = b"version https://git-lfs.github.com/spec/"


def digest(*parts):
    """12 hexadecimal digits of SHA-256 over the parts, each with its length."""
    total = hashlib.sha256()
    for part in parts:
        add(total, part)
    return total.hexdigest()[:12]


def add(total, part):
    """Let a part, text or bytes, count in a hash, and its length."""
    data = part if isinstance(part, bytes) else os.fsencode(part)
    total.update(b"%d:" % len(data) + data)


class Hashing:
    """A file that is read once: into the tar file, and into hashes."""

    def __init__(self, file, *hashes):
        self.file, self.hashes = file, hashes

    def read(self, size=-1):
        """As a file's."""
        data = self.file.read(size)
        for one in self.hashes:
            one.update(data)
        return data


class Release:
    """A tar file that is being written. tree: the source's. group: who may read it, besides root."""

    def __init__(self, packed, tree, group):
        self.packed, self.tree, self.group = packed, tree, group
        self.own = []  # names and contents below .release/, for the id
        self.digests = {}  # name of a file of the source to the digest of its content

    def entry(self, name, mode=0o640, kind=tarfile.REGTYPE):
        """What the tar file knows of one path."""
        info = tarfile.TarInfo(name)
        info.uname, info.gname, info.mode, info.type = "root", self.group, mode, kind
        return info

    def add_folders(self):
        """The folders that the files lie in, so that no umask of the host decides on them."""
        found = {RESERVED}
        for name in [*map(os.path.dirname, [*self.tree.found, *self.tree.links]), *self.tree.empty]:
            while name:
                found.add(name)
                name = os.path.dirname(name)
        for name in sorted(found):
            # One may go through what lies above the static files, and see nothing.
            hidden = 0o751 if self.tree.on_the_way(name) else 0o750
            mode = 0o755 if self.tree.public(name) else hidden
            self.packed.addfile(self.entry(name, mode, tarfile.DIRTYPE))

    def code_entry(self, name, path):
        """What the tar file and the id know of one file or link of the source."""
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            info = self.entry(name, 0o644, tarfile.SYMTYPE)
            info.linkname = os.readlink(path)
        else:
            mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
            info = self.entry(name, mode if self.tree.public(name) else mode & 0o750)
            info.size = status.st_size
        info.mtime = int(status.st_mtime)
        return info

    def add_code(self):
        """Write the source, each file read once; the digest of all of it."""
        total, size = hashlib.sha256(), 0
        for name in sorted(self.tree.empty):
            add(total, f"{name}/")
        for name, path in sorted(self.tree.found.items()):
            info = self.code_entry(name, path)
            size += info.size
            if size > MOST_BYTES:
                raise too_much(f"{MOST_BYTES >> 30} GiB")
            for part in (info.name, str(info.mode), info.linkname):
                add(total, part)
            total.update(b"%d:" % info.size)
            if info.issym():
                self.digests[name] = digest(info.linkname)
                self.packed.addfile(info)
                continue
            # Never through a link that came since, and never waiting for a pipe.
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                if os.pread(file.fileno(), len(POINTER), 0) == POINTER:
                    raise Refusal(
                        f"tornado_app_source: {name} is a pointer of Git LFS, without the content. Install"
                        " git-lfs on the controller, and run git lfs pull where the source is a folder."
                    )
                alone = hashlib.sha256()
                self.packed.addfile(info, Hashing(file, total, alone))
                self.digests[name] = alone.hexdigest()
        return total.hexdigest()

    def digest_of(self, path):
        """The digest of a file, or of all that lies below a path, once the source is written."""
        inside = [name for name in self.digests if f"{name}/".startswith(f"{path}/" if path else "")]
        return digest(*(part for name in sorted(inside) for part in (name, self.digests[name])))

    def add_own(self, name, content):
        """Write one of our own files."""
        info = self.entry(f"{RESERVED}/{name}")
        info.size = len(content)
        self.packed.addfile(info, io.BytesIO(content))
        self.own += [info.name, content]

    def add_links(self, **ours):
        """Write the links to what is no part of it. ours: name below .release/ to target."""
        for name, target in {**self.tree.links, **{f"{RESERVED}/{one}": ours[one] for one in ours}}.items():
            self.add_link(name, target)

    def add_link(self, name, target):
        """Write one link."""
        info = self.entry(name, kind=tarfile.SYMTYPE)
        info.linkname = target
        self.packed.addfile(info)
