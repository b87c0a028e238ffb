"""The hosts of a play, and a refusal where a slip in inventory or command line would leave it none.

Ansible itself skips a play whose group nobody has, a file of variables whose group nobody has and
tasks whose tag nobody has, and ends well. It asks for a play's hosts whatever -l, -t and -i say.
"""

import difflib
import functools
import re
from pathlib import Path

from ansible import context
from ansible._internal._datatag._tags import Origin
from ansible._internal._templating._engine import TemplateContext
from ansible.errors import AnsibleError, AnsibleFilterError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.vault import AnsibleVaultError
from ansible.vars.manager import VariableManager

from ..action.inputs import Run
from ..plugin_utils.cluster import Cluster
from ..plugin_utils.command_line import ROOT, own_playbooks
from ..plugin_utils.controller import options
from ..plugin_utils.names import VAULT
from ..plugin_utils.reboot import felt

GROUPS = ("tornado_app", "nginx_proxy", "redis_server", "keepalived")
# The verbs that are about one group: run alone, they have nothing to do without it.
ALONE = {
    "deploy": ("tornado_app",),
    "rollback": ("tornado_app",),
    "prune": ("tornado_app",),
    "publish": ("nginx_proxy",),
    "maintenance": ("nginx_proxy",),
    "purge": ("nginx_proxy",),
    "drain": ("nginx_proxy",),
    "undrain": ("nginx_proxy",),
    "check": ("tornado_app", "nginx_proxy"),
    "redis": ("redis_server",),
    "float": ("keepalived",),
}
MAGIC = ("hostvars", "groups", "vars", "ansible_facts")
FILES = ("", ".yml", ".yaml", ".json")


def letters(name):
    """A name without what people forget, double or swap."""
    return re.sub("ies$", "y", re.sub("[-_. ]", "", name.lower())).removesuffix("s")


def slip(name, known):
    """The one of the known names that this is with a slip in it, or None. Another digit is none."""
    for other in known:
        mine, its = letters(name), letters(other)
        if (
            mine == its
            or (its == "all" and mine in ("al", "alll", "lal"))
            or (
                len(its) > 5
                and re.findall("[0-9]+", mine) == re.findall("[0-9]+", its)
                and (sorted(mine) == sorted(its) or abs(len(mine) - len(its)) == 1)
                and difflib.SequenceMatcher(None, mine, its).ratio() > 0.85
            )
        ):
            return other
    return None


def refused_group(groups):
    """Why a group is no group of these playbooks, though it looks like one."""
    for name, hosts in groups.items():
        meant = slip(name, GROUPS) if name not in GROUPS else None
        if meant and (not hosts or set(hosts) - set(groups.get(meant, []))):
            return f"{name}: no playbook knows this group of the inventory. Is it {meant}?"
    return None


def refused_name(groups):
    """Why a host can't be in any play: Ansible passes over it, and ends well."""
    for name in groups.get("all", []):
        if split_host_pattern([name]) != [name]:
            return (
                f"{name!r}: no play can have this host of the inventory, as Ansible reads several in it."
                " Call it by letters, digits, dots and dashes, with its address in ansible_host."
            )
    return None


def refused_file(groups):
    """Why nothing reads a file of variables that lies where Ansible looks for them."""
    folders = {ROOT, ROOT / "playbooks"}
    for source in map(Path, context.CLIARGS.get("inventory") or ()):
        if source.exists():
            folders.add(source if source.is_dir() else source.parent)
    for folder in sorted(folders):
        for entry in sorted(folder.iterdir()):
            meant = slip(entry.name, ("group_vars", "host_vars"))
            if meant not in (None, entry.name) and entry.is_dir():
                return f"{entry}: Ansible does not look into this folder. Is it {meant}?"
        for kind, known in (("group_vars", [*groups, *GROUPS]), ("host_vars", groups.get("all", []))):
            if (folder / kind).is_dir():
                for file in sorted((folder / kind).iterdir()):
                    if problem := unread(file, known):
                        return problem
                    group = file.stem if file.stem in GROUPS and kind == "group_vars" else None
                    # What lies beside the playbooks is for inventories of all kinds.
                    if group and not groups.get(group) and folder not in (ROOT, ROOT / "playbooks"):
                        return f"{file}: {nobody(groups, group)}"
    return None


def nobody(groups, group):
    """Why nothing is done with what is meant for a group that has no host, and what would help."""
    others = [
        name for name in groups if name not in GROUPS and groups[name] and letters(name) in letters(group)
    ]
    named = (
        f"Call the group {others[0]} so" if others else f"Write {group}: {{hosts: {{{groups['all'][0]}: }}}}"
    )
    return f"no host is in the group {group}, so nothing is done with it. {named}, or leave it out."


def unreadable(problem):
    """The sentence for variables that can't be read, with the place, which Ansible keeps to itself."""
    said, hint, cause = str(problem), "", problem
    if "surrogates not allowed" in said:
        said, hint = "YAML parsing failed: it is not UTF-8.", " Save it so."
    while cause:
        written = getattr(cause, "obj", None)
        if isinstance(cause, AnsibleVaultError):
            hint = f" Give its password {VAULT}."
        if place := written if isinstance(written, Origin) else Origin.get_tag(written):
            return f"{place}: {said}{hint}"
        cause = cause.__cause__ or cause.__context__
    return said + hint


