"""Swap nginx's configuration as a whole, or not at all.

A release is written beside the one in use, tested through a second link, and put in place by renaming
that link. So a killed run leaves either the old configuration or the new one. A reload that is needed is
marked by a file before anything is put in place, and until nginx has proven that it took it: no clock is
asked, which may be set back.
"""

import os
import shutil

from . import nginx_paths as paths
from .files import mode_of, read, write
from .nginx_release import filled, link, linked, store
from .nginx_service import Refused, load, test, unit, verb
from .nginx_unmanaged import digest, is_stock, note
from .systemd import confine, run

RELOAD_NEEDED = "unread"  # the mark's file, beside nginx.conf or a certificate; older versions left it too


def reload_needed(more):
    """Marks of what nginx has yet to read: its configuration, and further files that it reads."""
    folders = dict.fromkeys([paths.HOME, *(os.path.dirname(path) for path in more)])
    return [path for path in (f"{folder}/{RELOAD_NEEDED}" for folder in folders) if os.path.exists(path)]


def clear_marks(more):
    """Remove the marks, now that nginx has read everything."""
    for path in reload_needed(more):
        os.unlink(path)


def differing(programs):
    """Paths of programs that are not as they shall be."""
    return [path for path, text in programs.items() if (read(path), mode_of(path)) != (text, 0o755)]


def put_back(old, replaced, stock_site, confined):
    """Undo a swap, as far as it got: Debian's site, the old link or file, and what nginx runs.

    replaced: where the file went that was there instead of a link. confined: the old drop-in, None where
    nginx did not run. Returns whether nginx has read all that is there.
    """
    if stock_site:
        os.symlink(stock_site, paths.STOCK_SITE)
    if os.path.lexists(paths.NEXT):
        os.unlink(paths.NEXT)  # nothing was swapped yet
        return False
    if old:
        link(old, paths.NEXT)
        os.replace(paths.NEXT, paths.LINK)
    elif os.path.exists(replaced):
        os.replace(replaced, paths.LINK)
    code, _output = run("systemctl", "stop" if confined is None else verb(confined), "nginx")
    return not code


def rehearse(name, files, origins, drop_in, group):
    """Refuse a release that nginx refuses, and leave everything as it was either way.

    Under a name of its own, which the next swap removes if this is killed.
    """
    folder = f"{paths.RELEASES}/{name}.rehearsed"
    stock_site = os.readlink(paths.STOCK_SITE) if is_stock(paths.STOCK_SITE) else None
    store(folder, filled(files, os.path.basename(folder)), group)
    link(folder, paths.NEXT)
    try:
        if stock_site:
            os.unlink(paths.STOCK_SITE)
        test(paths.NEXT, origins, drop_in)
    finally:
        if stock_site:
            os.symlink(stock_site, paths.STOCK_SITE)
        os.unlink(paths.NEXT)
        shutil.rmtree(folder)


def swap(folder, files, origins, programs, drop_in, port, group, more):
    """Store, test, put in place and load a release, or leave everything as it was.

    programs: path to text of what the drop-in names. They serve the old one as well.
    """
    marked = reload_needed(more)
    write(f"{paths.HOME}/{RELOAD_NEEDED}", "", 0o644)
    old, state, confined = linked(), unit()["state"], read(paths.DROP_IN)
    stock_site = os.readlink(paths.STOCK_SITE) if is_stock(paths.STOCK_SITE) else None
    # Debian's own the first time; later somebody's.
    replaced = paths.EDITED if os.path.exists(paths.DIST) else paths.DIST
    others = digest()
    store(folder, files, group)
    link(folder, paths.NEXT)
    try:
        if stock_site:
            os.unlink(paths.STOCK_SITE)
        test(paths.NEXT, origins, drop_in)
        # First: where there is neither copy nor link, the drop-in lets nothing start.
        if os.path.exists(paths.LINK) and not os.path.islink(paths.LINK):
            shutil.copy2(paths.LINK, replaced)
        for path in differing(programs):
            write(path, programs[path], 0o755)
        confine("nginx", paths.DROP_IN, drop_in)
        os.replace(paths.NEXT, paths.LINK)
        load(port, drop_in)
    except Refused:
        confine("nginx", paths.DROP_IN, confined)
        untouched = os.path.lexists(paths.NEXT) and folder != old and not marked
        ran = state not in ("inactive", "failed")
        has_read = put_back(old, replaced, stock_site, confined if ran else None) or untouched
        if folder != old:
            shutil.rmtree(folder)
        if has_read:
            clear_marks(more)
        raise
    note(others)
    clear_marks(more)
