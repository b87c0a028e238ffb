#!/usr/bin/python3
"""What a host has and runs of one app. Everything is derived, nothing remembered.

On the host this file is the command tornado-<app>-status; the role's modules import it.
Standard library only.
"""

import contextlib
import datetime
import glob
import grp
import json
import os
import pwd
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

UNITS = "/etc/systemd/system"
STAMPS = "/var/lib/systemd/timers"  # when a timer has last started its job
PROPERTIES = (
    "Id,ActiveState,MainPID,NeedDaemonReload,NRestarts,FragmentPath,ActiveEnterTimestamp,UnitFileState,"
    "Environment,Result,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecMainExitTimestamp,InvocationID,"
    "LastTriggerUSec,NextElapseUSecRealtime"
)
SIGNALLED = ("2", "3")  # ExecMainCode of a process that a signal has ended (CLD_KILLED, CLD_DUMPED)
NO_JOBS = ("build", "compile")  # units of a run that are called as a timer's would be
REMOVED = "removed"  # state of a timer that is no more, while its job runs
UNWELL = 60  # seconds that a worker which has ended has to run again until it counts as well
ANEW = "release %s %s. What runs goes on until it is started again; site.yml makes the release anew."
ANSWER_TIMEOUT = 5.0  # seconds that a keeper may take to report its status


def show(units):
    """systemd's properties of some units: {unit: {property: value}}."""
    if not units:
        return {}
    words = ["systemctl", "show", "--timestamp=us+utc", f"--property={PROPERTIES}", *units]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def known(pattern):
    """Names of the units that systemd has, whatever state they are in."""
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", pattern]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in text.splitlines() if line.strip()]
    # It lists names as well that only another unit has in mind, as by After=.
    return [words[0] for words in found if words[1:3] != ["not-found", "inactive"]]


def known_ports(unit):
    """Ports that have a unit which is loaded, or enabled for the next boot."""
    names = known(f"{unit}@*")
    names += [os.path.basename(path) for path in glob.glob(f"{UNITS}/*.wants/{unit}@*")]
    ports = {re.sub(r".*@(\d+)\..*", r"\1", name) for name in names}
    return sorted((port for port in ports if port.isdigit()), key=int)


def installed_apps(units=UNITS, home="/srv"):
    """Names of the apps that have units and releases here, whoever lists them."""
    found = [
        re.fullmatch(r"tornado-([a-z0-9-]+)\.target", os.path.basename(path))
        for path in glob.glob(f"{units}/*")
    ]
    return sorted(one[1] for one in found if one and os.path.isdir(f"{home}/{one[1]}/releases"))


def workers(name, port="*"):
    """Units of the app's processes that systemd knows, whatever state they are in."""
    return known(f"tornado-{name}-worker@{port}-*")


def connect(name, port, timeout=ANSWER_TIMEOUT):
    """A connection to the keeper of a port. OSError: there is none."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.settimeout(timeout)
    channel.connect(f"/run/tornado-{name}/{port}.sock")
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    unit = f"tornado-{name}@{port}.service"
    if str(struct.unpack("3i", credentials)[0]) != show([unit])[unit]["MainPID"]:
        channel.close()
        raise ConnectionError(f"who listens is not the main process of {unit}")
    return channel


def ask(channel, **message):
    """One command to a keeper; its answer. OSError, ValueError: it has ended or is stuck."""
    channel.send(json.dumps(message).encode())
    answer = json.loads(channel.recv(65536))
    if not isinstance(answer, dict):
        raise ValueError("no answer of a keeper")
    return answer


def running(name, port):
    """What the keeper of a port says that it runs; {} where none answers."""
    with contextlib.suppress(OSError, ValueError), connect(name, port) as channel:
        return ask(channel, do="status")
    return {}


def made_of(properties):
    """What a keeper is made of that is started now; "" where its unit does not say it."""
    found = re.search(r"TORNADO_APP_MADE_OF=(\w+)", properties.get("Environment", ""))
    return found[1] if found else ""


def seconds(timestamp):
    """A timestamp of systemd in seconds since 1970; 0 where it is empty."""
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)? UTC", timestamp)
    if not found:
        return 0
    moment = datetime.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.UTC)
    return moment.timestamp() + float(found[2] or 0)


def how_it_ended(properties):
    """How a unit's process ended, in words."""
    status = int(properties["ExecMainStatus"] or 0)
    if properties["Result"] == "oom-kill":
        return "was ended by the kernel, since its memory was used up"
    if properties["Result"] == "timeout":
        return "took too long and was ended"
    if properties["ExecMainCode"] in SIGNALLED:
        # Most of those in real time have no name, and a program chooses by which it ends.
        names = {one.value: one.name for one in signal.Signals}
        return f"was ended by {names.get(status, f'signal {status}')}"
    return f"ended with {status}"