@functools.cache
def inventory_variables():
    """Host to its variables, as they were written: some can't be read without the host's facts.

    Read anew, with the run's own passwords: Ansible has none yet when it asks for the first play's hosts.
    """
    loader = TemplateContext.current().templar._loader
    inventory = InventoryManager(loader=loader, sources=context.CLIARGS.get("inventory"))
    manager = VariableManager(loader=loader, inventory=inventory)
    try:
        return {
            host.name: manager.get_vars(host=host, include_hostvars=False)
            for host in inventory.get_hosts(ignore_limits=True)
        }
    except AnsibleError as problem:
        raise AnsibleFilterError(unreadable(problem)) from problem


@functools.cache
def asked_by_proxies(everywhere, tls):
    """The hosts whose apps are reached by proxies elsewhere, so that they need an nginx of their own.

    everywhere: the inventory's groups, as pairs of a name and its hosts. tls: only where that goes by TLS.
    """
    groups, known = dict(everywhere), inventory_variables()
    if not groups.get("tornado_app") or not groups.get("nginx_proxy"):
        return []
    loader = TemplateContext.current().templar._loader
    variables = {**known[groups["nginx_proxy"][0]], "groups": groups, "hostvars": known}
    cluster = Cluster(Run(ROOT / "roles/nginx_proxy", loader, variables))
    return [
        name for name in cluster.runners if cluster.visitors(name) and (cluster.hosts[name].tls or not tls)
    ]


def members(groups, name, tls=False):
    """The hosts of a group, and those that have to have the same. tls: of these only who has certificates."""
    found = groups.get(name, [])
    everywhere = tuple((one, tuple(several)) for one, several in groups.items())
    return found + asked_by_proxies(everywhere, tls) if name == "nginx_proxy" else found


def refused_variable(groups):
    """Why a variable that a host has can't be meant so: it is for a group that has no host."""
    for group in [name for name in GROUPS if not groups.get(name)]:
        known = options(ROOT / "roles" / group)["variables"]
        for variables in inventory_variables().values():
            for name in sorted(set(known) & set(variables)):
                others = [value for key, value in variables.items() if key not in (*MAGIC, name)]
                # The ports of an app that runs elsewhere may stand in a site's upstreams.
                if not re.search(rf"\b{name}\b", str(others)):
                    return f"{name}: {nobody(groups, group)}"
    return None


def slip_of_end(end):
    """Whether a file's end is one that Ansible reads, or one of them with a slip; a copy's is not."""
    return not end.endswith("~") and difflib.get_close_matches(end.lower(), FILES[1:], cutoff=0.6)


def unread(file, known):
    """Why nothing reads a file of group_vars or host_vars that was meant for a known name."""
    if any(file.name == name + end for name in known for end in FILES):
        return None
    stem, end = (file.name, "") if file.is_dir() else (file.stem, file.suffix)
    if end in FILES and (meant := slip(stem, known)):
        return f"{file}: nothing in the inventory is called {stem}, so nobody reads this file. Is it {meant}?"
    for name in known:
        rest = file.name.removeprefix(f"{name}.")
        if rest != file.name and slip_of_end(rest.split(".")[-1]):
            return f"{file}: nobody reads a file that ends in .{rest}. Call it {name}.yml."
    return None


def refused_words(groups):
    """Why what the command line says would leave nothing to do."""
    given = own_playbooks()
    tags = set(context.CLIARGS.get("tags") or ()) - {"all", "untagged"}
    if given and tags and not any("tags:" in one.read_text() for one in given if one.is_file()):
        return f"-t {', '.join(sorted(tags))}: nothing here has a tag. Run one of playbooks/ for a part."
    known = {host for name in GROUPS for host in groups.get(name, [])}
    parts = re.split("[,:]", context.CLIARGS.get("subset") or "")
    if all(part in groups or part in groups.get("all", []) for part in parts):
        meant = {host for part in parts for host in groups.get(part, [part])}
        if not meant & known:
            there = ", ".join(sorted(known))
            return f"-l {','.join(parts)}: no such host is in {' or '.join(GROUPS)}. There are {there}."
    return None


def refused_nothing(groups):
    """Why there is nothing to do at all."""
    sources = ", ".join(context.CLIARGS.get("inventory") or ()) or "the inventory"
    if not groups.get("all"):
        return f"{sources}: there is no host in it. Give -i a file or folder that has some."
    wanted = GROUPS
    # Whether a playbook can be read is asked with any inventory.
    if context.CLIARGS.get("syntax"):
        return None
    for playbook in own_playbooks():
        wanted = ALONE.get(playbook.stem, GROUPS)
    if not any(groups.get(name) for name in wanted):
        others = ", ".join(sorted(set(groups) - {"all", "ungrouped"})) or "none"
        example = f"{wanted[0]}: {{hosts: {{{groups['all'][0]}: }}}}"
        return (
            f"{sources}: no host is in a group {' or '.join(wanted)}, so there is nothing to do. "
            f"The groups with names are {others}. Write, as an example, {example}"
        )
    return None


def roles(groups, host):
    """The roles that a host is to have."""
    return [name for name in GROUPS if host in members(groups, name)]


def hosts(groups, *names, near=False):
    """The hosts of some groups, each once. near: and those that have to have the same; tls: certificates."""
    for look in (refused_group, refused_name, refused_file, refused_nothing, refused_words, refused_variable):
        if problem := look(groups):
            raise AnsibleFilterError(problem)
    several = [members(groups, name, near == "tls") if near else groups.get(name, []) for name in names]
    return list(dict.fromkeys(host for found in several for host in found))


class FilterModule:
    """Ansible finds the filters here."""

    def filters(self):
        """Name to function."""
        return {"hosts": hosts, "roles": roles, "felt": lambda *words: list(felt(*words))}
