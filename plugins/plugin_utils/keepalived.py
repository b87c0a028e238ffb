"""Which floating addresses the hosts of the group keepalived share, and the files that a host gets for it."""

import ipaddress
import zlib
from dataclasses import dataclass
from pathlib import PurePath

from .cluster import ADDRESS, apps_of, located
from .command_line import ROOT
from .values import address, listed, port, quoted, twice

GROUP = "keepalived"
MARK = "# Managed by Ansible (role keepalived)"
CONFIGURATION = "/etc/keepalived/keepalived.conf"
HIGHEST, STEP = 250, 10  # priorities: of the first host, and how much less each next one has
MOST = 20  # hosts
FILES = ROOT / "roles/keepalived/files"
INTERVAL = 0.2  # seconds between two signs of life; after three without one the next host takes over

HEAD = """{mark}: a change here is undone by the next run.

global_defs {{
    router_id {host}
    vrrp_version 3
    # From nobody but the other hosts of the group.
    vrrp_check_unicast_src
    # A machine that has much to do is none that has died.
    vrrp_rt_priority 20
    vrrp_no_swap
}}

track_file nginx {{
    # Written by tornadoes-keepalived-watch.service: so much is added to the priority.
    file "/run/tornadoes-keepalived/nginx"
    weight 1
    init_file 0
}}
"""
INSTANCE = """
vrrp_instance tornadoes_{number} {{
    interface {interface}
    state BACKUP
{preempt}
    virtual_router_id {router}
    priority {priority}
    advert_int {interval}
    unicast_src_ip {source}
    unicast_peer {{
{peers}
    }}
    track_file {{
        nginx
    }}
{addresses}
}}
"""
STAYS = "    # An address stays where it is: a move back would cost what is open.\n    nopreempt"
RETURNS = "    # To the host that the address prefers, a minute after it is back.\n    preempt_delay 60"


@dataclass
class Floating:
    """A floating address. text: as it was given. found: with its prefix; None where it is none."""

    text: str
    found: ipaddress.IPv4Interface | ipaddress.IPv6Interface | None

    @classmethod
    def by(cls, text):
        """What an entry of the list says."""
        first, _slash, bits = text.partition("/")
        try:
            found = ipaddress.ip_interface(text) if address(first) and bits.isdigit() else None
        except ValueError:
            found = None
        return cls(text, found)

    @property
    def usable(self):
        """Whether a host can have it."""
        one = self.found
        if one is None or one.ip.is_loopback or one.ip.is_multicast or one.ip.is_unspecified:
            return False
        last = one.version == 4 and one.ip == one.network.broadcast_address
        return one.network.num_addresses <= 2 or not (last or one.ip == one.network.network_address)