def socket_outdated(properties):
    """Whether a socket that listens was opened by another unit file than the one of today."""
    path = properties["FragmentPath"]
    if properties["ActiveState"] != "active" or not os.path.exists(path):
        return False
    return os.stat(path).st_mtime > seconds(properties["ActiveEnterTimestamp"])


def memory(pid):
    """A process's share of the memory in bytes (PSS: what is shared counts in part)."""
    with contextlib.suppress(OSError, TypeError, ValueError), open(f"/proc/{int(pid)}/smaps_rollup") as file:
        return int(re.search(r"Pss: +(\d+) kB", file.read())[1]) * 1024
    return 0


def confined(pid):
    """Whether a process is in a sandbox; one that is not there counts as confined.

    By what each sandbox of the role begins with, and no service without one has.
    """
    with contextlib.suppress(OSError, TypeError, ValueError), open(f"/proc/{int(pid)}/status") as file:
        return "NoNewPrivs:\t1" in file.read()
    return True


def describe(name, port, service, listener):
    """What is known of one port."""
    found = running(name, port) if service["ActiveState"] == "active" else {}
    return {
        "service": service["ActiveState"],
        "socket": listener["ActiveState"],
        "enabled": service["UnitFileState"] == listener["UnitFileState"] == "enabled",
        "outdated": bool(found) and found.get("made_of", "") != made_of(service),
        "socket_outdated": socket_outdated(listener),
        "keeper": int(service["MainPID"]),
        "keeper_memory": memory(service["MainPID"]),
        "release": found.get("release", ""),
        "state": found.get("state", "stopped" if service["ActiveState"] != "active" else "stuck"),
        "pid": found.get("pid", 0),
        "since": found.get("since", 0),
        "confined": confined(found.get("pid", 0)),
        "memory": memory(found.get("pid", 0)),
        "load": found.get("load", {}),
        "restarts": found.get("restarts", 0) + int(service["NRestarts"] or 0),
        "refused": found.get("refused", ""),
        "draining": found.get("draining", []),
        "unheard": found.get("unheard", False),
    }


def known_jobs(unit):
    """Units of workers, timers and what these start, as known_ports() has those of ports."""
    names = known(f"{unit}_*")
    names += [os.path.basename(path) for path in glob.glob(f"{UNITS}/*.wants/{unit}_*")]
    own = {f"{unit}_{name}.service" for name in NO_JOBS}
    # With a timer, its service: systemd knows that one only while it runs, or once it has failed.
    names += [re.sub(r"timer$", "service", name) for name in names if name.endswith(".timer")]
    return sorted({name for name in names if name.endswith((".service", ".timer"))} - own)


def chosen(name, unit, properties):
    """What root has written of a unit that runs: release, made_of; empty where it does not run."""
    if properties["ActiveState"] in ("inactive", "failed"):
        return {}
    with contextlib.suppress(OSError, ValueError), open(f"/run/tornado-{name}/jobs/{unit}") as file:
        return json.load(file)
    return {}


def describe_worker(name, unit, properties):
    """What is known of one instance of a worker."""
    found = chosen(name, unit, properties)
    return {
        "state": properties["ActiveState"],
        "enabled": properties["UnitFileState"] == "enabled",
        "release": found.get("release", ""),
        "made_of": found.get("made_of", ""),
        "outdated": found.get("made_of", "") != made_of(properties),
        "pid": int(properties["MainPID"]),
        "since": seconds(properties["ExecMainStartTimestamp"]),
        "memory": memory(properties["MainPID"]),
        "restarts": int(properties["NRestarts"] or 0),
        "invocation": properties["InvocationID"],
        "ended": how_it_ended(properties),
    }


