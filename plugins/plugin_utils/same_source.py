"""Whether the hosts of an app are about to run the same source, whatever else of a release is a host's own.

Ids say it only of hosts with the same settings and the same Python.
"""


def to_deploy(variables, app):
    """What a host has got packed of an app: id, code (of all that the source is), asked (by which variables)."""
    found = variables.get("__tornado_app_release") or {}
    return found if found.get("app") == app else {}


def to_go_back_to(variables, release):
    """The same of the release that a host would go back to. release: its id; "" for the one before."""
    before = variables.get("__tornado_app_before") or {}
    target = release or before.get("previous", "")
    codes = [one.get("code") for one in before.get("history", ()) if one["release"] == target]
    # An earlier version of the role has not written it down.
    return {"id": target, "asked": "", "code": next(filter(None, reversed(codes)), "")}


def running(status):
    """The same of what a host runs, and since when, by what it says of an app."""
    lines = [one for one in status["history"] if one["release"] == status["current"]]
    taken = [one["at"] for one in lines if one["event"] != "refused"]
    codes = [one["code"] for one in lines if one.get("code")]
    return {"id": status["current"], "code": codes[-1] if codes else "", "at": taken[-1] if taken else ""}


def behind(app, host, there):
    """A sentence where a host does not run what the others have come to since; "" where it does.

    there: host to what it runs, as running() has it, of those that are to run the same.
    """
    mine, newest = there[host], max(there.values(), key=lambda one: one["at"])
    if not mine["code"] or not newest["code"] or mine["code"] == newest["code"]:
        return ""
    others = [name for name, one in there.items() if one["code"] == newest["code"]]
    return (
        f"{app}: {newest['id']}, which {' and '.join(others)} came to at {newest['at']}, has not come to {host}: it runs"
        f" {mine['id']}, of another source. Deploy it there as well."
    )


def apart(releases):
    """The hosts that were asked for the same and have got something else, by id: some lists, or none.

    releases: host to what it would run, as above.
    """
    known = {host: one for host, one in releases.items() if one.get("code")}
    for asked in dict.fromkeys(one["asked"] for one in known.values()):
        mine = {host: one for host, one in known.items() if one["asked"] == asked}
        if len({one["code"] for one in mine.values()}) > 1:
            found = {}
            for host, one in mine.items():
                found.setdefault(one["id"], []).append(host)
            return found
    return {}


def refusal(app, event, found):
    """Why nothing is begun with these, by id."""
    parts = ", ".join(f"{release} on {' and '.join(hosts)}" for release, hosts in found.items())
    if event == "deployed":
        return (
            f"tornado_app_source: it has changed while it was packed for one host of {app} after the other: {parts}."
            " Try again when nothing writes to it, or give a tag or commit (tornado_app_version)."
        )
    return (
        f"tornado_app_release: the release before the current one of {app} is not of one source: {parts}. Say which"
        " one is meant (-e tornado_app_release=ID), host by host (-l) where the ids of one source differ, or deploy it."
    )
