"""Render nginx's configuration for a host by its description, and let the module swap it."""

import os
import re

from ansible.plugins.action import ActionBase
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..module_utils.nginx_paths import DRAINED
from ..plugin_utils.apply import apply, look
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.controller import text_of
from ..plugin_utils.nginx_proxy import IPV6
from ..plugin_utils.nginx_proxy_private import certificate, refusals, staged
from ..plugin_utils.values import listed

ROLE = ROOT / "roles/nginx_proxy"
SNIPPETS = ("clients", "compression", "detour", "leaving", "limits", "log", "proxy", "tls")
# What a Debian will bring, where nginx is yet to be installed.
BUILDS = {12: "nginx/1.22 OpenSSL 3.0", 13: "nginx/1.26 OpenSSL 3.5"}
OLDEST_BUILD = BUILDS[12]  # of systems that the roles are not proven on


def version(text):
    """A version as numbers that can be compared."""
    return tuple(int(one) for one in text.split("."))


def host_of(found, debian):
    """What the templates need to know of a host. found: what the module C(look) says. debian: its release."""
    build = found["build"] if "nginx/" in found["build"] else BUILDS.get(debian, OLDEST_BUILD)
    nginx = version(re.search(r"nginx/([0-9.]+)", build)[1])
    return {
        "http2_directive": nginx >= (1, 25, 1),
        # Into one, where a client sends a header twice.
        "joins_headers": nginx >= (1, 23),
        "rotates_tickets": nginx >= (1, 23, 2),
        # Idle connections of clients, through a reload.
        "keeps_idle": nginx >= (1, 27, 4),
        "post_quantum": version(re.findall(r"OpenSSL ([0-9.]+)", build)[-1]) >= (3, 5),
        # What stands before a port in a listen directive. Where the kernel has no IPv6, nginx refuses to
        # start with an address of it.
        "addresses": ["", "[::]:"] if found["paths"][IPV6]["kind"] else [""],
    }


def listens(addresses, proxy_protocol):
    """Where visitors come: what stands before a port and behind it, and the queue, which is said once."""
    # As long as the kernel lets it be (somaxconn), where thousands come back at once.
    public = [{"address": one, "queue": " backlog=4096", "protocol": ""} for one in addresses]
    if not proxy_protocol:
        return public
    # What is on this host itself, as the role's own programs are, comes as ever. nginx binds none of these:
    # it has the port on all addresses, and looks by which one a connection came.
    loopback = ["127.0.0.1:", "[::1]:"][: len(addresses)]
    own = [{"address": one, "queue": "", "protocol": ""} for one in loopback]
    return [one | {"protocol": " proxy_protocol"} for one in public] + own


def configuration(nginx, host, read):
    """Path to text of the whole configuration, and the same of its files of hashed passwords.

    nginx: a description. host: what host_of says. read: function of a path on the controller. The module puts
    the release's folder for @release@, and takes "#= VARIABLE" off the lines' ends, to name the variable when
    nginx refuses a line.
    """
    loader = FileSystemLoader(ROLE / "templates/etc/nginx")
    jinja = Environment(
        loader=loader,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )

    public = listens(host["addresses"], nginx["proxy_protocol"])

    def render(path, **more):
        return jinja.get_template(f"{path}.j2").render(nginx=nginx, host=host, listens=public, **more)

    names = [
        *SNIPPETS,
        *["cache"] * nginx["caching"],
        *["acme"] * nginx["acme"],
        *["inner"] * bool(nginx["inner"]),
    ]
    files = {path: render(path) for path in ("nginx.conf", *(f"snippets/{name}.conf" for name in names))}
    for site in nginx["sites"]:
        slug = site["slug"]
        files[f"sites/{slug}.conf"] = render("sites/site.conf", site=site)
        page = site["closed_page"]
        files[f"public/{slug}.html"] = read(page) if page else (ROLE / "files/maintenance.html").read_text()
        if site["snippet"]:
            lines = [f"{line} #= nginx_proxy_sites.snippet" for line in site["snippet"].rstrip().split("\n")]
            files[f"sites/{slug}.snippet"] = "\n".join(lines) + "\n"
    if nginx["asks"] == "tls":
        files["trusted.pem"] = nginx["trusted_text"]
    rules = [rule for site in nginx["sites"] for rule in site["rules"] if rule["users"]]
    return files, {rule["users"]: read(rule["users_file"]) for rule in rules}


def programs():
    """Path on a host to text of what stands around nginx's unit."""
    files = ROLE / "files"
    found = [path for path in files.joinpath("usr").rglob("*") if path.is_file()]
    return {f"/{path.relative_to(files)}": path.read_text() for path in found}


CERTIFICATES, CLOSED, CACHE = "/etc/nginx/certificates", "/etc/nginx/maintenance", "/var/lib/nginx/cache"


def unused(folders, nginx):
    """Paths that former sites have left. folders: of the host, as they were before this run."""
    certificates = {site["certificate"] for site in nginx["sites"]}
    certificates |= {nginx["private_certificate"]} if "tls" in nginx["listens"] else set()
    slugs = {site["slug"] for site in nginx["sites"]}
    yield from {f"{CERTIFICATES}/{name}" for name in folders[CERTIFICATES]} - certificates
    yield from (f"{CLOSED}/{name}" for name in folders[CLOSED] if name not in slugs)
    members = [
        (one["host"], app["app"])
        for site in nginx["sites"]
        for app in site["upstreams"]
        for one in app["members"]
    ]
    notes = {name for host, app in members for name in (host, f"{host}@{app}")}
    yield from (f"{DRAINED}/{name}" for name in folders[DRAINED] if name not in notes)
    if not nginx["caching"] and os.path.basename(CACHE) in folders[os.path.dirname(CACHE)]:
        yield CACHE


