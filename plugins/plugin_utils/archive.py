"""Unpack an untrusted archive: nothing of it lands outside of its folder.

Members are checked here, since Debian 12's first Pythons have no filter of their own. Links are
made last, so that no member is written through one; tree.py checks where they lead. Standard library only.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib

from ..module_utils.refusal import Refusal

MOST_FILES = 250_000  # files, folders and links of one source
MOST_BYTES = 8 << 30  # of all its files together
AT_ONCE = 16 << 20  # bytes that a header of a tar file may have
OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
# What a damaged archive raises, by its kind; zipfile's for passwords and unknown methods.
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)
DAMAGED += (RuntimeError, NotImplementedError, UnicodeError, OverflowError)


class Bounded:
    """A stream that gives only so much at once: tarfile reads each header into memory."""

    def __init__(self, stream):
        self.stream, self.seek, self.tell = stream, stream.seek, stream.tell

    def read(self, size=-1):
        """As a file's."""
        if not 0 <= size <= AT_ONCE:
            raise Refusal(f"has a header of more than {AT_ONCE >> 20} MiB")
        return self.stream.read(size)


class Target:
    """The folder that members are unpacked into. links: path to what is to be made there last."""

    def __init__(self, folder):
        self.folder, self.links, self.files, self.bytes = folder, {}, 0, 0
        os.mkdir(folder)

    def count(self, name, size):
        """One more member. Refusal: that is too much."""
        self.files, self.bytes = self.files + 1, self.bytes + size
        if self.files > MOST_FILES:
            raise Refusal(f"holds more than {MOST_FILES} files")
        if self.bytes > MOST_BYTES:
            raise Refusal(f"holds more than {MOST_BYTES >> 30} GiB")
        return self.path(name)

    def path(self, name):
        """A member's name as a path below the folder; "": the folder itself."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise Refusal(f"has a member that leads out of it: {name}")
        path = "/".join(parts)
        if any(path == link or path.startswith(f"{link}/") for link in self.above(parts)):
            raise Refusal(f"has a member in place of a link, or behind one: {name}")
        return path

    def above(self, parts):
        """The links on the way to a path."""
        paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return [path for path in paths if path in self.links]

    def make_folder(self, path):
        """A folder, with those above it."""
        try:
            os.makedirs(os.path.join(self.folder, path), exist_ok=True)
        except (FileExistsError, NotADirectoryError) as problem:
            raise Refusal(f"has a folder in place of a file: {path}") from problem

    def make_file(self, path, source, mode):
        """A file, with what can be read from a source; the last one of a name counts."""
        self.make_folder(os.path.dirname(path))
        place = os.path.join(self.folder, path)
        if os.path.isdir(place):
            raise Refusal(f"has a file in place of a folder: {path}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(place, flags, 0o600), "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        os.chmod(place, 0o700 if mode & stat.S_IXUSR else 0o600)

    def note_link(self, path, target):
        """A link, for later."""
        if not path or os.path.lexists(os.path.join(self.folder, path)):
            raise Refusal(f"has a link in place of a file or a folder: {path}")
        self.links[path] = target

    def make_links(self):
        """All links, now that nothing can be written through them any more."""
        for path, target in self.links.items():
            self.make_folder(os.path.dirname(path))
            os.symlink(target, os.path.join(self.folder, path))


def unpack(archive, folder):
    """Unpack an archive into a new folder. Refusal, OSError or one of DAMAGED: it can't be."""
    target = Target(folder)
    with open(archive, "rb") as file:
        start = file.read(2)
    if start == b"PK":
        with zipfile.ZipFile(archive) as packed:
            unpack_zip(packed, target)
    else:
        with (
            OPENERS.get(start, open)(archive, "rb") as stream,
            tarfile.open(fileobj=Bounded(stream), mode="r:") as packed,
        ):
            unpack_tar(packed, target)
    target.make_links()


def unpack_tar(packed, target):
    """Members of a tar file, one after the other; none of them stays in memory."""
    for member in packed:
        path = target.count(member.name, member.size if member.isreg() else 0)
        if member.isdir():
            target.make_folder(path)
        elif member.issym():
            target.note_link(path, member.linkname)
        elif member.islnk():
            link_within(target, path, member)
        elif member.isreg():
            target.make_file(path, packed.extractfile(member), member.mode)
        else:
            raise Refusal(f"has a member that is neither file, folder nor link: {member.name}")
        packed.members = []


def link_within(target, path, member):
    """A hard link: another file with the content of one that was unpacked already."""
    first = target.path(member.linkname) if member.linkname not in target.links else member.linkname
    if first in target.links:
        return target.note_link(path, target.links[first])
    place = os.path.join(target.folder, first)
    if not os.path.isfile(place):
        raise Refusal(f"has a hard link to what is not in it: {member.name} to {member.linkname}")
    if path == first:
        return None
    target.count(member.name, os.path.getsize(place))
    with open(place, "rb") as source:
        return target.make_file(path, source, os.stat(place).st_mode)


def unpack_zip(packed, target):
    """Members of a zip file. What one says of its size is checked before it is read."""
    for member in packed.infolist():
        path = target.count(member.filename, member.file_size)
        # Where a Unix has made it, the upper half is the mode.
        mode = member.external_attr >> 16 if member.create_system == 3 else 0
        kind = stat.S_IFMT(mode)
        if member.is_dir():
            target.make_folder(path)
        elif kind == stat.S_IFLNK:
            if member.file_size > 4096:
                raise Refusal(f"has a link of more than 4096 characters: {member.filename}")
            target.note_link(path, os.fsdecode(packed.read(member)))
        elif kind in (0, stat.S_IFREG):
            with packed.open(member) as source:
                target.make_file(path, source, mode)
        else:
            raise Refusal(f"has a member that is neither file, folder nor link: {member.filename}")
