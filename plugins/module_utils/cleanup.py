"""Remove what no process, no rollback and no release needs any more. Standard library only."""

import os
import shutil

# As root's alone and its group's: static files are served from elsewhere since.
CLOSED = 0o750


def needless(now, keep):
    """Ids of the releases, and names of the environments, that are to be removed.

    now: what the host has, see host.look(). keep: how many releases stay: those that a process runs (a
    worker, or a job for hours), the current one and the one that a rollback goes to, however many; then good
    ones before bad ones, the youngest first. An environment stays as long as one of them needs it.
    """
    running = [one for kind in ("ports", "workers", "timers") for one in now[kind].values()]
    running += [old for port in now["ports"].values() for old in port["draining"]]
    needed = {now["current"], now["previous"], *(one["release"] for one in running)}
    ranked = sorted(now["releases"], key=lambda one: (one["id"] not in needed, one["id"] in now["bad"]))
    most = max(keep, sum(one["id"] in needed for one in ranked))
    kept = {one["venv"] for one in ranked[:most]}
    return [one["id"] for one in ranked[most:]], [venv for venv in now["venvs"] if venv not in kept]


def clean(home, now, keep):
    """Remove it, and what killed runs have left; a line for each. home: /srv/NAME. now, keep: as above."""
    releases, venvs = needless(now, keep)
    paths = [f"{home}/releases/{one}" for one in releases] + [f"{home}/venvs/{one}" for one in venvs]
    paths += now["half_built"]
    for path in paths:
        shutil.rmtree(path)
    return [f"removed {path}" for path in paths]


def close(paths, group):
    """Let the account alone read releases of older versions of the role. group: its number."""
    for path in paths:
        os.chown(path, 0, group)
        os.chmod(path, CLOSED)
