"""A Python package in one file that Python runs: a host has all of it or none. Standard library only."""

import io
import zipfile

SHEBANG = b"#!/usr/bin/python3\n"
MAIN = "import sys\n\nfrom {}.command_line import main\n\nsys.exit(main())\n"


def packed(package, rooms):
    """The file's content, the same for the same rooms. rooms: name of a file of the package to its text."""
    texts = {"__main__.py": MAIN.format(package)}
    texts |= {f"{package}/{name}": text for name, text in rooms.items()}
    file = io.BytesIO()
    file.write(SHEBANG)
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(texts):
            # ZipInfo is of 1980, whatever the clock says.
            archive.writestr(zipfile.ZipInfo(name), texts[name])
    return file.getvalue()


def unpacked(content):
    """Name to text of all that such a file holds; nothing where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}
    except (zipfile.BadZipFile, UnicodeDecodeError):
        return {}
