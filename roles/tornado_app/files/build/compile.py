"""Compile a program's files: they come as a tar stream and go as one.

Nothing of them runs, but they are anybody's, and Python's compiler was not made for a
stranger's files: it works in a unit without rights. Standard library only.
"""

import io
import os
import py_compile
import sys
import tarfile

CODE, COMPILED = "/tmp/code.py", "/tmp/code.pyc"  # /tmp is the unit's own


def main() -> None:
    """Do it. What can't be compiled is left out: it may be for another Python."""
    with (
        tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as given,
        tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as made,
    ):
        for member in given:
            content = given.extractfile(member)
            assert content is not None
            with open(CODE, "wb") as file:
                file.write(content.read())
            # A compiled file is right for one size and date of its source.
            os.utime(CODE, (member.mtime, member.mtime))
            try:
                py_compile.compile(CODE, COMPILED, dfile=member.name, doraise=True)
            except Exception:
                continue
            with open(COMPILED, "rb") as file:
                data = file.read()
            info = tarfile.TarInfo(member.name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    main()