class Inputs:
    """variables: name to value. run: what is known of the run, see the action C(inputs)."""

    def __init__(self, variables, run):
        given = {name.removeprefix("keepalived_"): value for name, value in variables.items()}
        self.present, self.run = given["state"] == "present", run
        self.spread, self.ports = given["spread"], given["ports"]
        self.addresses = [Floating.by(str(one)) for one in given["addresses"]]
        self.hosts = {name: self.located(name) for name in run.group(GROUP)}
        self.cards = []

    def located(self, name):
        """A host's address among those that the hosts have for each other; "" where there is none."""
        found, _why = located(self.run.on(name, GROUP))
        return found

    @property
    def source(self):
        """This host's private address."""
        return self.hosts.get(self.run.host, "")

    def refusals(self):
        """A sentence for each invalid value."""
        if not self.present:
            return
        if not self.addresses or twice([one.found for one in self.addresses]):
            yield (
                f"keepalived_addresses: {listed(one.text for one in self.addresses) or 'an empty list'} is "
                "invalid. Give at least one address, and each of them once."
            )
        if bad := [one.text for one in self.addresses if not one.usable]:
            yield (
                f"keepalived_addresses: {quoted(bad)} is no address that a host can have. Write it with the length "
                "of its network's prefix, as 203.0.113.10/24 or 2001:db8::10/64."
            )
        if not self.ports or twice(self.ports) or not all(port(one) for one in self.ports):
            yield (
                f"keepalived_ports: {listed(self.ports) or 'an empty list'} is invalid. Give nginx's TCP ports, as "
                "[80, 443]."
            )
        yield from self.about_hosts()

    def about_hosts(self):
        """Who shares the addresses."""
        others = [name for name in self.hosts if name not in self.run.group("nginx_proxy")]
        if others:
            yield (
                f"keepalived_addresses: {listed(others)} is in the group {GROUP} and not in nginx_proxy, so nothing "
                "would answer there. Add it, or take it out."
            )
        if not 2 <= len(self.hosts) <= MOST:
            yield (
                f"keepalived_addresses: {len(self.hosts)} host is in the group {GROUP}. An address moves between "
                f"2 to {MOST} hosts; one alone needs none."
            )
        if missing := [name for name, where in self.hosts.items() if not where]:
            yield (
                f"{ADDRESS}: {listed(missing)} has none that is private. Give each host of the group {GROUP} its "
                "address in a network that they share, as 10.0.0.5."
            )
            return
        places = [address(one) for one in self.hosts.values()]
        if twice(places):
            yield f"{ADDRESS}: {listed(twice(places))} is given to two hosts. Give each its own."
        if len({one.version for one in places}) > 1:
            yield f"{ADDRESS}: {listed(places)} are of IPv4 and IPv6. Give all hosts addresses of one kind."
        good = [one.found for one in self.addresses if one.usable]
        if own := [str(one) for one in good if one.ip in places]:
            yield (
                f"keepalived_addresses: {listed(own)} is a host's own address, which can't move. Give one that no "
                "host has."
            )
        kind = places[0].version if places else 0
        if far := [
            together for together in self.groups(good) if all(one.version != kind for one in together)
        ]:
            yield (
                f"keepalived_addresses: {listed(far[0])} can't move, since none of it is of IPv{kind}, by which the hosts "
                f"know each other ({ADDRESS}). Give one of that kind beside it, or other private addresses."
            )

    def questions(self):
        """What the host is asked, for the module C(look)."""
        return {
            "packages": ["keepalived", "nftables"],
            "cards": True,
            "texts": [CONFIGURATION],
            "starts": ["keepalived.service"] * self.present,
        }

    def listens(self):
        """The TCP ports that it will listen on."""
        return []

    def card(self, one):
        """Name of the interface whose network an address is in; "" where there is none."""
        for card in self.cards:
            if any(address(str(one)) in ipaddress.ip_interface(own).network for own in card["addresses"]):
                return card["name"]
        return ""

    def answers(self, found):
        """A sentence for each value that the host can't have."""
        before = found["texts"][CONFIGURATION]
        # What the last run has put there may be on an interface now.
        self.cards = [
            {**card, "addresses": [one for one in card["addresses"] if f" {one} dev" not in before]}
            for card in found["cards"]
        ]
        if not self.present:
            return
        if before and not before.startswith(MARK):
            yield (
                f"keepalived_addresses: {self.run.host} has a {CONFIGURATION} that this role has not made. Move "
                "it away, if nobody needs it."
            )
        good = [one for one in self.addresses if one.usable]
        held = {str(ipaddress.ip_interface(one).ip) for card in self.cards for one in card["addresses"]}
        if self.source and self.source not in held:
            yield (
                f"{ADDRESS}: {self.source} is no address of {self.run.host}. Give one that it has, in a network "
                "which all hosts of the group share."
            )
            return
        if own := [one.text for one in good if str(one.found.ip) in held]:
            yield (
                f"keepalived_addresses: {listed(own)} is {self.run.host}'s own address, which can't move. Give one "
                "that no host has."
            )
        here = self.card(self.source) if self.source else ""
        if far := [
            f"{name} ({where})" for name, where in self.hosts.items() if where and self.card(where) != here
        ]:
            yield (
                f"{ADDRESS}: {listed(far)} is in no network of {self.run.host} ({self.source}). Hosts that share "
                "an address need one network."
            )
        if far := [one.text for one in good if not self.card(one.found.ip)]:
            yield (
                f"keepalived_addresses: {listed(far)} is in no network of {self.run.host}, so nobody would find it "
                "there. Give an address of a network that all hosts of the group are in."
            )

    def description(self):
        """Path to content of the host's files."""
        if not (self.present and self.cards):
            return {"files": {}}
        peers = [where for name, where in self.hosts.items() if name != self.run.host]
        here = self.run.host in self.run.group("tornado_app")
        apps = apps_of(self.run.on(self.run.host, "tornado_app")) if here else {}
        words = {
            "@apps@": " ".join(f"tornado-{name}.target" for name in apps),
            "@port@": str(self.ports[0]),
            "@ports@": ",".join(map(str, self.ports)),
            "@peers@": " ".join(peers),
            "@addresses@": " ".join(str(one.found.ip) for one in self.addresses),
        }
        files = {CONFIGURATION: self.configuration(peers)}
        for path in sorted(one for one in FILES.rglob("*") if one.is_file() and one.suffix != ".pyc"):
            text = path.read_text()
            for word, value in words.items():
                text = text.replace(word, value)
            files[f"/{PurePath(path).relative_to(FILES)}"] = text
        return {"files": files}

    def groups(self, addresses):
        """The addresses that move together: all, or those of each host."""
        if not self.spread:
            return [addresses] if addresses else []
        # Those of each kind one after the other: a name has one of each, which are best together.
        kinds = [[one for one in addresses if one.version == version] for version in (4, 6)]
        found = [[] for _host in self.hosts]
        for kind in kinds:
            for number, one in enumerate(kind):
                found[number % len(found)].append(one)
        return [one for one in found if one]

    def configuration(self, peers):
        """What keepalived reads."""
        text = HEAD.format(mark=MARK, host=self.run.host)
        kind, taken = address(self.source).version, set()
        order = list(self.hosts).index(self.run.host)
        for number, together in enumerate(self.groups([one.found for one in self.addresses])):
            router = zlib.crc32(str(together[0].ip).encode()) % 255 + 1
            while router in taken:
                router = router % 255 + 1
            taken.add(router)
            rank = (order - number) % len(self.hosts)
            text += INSTANCE.format(
                number=number + 1,
                interface=self.card(self.source),
                preempt=RETURNS if self.spread else STAYS,
                router=router,
                priority=HIGHEST - STEP * rank,
                interval=INTERVAL,
                source=self.source,
                peers="\n".join(f"        {one}" for one in peers),
                addresses=self.blocks(together, kind),
            )
        return text

    def blocks(self, together, kind):
        """Addresses of the kind that the hosts speak, and the others, which go with them."""
        lines = []
        for name, mine in (("virtual_ipaddress", True), ("virtual_ipaddress_excluded", False)):
            some = [one for one in together if (one.version == kind) == mine]
            if some:
                inside = [f"        {one} dev {self.card(one.ip)}" for one in some]
                lines += [f"    {name} {{", *inside, "    }"]
        return "\n".join(lines)