def describe_timer(name, unit, timer, job):
    """What is known of a timer and its job. timer: {} where it is removed and its job runs on."""
    runs = job["ActiveState"] not in ("inactive", "failed")
    return {
        "state": timer.get("ActiveState", REMOVED),
        "enabled": timer.get("UnitFileState") == "enabled",
        "outdated": timer.get("NeedDaemonReload") == "yes",
        "running": runs,
        "release": chosen(name, f"{unit}.service", job).get("release", ""),
        # systemd forgets the first at a boot; the second is the last change of the calendar as well.
        "last": seconds(job["ExecMainStartTimestamp"]) or seconds(timer.get("LastTriggerUSec", "")),
        "next": seconds(timer.get("NextElapseUSecRealtime", "")),
        # systemd forgets it at a boot.
        "ended": how_it_ended(job) if seconds(job["ExecMainExitTimestamp"]) and not runs else "",
        "failed": job["ActiveState"] == "failed",
    }


def workers_and_timers(name, units):
    """The workers by their instance (mail@1), and the timers by name. units: see show()."""
    prefix = f"tornado-{name}_"
    workers, timers = {}, {}
    for unit, properties in units.items():
        key, _dot, kind = unit.removeprefix(prefix).rpartition(".")
        if not unit.startswith(prefix):
            continue
        if "@" in key:
            workers[key] = describe_worker(name, unit, properties)
        elif kind == "service":
            timer = units.get(f"{prefix}{key}.timer", {})
            if timer or properties["ActiveState"] not in ("inactive", "failed"):
                timers[key] = describe_timer(name, f"{prefix}{key}", timer, properties)
    return workers, timers


def history(home):
    """The lines of releases.jsonl, oldest first: event, release, at, who, source, code, reason."""
    path = f"{home}/releases.jsonl"
    if not os.path.exists(path):
        return []
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            # A line that a full disk cut short is no reason to refuse the next deploy.
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def bad(entries):
    """The releases that were refused when they were last tried."""
    last = {entry["release"]: entry["event"] for entry in entries}
    return [release for release, event in last.items() if event == "refused"]


def previous(entries, current, releases):
    """The good release that was deployed before the current one and is still here, or ''.

    Rollbacks don't count: a second one goes further back, not forth again.
    """
    deployed = [entry["release"] for entry in entries if entry["event"] == "deployed"]
    if current in deployed:
        deployed = deployed[: len(deployed) - 1 - deployed[::-1].index(current)]
    skipped = {current, *bad(entries)}
    found = [one for one in deployed if one not in skipped and one in releases]
    return found[-1] if found else ""


def system_python():
    """The interpreter that environments are built with, as far as they depend on it.

    By the name that keeps to it: python3 is another one after an upgrade of Debian.
    """
    words = ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return f"{os.path.realpath(words[0])} {version}"


def without_python(release):
    """Why a release can't be started, as the end of a sentence: an upgrade of Debian has taken its Python.

    release: its folder. "": it has one.
    """
    environment = os.path.realpath(f"{release}/.release/venv")
    python = os.path.realpath(f"{environment}/bin/python")
    if not os.path.exists(python):
        return f"needs {python}, which is not on the host any more"
    made_for = [os.path.basename(path) for path in glob.glob(f"{environment}/lib/python3.*")]
    # As older versions of the role have made them: they follow the link python3.
    if python == os.path.realpath("/usr/bin/python3") and os.path.basename(python) not in made_for:
        return f"needs {', '.join(made_for)}, and the host's Python is {os.path.basename(python)}"
    return ""


def stamped(venv):
    """Whether an environment has its stamp, and of root: a build can write one of its own."""
    stamp = f"{venv}/.complete"
    return os.path.lexists(stamp) and os.lstat(stamp).st_uid == os.geteuid()


