"""What all hosts run, as one table: made of what each says of its apps, and each proxy of who is drained."""

from collections import Counter

from ..module_utils.host import columns, moment

HEAD = ("host", "app", "port", "release", "state", "since", "note")


def answers(registered):
    """What a host has said, app by app, from what its looped task has registered; None if it can't be reached."""
    several = registered.get("results", [registered])
    if registered.get("unreachable") or any(one.get("unreachable") for one in several):
        return None
    return several


def rows_of(host, status):
    """The ports, workers and timers of an app on a host, as rows without their note."""
    app = status["name"]
    for port, one in status["ports"].items():
        yield host, app, port, one["release"] or "-", one["state"], moment(one["since"])
    for key, one in status["workers"].items():
        yield host, app, key, one["release"] or "-", one["state"], moment(one["since"])
    for key, one in status["timers"].items():
        state = "running" if one["running"] else one["ended"] or one["state"]
        yield host, app, key, one["release"] or "-", state, moment(one["last"])
    if not (status["ports"] or status["workers"] or status["timers"]):
        yield host, app, "-", status["current"] or "-", "nothing runs", "-"


def odd(found):
    """Which hosts run another release of an app than most. found: host to status of each of its apps.

    The id of a release names the Python that its environment is for, so hosts that differ in that are no measure
    for each other. Gives (host, app) to the hosts that run the other one.
    """
    alike = {}
    for host, several in found.items():
        for status in several:
            alike.setdefault((status["name"], status["python"]), {})[host] = status["current"]
    differ = {}
    for (app, _python), current in alike.items():
        usual = Counter(current.values()).most_common(1)[0][0]
        others = [host for host, release in current.items() if release == usual]
        differ |= {(host, app): others for host, release in current.items() if release != usual}
    return differ


def drains(proxies):
    """Host to a sentence on that it is drained. proxies: name to what each says, host to since when."""
    found = {}
    for proxy, drained in proxies.items():
        for host, since in drained.items():
            found.setdefault(host, []).append((since, proxy))
    for host, several in found.items():
        where = f" at {', '.join(proxy for _since, proxy in several)} alone" * (len(several) < len(proxies))
        until = f"until playbooks/undrain.yml -e nginx_proxy_undrain={host}"
        found[host] = f"{host} is drained since {min(several)[0]}{where}, {until}"
    return found


def table(apps, proxies):
    """The lines. apps: host to the status of each of its apps, None where it can't be reached.

    proxies: name to who is drained there since when, None where it can't be reached.
    """
    [first, *others] = apps.values() if apps else [None]
    if first and not others:
        # A single host tells all that it knows, its former releases too.
        return [line for status in first for line in status["table"]]
    reached = {host: several for host, several in apps.items() if several is not None}
    differ, drained = odd(reached), drains({name: one for name, one in proxies.items() if one is not None})
    rows, sentences = [HEAD], list(drained.values())
    for host, several in {**proxies, **apps}.items():
        notes = ["drained"] * (host in drained)
        if several is None:
            rows.append((host, "-", "-", "-", "unreachable", "-", "".join(notes)))
        for status in apps.get(host) or []:
            app = status["name"]
            if others := differ.get((host, app)):
                sentences.append(f"{host} runs another release of {app} than {', '.join(others)}")
            # Without a space, at which a long line would be broken.
            note = ",".join([*notes, *["differs"] * bool(others)])
            rows += [(*row, note) for row in rows_of(host, status)]
            sentences += [f"{host}: {one}" for one in status["troubles"]]
    return [*columns(rows), *sentences]