def report(done, settings, host, dry):
    """What whoever runs this should know, a sentence each. done: what the module says. dry: with --check."""
    if settings:
        yield (
            f"Of the nginx.conf that was there {'would go' if dry else 'went'}, its copy is "
            f"/etc/nginx/nginx.conf.dist: {listed(settings)}"
        )
    if done["unmanaged"]:
        yield f"Left alone, and part of what nginx serves: {listed(done['unmanaged'])}"
    if done["drifted"]:
        yield f"Edited by hand, and {'to be undone' if dry else 'undone'}: {listed(done['drifted'])}"
    # They may still come, so nothing fails, and in a dry run nothing that it would start is there.
    if done["missing"] and not dry:
        yield (
            f"nginx_proxy_sites: {listed(done['missing'])} is not there on {host}. Visitors get an error for "
            "it until it is."
        )
    if done["removed"]:
        went = "would go" if dry else "went"
        yield f"No site uses these any more, and they {went}: {listed(done['removed'])}"


def told(names, task_vars):
    """Name of each of these hosts that is in this run to the certificate of its private CA, if it has one."""
    every = {one: task_vars["hostvars"][one] for one in names if one in task_vars["ansible_play_hosts"]}
    return {
        name: certificate(one.get("__nginx_proxy_issued", {}).get("ca", "")) for name, one in every.items()
    }


# What tasks register: of what a host shall have, and of one that has refused it.
DESCRIBED = ("__tornadoes_inputs", "__nginx_proxy_inputs")
REFUSED = ("__nginx_proxy_issued", "__nginx_proxy_rehearsed")


def subjects(nginx):
    """What a host's configuration is about: sites and apps, by name."""
    found = {("site", site["name"]) for site in nginx["sites"]}
    found |= {("app", one["app"]) for site in nginx["sites"] for one in site["upstreams"] if one["app"]}
    return found | {("app", one["app"]) for one in nginx["inner"].get("apps", [])}


def about(variables):
    """The same of a host by its variables; nothing where it was not asked yet, or has refused its inputs."""
    said = next(filter(None, map(variables.get, DESCRIBED)), {}).get("roles", {})
    nginx = said.get("nginx_proxy", {}).get("description")
    return subjects(nginx) if nginx else set()


def refused(variables):
    """The other hosts that have refused their configuration, and share a site or an app with this one.

    One that can't be reached any more has refused nothing.
    """
    known, own = variables["hostvars"], about(variables)
    lost = [one for one in variables["ansible_play_hosts_all"] if one not in variables["ansible_play_hosts"]]
    failed = [one for one in lost if any((known[one].get(name) or {}).get("failed") for name in REFUSED)]
    return [one for one in failed if own & about(known[one])]


class ActionModule(ActionBase):
    """found: what the host has, and its C(description), as the action C(inputs) says. The report is shown.

    Where the play has several hosts, the first call tests what has changed, and a second, with C(rehearsed),
    puts it in place: what one of them refuses leaves those as they are that share a site or an app with it.

    step: of a change of the way between proxies and the hosts of apps: plugin_utils/nginx_proxy_private.py.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        found, rehearsed = dict(self._task.args["found"]), self._task.args.get("rehearsed", False)
        if rehearsed and (others := refused(task_vars)):
            sentence = (
                f"nginx's configuration stays as it is here too, since it was refused on {listed(others)}."
            )
            return {**result, "failed": True, "msg": sentence}
        wanted = found["description"]
        step = self._task.args.get("step", "change")
        nginx = staged(wanted, found["private"], step, told(wanted["trusts"], task_vars))
        host, present = task_vars["inventory_hostname"], task_vars["ansible_play_hosts"]
        if said := list(refusals(nginx, found["private"], host, present, self._task.check_mode)):
            return {**result, "failed": True, "msg": " ".join(said)}
        if not found["build"]:
            found["build"] = self.build(task_vars)
        files, users = configuration(
            nginx, host_of(found, nginx["debian"]), lambda path: text_of(self._loader, task_vars, path)
        )
        words = {name: nginx[name] for name in ("drop_in", "upstreams", "named", "read_at_start")}
        words |= {"files": files, "users": users, "port": nginx["answers_on"], "programs": programs()}
        words["rehearse"] = not rehearsed and len(task_vars["ansible_play_hosts_all"]) > 1
        words["unused"] = sorted(unused(found["folders"], nginx))
        done = apply(self, "nginx_proxy_configuration", words, task_vars)
        if done.get("failed") or done.get("rehearsed"):
            return {**result, **done}
        result |= {"changed": done["changed"], "diff": done["diff"]}
        if said := list(report(done, found["settings"], host, self._task.check_mode)):
            # As the module debug shows it.
            result |= {"msg": said, "_ansible_verbose_always": True}
        return result

    def build(self, task_vars):
        """What nginx says of its version and build, now that it may be installed."""
        return look(self, {"nginx_proxy": {"nginx": True}}, task_vars)["nginx_proxy"]["build"]