def complete_releases(home, venvs):
    """The releases that have all they need, the youngest first: id, and the venv's."""
    found = []
    paths = glob.glob(f"{home}/releases/" + "[0-9a-f]" * 12)
    for path in sorted(paths, key=os.path.getmtime, reverse=True):
        link = f"{path}/.release/venv"
        venv = os.path.basename(os.readlink(link)) if os.path.islink(link) else ""
        if venv in venvs:
            found.append({"id": os.path.basename(path), "venv": venv})
    return found


def account(name):
    """Whether there is the app's account, and the folders that are root's alone."""
    unit = f"tornado-{name}"
    try:
        user, group = pwd.getpwnam(unit), grp.getgrnam(unit)
        folders = [os.lstat(f"/srv/{name}/{folder}") for folder in ("", "releases", "venvs")]
    except (KeyError, OSError):
        return False
    wanted = (group.gr_gid, f"Tornado app {name}", f"/var/lib/{unit}", "/usr/sbin/nologin")
    return wanted == (user.pw_gid, user.pw_gecos, user.pw_dir, user.pw_shell) and all(
        (one.st_mode, one.st_uid, one.st_gid) == (stat.S_IFDIR | 0o755, 0, 0) for one in folders
    )


def open_releases(name):
    """Releases that all accounts may read."""
    found = [(path, os.lstat(path).st_mode) for path in sorted(glob.glob(f"/srv/{name}/releases/*"))]
    return [path for path, mode in found if mode == stat.S_IFDIR | 0o755]


def look(name):
    """All that the host has and runs of the app; for the keys see the module's RETURN."""
    home, unit = f"/srv/{name}", f"tornado-{name}"
    ports = known_ports(unit)
    ours = [f"{unit}@{port}.{kind}" for port in ports for kind in ("service", "socket")]
    libraries = f"{unit}-libraries.service"
    units = show([*ours, *known_jobs(unit), libraries])
    workers, timers = workers_and_timers(name, units)
    link = f"{home}/current"
    current = os.path.basename(os.readlink(link)) if os.path.islink(link) else ""
    folders = glob.glob(f"{home}/venvs/*")
    venvs = [os.path.basename(path) for path in folders if stamped(path)]
    releases, entries = complete_releases(home, venvs), history(home)
    owed = f"{home}/after-activation.owed"
    taken = [entry for entry in entries if entry["event"] != "refused"]
    return {
        "name": name,
        "unstartable": without_python(link) if current else "",
        "account": account(name),
        "open_releases": open_releases(name),
        "python": system_python(),
        "current": current,
        "releases": releases,
        "history": entries,
        "last": taken[-1] if taken else {},
        "bad": bad(entries),
        "owed": open(owed, encoding="utf-8").read().strip() if os.path.exists(owed) else "",
        "previous": previous(entries, current, [one["id"] for one in releases]),
        "venvs": venvs,
        "half_built": glob.glob(f"{home}/releases/*.partial")
        + [path for path in folders if os.path.basename(path) not in venvs],
        "units": os.path.exists(f"{UNITS}/{unit}@.service"),
        "ports": {
            port: describe(name, port, units[f"{unit}@{port}.service"], units[f"{unit}@{port}.socket"])
            for port in ports
        },
        "workers": workers,
        "timers": timers,
        "job_files": job_files(unit),
        "replacing": units[libraries]["ActiveState"],
    }


def job_files(unit):
    """What workers and timers have on the host besides what they share with the ports."""
    return sorted([*glob.glob(f"{UNITS}/{unit}_*"), *glob.glob(f"{STAMPS}/stamp-{unit}_*.timer")])


