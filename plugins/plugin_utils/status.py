"""What all hosts run, as one table: made of what each says of its apps, and each proxy of who is drained or behind."""

from collections import Counter

from ..module_utils.host import columns, moment

# What a host that answers something else may be in the way of.
UNREADABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
HEAD = ("host", "app", "port", "release", "state", "since", "note")


def answers(registered):
    """What a host has said, app by app, from what its looped task has registered.

    None if it can't be reached; a text if it has failed, which says why. One host hides no other.
    """
    several = registered.get("results", [registered])
    if registered.get("unreachable") or any(one.get("unreachable") for one in several):
        return None
    if failed := [one for one in (registered, *several) if one.get("failed")]:
        return str(failed[-1].get("msg", "it gives no reason"))
    return several


def of_apps(registered):
    """The same of a host's apps, with all that the table needs of them."""
    several = answers(registered)
    if isinstance(several, list):
        try:
            odd({"": several})
            columns([HEAD, *((*row, "") for status in several for row in rows_of("", status))])
            "".join(line for status in several for line in (*status["troubles"], *status["table"]))
        except UNREADABLE:
            return "what it says of its apps can't be read"
    return several


def of_proxy(registered):
    """The same of a proxy: who is drained, and who behind, since when."""
    said = answers(registered)
    if isinstance(said, list):
        try:
            drained = {str(host): str(since) for host, since in registered["drained"].items()}
            late = {
                str(host): {str(app): str(since) for app, since in apps.items()}
                for host, apps in registered["behind"].items()
            }
        except UNREADABLE:
            return "what it says of drained hosts can't be read"
        return {"drained": drained, "behind": late}
    return said


def of_redis(registered):
    """The same of a host's Redis: its place, its address, and whose Redis its Sentinel sees."""
    said = answers(registered)
    if isinstance(said, list):
        try:
            found = registered["standing"]
            place = {"master": "master", "slave": "replica", "": "stopped"}[found["role"]]
            alone = not found["sentinel"] and place == "master"
            state = "alone" if alone else place if found["linked"] or place != "replica" else "behind"
            return {"state": state, "address": str(found["address"]), "sees": set(map(str, found["sees"]))}
        except UNREADABLE:
            return "what it says of its Redis can't be read"
    return said


def redis_rows(redis):
    """Host to its row of the table. redis: host to what it says, of those that have said it."""
    asked = [one["sees"] for one in redis.values() if one["address"]]
    for host, one in redis.items():
        seen = sum(one["address"] in sees for sees in asked)
        note = f"seen-by-{seen}-of-{len(asked)}" * bool(one["address"])
        yield host, (host, "redis", "-", "-", one["state"], "-", note)


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


def told(proxies):
    """What is told by some proxies to since when, and where. proxies: name to what each tells, to since when."""
    found = {}
    for proxy, tells in proxies.items():
        for what, since in tells.items():
            found.setdefault(what, []).append((since, proxy))
    for what, several in found.items():
        where = f" at {', '.join(proxy for _since, proxy in several)} alone" * (len(several) < len(proxies))
        found[what] = f"since {min(several)[0]}{where}"
    return found


def table(apps, proxies, redis=None):
    """The lines. apps: host to the status of each of its apps, None where it can't be reached, or why it has failed.

    proxies: name to who is drained there, and who behind, since when; or the same. redis: of_redis() of hosts.
    """
    redis = redis or {}
    [first, *others] = apps.values() if apps else [None]
    if first and isinstance(first, list) and not others and len(redis) < 2:
        # A single host tells all that it knows, its former releases too.
        return [line for status in first for line in status["table"]]
    reached = {host: several for host, several in apps.items() if isinstance(several, list)}
    asked = {name: one for name, one in proxies.items() if isinstance(one, dict)}
    drained = told({name: one["drained"] for name, one in asked.items()})
    late = {
        name: {(host, app): since for host, apps in one["behind"].items() for app, since in apps.items()}
        for name, one in asked.items()
    }
    sentences = [
        f"{host} is drained {since}, until playbooks/undrain.yml -e nginx_proxy_undrain={host}"
        for host, since in drained.items()
    ]
    sentences += [
        f"{host} has missed a release of {app}, and is asked last {since}, until a run brings it along"
        for (host, app), since in told(late).items()
    ]
    behind = {host for one in late.values() for host, _app in one}
    differ, rows = odd(reached), [HEAD]
    places = dict(redis_rows({host: one for host, one in redis.items() if isinstance(one, dict)}))
    for host, several in {**redis, **proxies, **apps}.items():
        notes = ["drained"] * (host in drained) + ["behind"] * (host in behind)
        if several is None or isinstance(several, str):
            state = "unreachable" if several is None else "failed"
            rows.append((host, "-", "-", "-", state, "-", ",".join(notes)))
            sentences += [f"{host}: {several}"] * bool(several)
        if host in places:
            rows.append(places[host])
        elif host in redis and redis[host] != several:
            sentences.append(f"{host}: its Redis can't be asked{f', {redis[host]}' * bool(redis[host])}")
        for status in reached.get(host, []):
            app = status["name"]
            if others := differ.get((host, app)):
                sentences.append(f"{host} runs another release of {app} than {', '.join(others)}")
            # Without a space, at which a long line would be broken.
            note = ",".join([*notes, *["differs"] * bool(others)])
            rows += [(*row, note) for row in rows_of(host, status)]
            sentences += [f"{host}: {one}" for one in status["troubles"]]
    return [*columns(rows), *sentences]
