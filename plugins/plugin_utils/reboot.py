"""What a reboot of hosts, one after the other, needs to know of all of them."""

from .status import odd
from .values import listed


def differing(apps):
    """A sentence for each host that runs another release than most. apps: host to what it says of its apps."""
    return [
        f"{host} runs another release of {app} than {listed(others)}. Bring them together first, as with "
        "playbooks/deploy.yml."
        for (host, app), others in odd(apps).items()
    ]


def felt(groups, host, drained, well):
    """Sentences on what visitors notice of a host's reboot. drained: what each proxy said as it drained it.

    well: what the host has said of itself.
    """
    behind = [one for one in drained if one["sends"]]
    kept = sorted({site for one in behind for site in one["kept"].get(host, [])})
    if host in groups.get("tornado_app", []) and not behind:
        yield "Its apps answer nobody meanwhile."
    if kept:
        yield f"Nobody answers for {listed(kept)} meanwhile: no other host has the app."
    if still := sum(one["open"] for one in behind):
        yield f"{still} connections to its apps are open still, as WebSockets are, and end."
    if host in groups.get("keepalived", []):
        yield "Another proxy gets its addresses. What is open here then, as WebSockets, ends."
    elif host in groups.get("nginx_proxy", []):
        yield "Who comes to this proxy gets no answer meanwhile."
    if host in groups.get("redis_server", []) and not well["redis"]:
        yield "Programs reach no Redis here meanwhile."