def troubles(status):
    """A sentence for each worker and timer that is not well, a failed swap, and what can't start again."""
    name = status["name"]
    if status["unstartable"]:
        yield f"{name}: {ANEW % (status['current'], status['unstartable'])}"
    if status["replacing"] == "failed":
        log = f"journalctl -u tornado-{name}-libraries tells why"
        yield f"{name}: what runs from before an update of the host could not be swapped; {log}."
    for key, one in status["workers"].items():
        log = f"journalctl -u tornado-{name}_{key} tells why"
        if one["state"] != "active":
            how = f"{one['state']}; the last one {one['ended']}"
            yield f"{name}: the worker {key} does not run ({how}); {log}."
        elif one["restarts"] and time.time() - one["since"] < UNWELL:
            yield f"{name}: the worker {key} has ended by itself ({one['restarts']} so far); {log}."
    for key, one in status["timers"].items():
        log = f"journalctl -u tornado-{name}_{key} tells why"
        if one["failed"]:
            yield f"{name}: the last run of the timer {key} {one['ended']} ({moment(one['last'])}); {log}."
        if one["state"] not in ("active", REMOVED):
            yield f"{name}: the timer {key} is {one['state']}, so that nothing starts its job."


def moment(since):
    """Seconds since 1970 as a date that a person reads."""
    if not since:
        return "-"
    return datetime.datetime.fromtimestamp(since, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def columns(rows):
    """Rows of words as lines with straight columns."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def job_table(status):
    """Workers and timers as lines, after an empty one each; none where there are none."""
    workers = [("worker", "release", "state", "pid", "since", "memory", "restarts")]
    for key, one in status["workers"].items():
        since, used = moment(one["since"]), f"{one['memory'] / 1e6:.0f} MB"
        workers.append(
            (key, one["release"] or "-", one["state"], str(one["pid"]), since, used, str(one["restarts"]))
        )
    timers = [("timer", "last", "result", "next")]
    for key, one in status["timers"].items():
        result = f"running {one['release']}" if one["running"] else one["ended"]
        timers.append((key, moment(one["last"]), result or "-", moment(one["next"])))
    return [line for rows in (workers, timers) if len(rows) > 1 for line in ("", *columns(rows))]


def table(status):
    """What an operator sees, as lines: the ports, then the releases."""
    sources = {entry["release"]: entry.get("source", "") for entry in status["history"]}
    rows = [("port", "release", "state", "pid", "since", "requests", "open", "memory", "restarts", "source")]
    notes = []
    for port, one in status["ports"].items():
        load = one["load"]
        rows.append(
            (
                port,
                one["release"] or "-",
                one["state"],
                str(one["pid"] or "-"),
                moment(one["since"]),
                str(load.get("requests", "-")),
                str(load.get("connections", "-")),
                f"{one['memory'] / 1e6:.0f}+{one['keeper_memory'] / 1e6:.0f} MB",
                str(one["restarts"]),
                sources.get(one["release"], "-"),
            )
        )
        if not one["confined"]:
            notes.append(f"port {port} runs without its sandbox (tornado_app_sandbox: enabled: false)")
        if one["socket_outdated"]:
            notes.append(f"port {port} has a changed socket unit, which counts from the next boot on")
        if one["refused"]:
            notes.append(f"port {port} refused: {one['refused']}")
        for old in one["draining"]:
            notes.append(f"port {port} drains {old['release']} (process {old['pid']})")
    lines = [f"{status['name']}: current release {status['current'] or 'none'}", *columns(rows), *notes]
    lines += [*job_table(status), *troubles(status)]
    rows = [("release", "date", "who", "state", "source")]
    present = [one["id"] for one in status["releases"]]
    for entry in reversed(status["history"]):
        release = entry["release"]
        if release in [row[0] for row in rows]:
            continue
        state = "current" if release == status["current"] else "bad" if release in status["bad"] else "good"
        gone = "" if release in present else ", removed"
        rows.append((release, entry["at"], entry.get("who", "-"), state + gone, entry.get("source", "")))
    return [*lines, "", *columns(rows)] if len(rows) > 1 else lines


def main():
    """tornado-<app>-status [--json]"""
    name = re.sub(r"^tornado-|-status$", "", os.path.basename(sys.argv[0]))
    if os.getuid() != 0:
        sys.exit(f"{os.path.basename(sys.argv[0])}: only root may ask the keepers. Use sudo.")
    status = look(name)
    print(json.dumps(status, indent=2) if "--json" in sys.argv else "\n".join(table(status)))


if __name__ == "__main__":
    main()
