"""Inputs that are refused, each with the sentence that says why: for the fast tests, and on a host."""

SITE = {"names": ["www.example.org"], "upstreams": ["127.0.0.1:8000"]}
GUARDED = {"allow": ["192.0.2.0/24"]}


def sites(*changes):
    """The variable with a good site for each of the changes, changed."""
    return {"nginx_proxy_sites": [{**SITE, **change} for change in changes]}


def apps(*paths):
    """The change of a site that gives some paths to another app."""
    return {"paths": [{"path": path, "upstreams": ["127.0.0.1:8100"]} for path in paths]}


REFUSED = {
    "a port twice": (
        {"tornado_app_ports": [8000, 8001, 8000]},
        "tornado_app_ports: 8000 is given twice. Each port runs one instance.",
    ),
    "a port of two apps": (
        {"tornado_app_apps": [{"name": "one", "ports": [8000]}, {"name": "two", "ports": [8000]}]},
        "tornado_app_ports: 8000 is given twice. Each port runs one instance.",
    ),
    "a port out of range": (
        {"tornado_app_ports": [8000, 65536]},
        "tornado_app_ports: 8000, 65536 has a port out of range. Ports go from 1 to 65535.",
    ),
    "no port": ({"tornado_app_ports": []}, "tornado_app_ports: the list is empty. Give at least one port"),
    "a name that is no unit name": (
        {"tornado_app_name": "My App"},
        "tornado_app_name: 'My App' can't name units and an account. Take 2 to 24 lowercase letters",
    ),
    "two apps of one name": (
        {"tornado_app_apps": [{"name": "one"}, {"name": "one"}]},
        "tornado_app_apps: a name is given twice (one, one). Each app has its own.",
    ),
    "an app that nobody knows": (
        {"tornado_app_apps": [{"name": "one"}], "tornado_app_name": "two"},
        "tornado_app_name: there is no app 'two'. Say which one with -e tornado_app_name=NAME: one.",
    ),
    "a source that does not exist": (
        {"tornado_app_source": "/no/such/folder"},
        "/no/such/folder does not exist on the controller. Give a path that does",
    ),
    "a main that can't be started": (
        {"tornado_app_main": "../hello.py"},
        "tornado_app_main: '../hello.py' can't be started. Give a script of the source (hello.py), -m and a",
    ),
    "a main for a shell": (
        {"tornado_app_main": "cd src && python server.py"},
        "tornado_app_main: 'cd src && python server.py' is for a shell, and none reads it. Give the program",
    ),
    "a variable before a main": (
        {"tornado_app_main": "DEBUG=1 python server.py"},
        "tornado_app_main: 'DEBUG=1 python server.py' is for a shell, and none reads it. Give the program",
    ),
    "a port among the arguments": (
        {"tornado_app_arguments": ["--port=9"]},
        "tornado_app_arguments: --port=9 is given by the role. List the ports in tornado_app_ports.",
    ),
    "a port in what is started": (
        {"tornado_app_main": "bokeh serve page --port 9"},
        "tornado_app_main: --port is given by the role. List the ports in tornado_app_ports. Write {port}",
    ),
    "a folder to start in from elsewhere": (
        {"tornado_app_folder": "../app"},
        "tornado_app_folder: '../app' is invalid. Give the folder inside the source that the",
    ),
    "a module without a name": (
        {"tornado_app_main": "-m"},
        "tornado_app_main: '-m' can't be started.",
    ),
    "a worker's name that is no unit's": (
        {"tornado_app_workers": [{"name": "my mail", "command": "x"}, {"name": "build", "command": "x"}]},
        "tornado_app_workers: 'my mail' can't name a unit. Take up to 24 lowercase letters, digits",
    ),
    "a worker and a timer of one name": (
        {
            "tornado_app_workers": [{"name": "mail", "command": "x"}],
            "tornado_app_timers": [{"name": "mail", "command": "x", "calendar": "daily"}],
        },
        "tornado_app_workers, tornado_app_timers: mail is given twice. Each worker and each timer has",
    ),
    "a worker that can't be started": (
        {"tornado_app_workers": [{"name": "mail", "command": "../tasks.py"}]},
        "tornado_app_workers: mail: '../tasks.py' can't be started. Give a script of the source (clean.py)",
    ),
    "no worker at all": (
        {"tornado_app_workers": [{"name": "mail", "command": "-m tasks", "count": 0}]},
        "tornado_app_workers: mail: count 0 is too little. Give at least 1, or remove the worker.",
    ),
    "a timer without a calendar": (
        {"tornado_app_timers": [{"name": "cleanup", "command": "-m tasks"}]},
        "tornado_app_timers[0]: calendar is missing. Give text there.",
    ),
    "a calendar that would break out of its unit": (
        {"tornado_app_timers": [{"name": "cleanup", "command": "-m tasks", "calendar": "daily %n"}]},
        "tornado_app_timers: cleanup: calendar 'daily %n' is invalid. Write it as systemd does",
    ),
    "a time that systemd does not know": (
        {"tornado_app_timers": [{"name": "cleanup", "command": "-m tasks", "calendar": "nightly"}]},
        "tornado_app_timers: cleanup: calendar 'nightly' is no time that systemd knows on ",
    ),
    "a time that never comes, that systemd does not know": (
        {"tornado_app_timers": [{"name": "cleanup", "command": "-m tasks", "calendar": "2001-01-01"}]},
        "tornado_app_timers: cleanup: calendar '2001-01-01' never comes on ",
    ),
    "a port to listen on that is none": (
        {"tornado_app_listens_on": 70000},
        "tornado_app_listens_on: 70000 is no port. Give the one that the program asks for",
    ),
    "a command whose quotes don't close": (
        {"tornado_app_before_activation": ["python -c 'print(1)", "true"]},
        "tornado_app_before_activation: python -c 'print(1) is no command. Give words",
    ),
    "a command without a word": (
        {"tornado_app_after_activation": [" "]},
        "tornado_app_after_activation:   is no command.",
    ),
    "an environment variable without a name": (
        {"tornado_app_environment": {"MY-MOOD": "x"}},
        "tornado_app_environment, tornado_app_secrets: MY-MOOD is no name.",
    ),
    "static files from elsewhere": (
        {"tornado_app_static": "../static"},
        "tornado_app_static: '../static' is invalid. Give a folder inside the source, as static or web/dist.",
    ),
    "uploads beside the program's folder": (
        {"tornado_app_uploads": ["media", "../media"]},
        "tornado_app_uploads: ../media is no folder's name. Give names inside /var/lib/tornado-hello, as",
    ),
    "a health path that is none": (
        {"tornado_app_health_path": "well"},
        "tornado_app_health_path: 'well' is no path. It starts with / and holds no space; \"\" is for",
    ),
    "no time to drain": (
        {"tornado_app_drain_timeout": 0},
        "tornado_app_drain_timeout: 0 is too short. Give whole seconds, at least 1.",
    ),
    "a time that no clock can count": (
        {"tornado_app_start_timeout": 10**12},
        "tornado_app_start_timeout: 1000000000000 is too long. Give whole seconds, at most 31536000",
    ),
    "a watchdog that bites at once": (
        {"tornado_app_watchdog": 1},
        "tornado_app_watchdog: 1 is too short. Give whole seconds, at least 2, or 0 for never.",
    ),
    "an index that is none": (
        {"tornado_app_index": ["https://me:s3cret@pypi.example.org/simple", "ftp://me:s3cret@example.org"]},
        "tornado_app_index: ftp://example.org is no address of an index. Give http:// or https://, its host",
    ),
    "a memory limit that is none": (
        {"tornado_app_memory_max": "much"},
        "tornado_app_memory_max: 'much' is no amount. Write a number and K, M, G or T, as 512M.",
    ),
    "shared paths that no source has": (
        {"tornado_app_shared": ["app.db", "/var/x", "../x", "a//b", ".release/settings.json", "/", "a b"]},
        "tornado_app_shared: '/var/x', '../x', 'a//b', '.release/settings.json', '/', 'a b' is ",
    ),
    "what is shared twice": (
        {"tornado_app_shared": ["data", "up/loads", "data/", "up/loads/new/"]},
        "tornado_app_shared: data, up/loads/new is shared by another entry. Give each path once.",
    ),
    "code that the program could write": (
        {"tornado_app_shared": ["hello.py", "static/uploads/", "requirements.txt"]},
        "tornado_app_shared: static/uploads, hello.py, requirements.txt holds what each release brings",
    ),
    "a package that the program could write": (
        {"tornado_app_shared": ["chat/"], "tornado_app_main": "-m chat.web"},
        "tornado_app_shared: chat holds what each release brings",
    ),
    "a device that is none": (
        {"tornado_app_sandbox": {"devices": ["/etc/passwd"]}},
        "tornado_app_sandbox: /etc/passwd is invalid. Give devices below /dev",
    ),
    "a group that is as good as root": (
        {"tornado_app_sandbox": {"groups": ["dialout", "docker", "tornado-chat", "0"]}},
        "tornado_app_sandbox: groups: docker, tornado-chat, 0 would give the program what is root's",
    ),
    "a group that nobody has made": (
        {"tornado_app_sandbox": {"groups": ["scanners"]}},
        "tornado_app_sandbox: groups: scanners is no group on ",
    ),
    "a Python without its whole path": (
        {"tornado_app_python": "python3.13"},
        "tornado_app_python: 'python3.13' is no absolute path. Give that of a Python on the host, as",
    ),
    "a Python of somebody's own": (
        {"tornado_app_python": "/home/ann/.pyenv/shims/python"},
        "leads below /home, which the sandbox of a program or of its build hides. Give a Python",
    ),
    "a Python that nobody has made": (
        {"tornado_app_python": "/usr/local/bin/python2.99"},
        " is not there. Give a Python with venv and ensurepip that all accounts may run and root alone",
    ),
    "a folder that is not there": (
        {"tornado_app_sandbox": {"writable_paths": ["/srv/nowhere", "/etc/passwd"]}},
        "tornado_app_sandbox: /srv/nowhere, /etc/passwd is no folder on ",
    ),
    "too few tasks to run": (
        {"tornado_app_tasks_max": 1},
        "tornado_app_cpu_max, tornado_app_tasks_max: 0 and 1 are invalid.",
    ),
    "no hosts at once": (
        {"tornado_app_serial": "0"},
        "tornado_app_serial: '0' is no number of hosts. Give one from 1 on, or 1% to 100% of them.",
    ),
    "more hosts at once than there are": (
        {"tornado_app_serial": "120%"},
        "tornado_app_serial: '120%' is no number of hosts. Give one from 1 on, or 1% to 100% of them.",
    ),
    "a check of the first host that has no time": (
        {"tornado_app_canary_check": "curl {host}"},
        "tornado_app_canary, tornado_app_canary_check: 0 and 'curl {host}' are invalid. Give whole seconds, 0"
        " for none, and a command that says yes within that time, or none.",
    ),
    "fewer hosts than none": (
        {"tornado_app_max_unreachable": -1},
        "tornado_app_max_unreachable: -1 is no number of hosts. Give how many a run may go on"
        " without, 0 for none.",
    ),
    "no release kept": (
        {"tornado_app_keep_releases": 0},
        "tornado_app_keep_releases: 0 is too few. The current release is one of them.",
    ),
    "a misspelt variable of the app": (
        {"tornado_app_port": [8000]},
        "tornado_app_port: no such variable. Is it tornado_app_ports?",
    ),
    "a misspelt variable of the proxy": (
        {"nginx_proxy_site": []},
        "nginx_proxy_site: no such variable. Is it nginx_proxy_sites?",
    ),
    "a redirect from a name that another site has": (
        sites({}, {"names": ["example.org"], "redirects": ["www.example.org"]}),
        "nginx_proxy_sites: www.example.org stands in two sites",
    ),
    "a redirect to no single name": (
        sites({"names": ["*.example.org"], "redirects": ["example.org"]}),
        "nginx_proxy_sites: redirects: *.example.org is no single name to send visitors to. Give a name",
    ),
    "a redirect from no name": (
        sites({"redirects": ["https://example.org"]}),
        "nginx_proxy_sites: 'https://example.org' (it is an address of a page) can't be the name of a site.",
    ),
    "a first name that no file can have": (
        sites({"names": [".".join(["a" * 60] * 4), "www.example.org"]}),
        "would name the site's files, and is too long for that. Put a name of at most 240 characters first.",
    ),
    "two sites with one name": (
        sites({}, {"names": ["example.org", "www.example.org"]}),
        "nginx_proxy_sites: www.example.org stands in two sites",
    ),
    "a path of cached answers that is none": (
        sites({"cache": ["/news; return 200"]}),
        "nginx_proxy_sites: '/news; return 200' can't be a path of access, cache, maintenance or paths.",
    ),
    "a path of an app that would break out of the configuration": (
        sites(apps("/a {", "/a;b", '/"')),
        """nginx_proxy_sites: '/a {', '/a;b', '/"' can't be a path of access, cache, maintenance or paths.""",
    ),
    "a path of an app that no address has": (
        sites(apps("/a%2f", "/a/../b", "/*")),
        "nginx_proxy_sites: '/a%2f', '/a/../b', '/*' matches no address that nginx sees.",
    ),
    "two apps for one path": (
        sites(apps("/api", "/api/")),
        "nginx_proxy_sites: www.example.org has /api/ twice. Give each upstream, each path and each url",
    ),
    "an app for all paths": (
        sites(apps("/")),
        "nginx_proxy_sites: paths: / is all of www.example.org. Give its app or upstreams as the",
    ),
    "an app that is nowhere": (
        sites({"paths": [{"path": "/api", "upstreams": []}]}),
        "nginx_proxy_sites: paths: /api of www.example.org has no app and no upstreams. Give one",
    ),
    "an app at a path that would go round in a circle": (
        sites({"paths": [{"path": "/api", "upstreams": ["localhost:80", "127.0.0.1"]}]}),
        "nginx_proxy_sites: '127.0.0.1' is no upstream.",
    ),
    "a size of the cache that is none": (
        {"nginx_proxy_cache_size": "a lot"},
        "nginx_proxy_cache_size: 'a lot' is invalid. Give a number with m or g.",
    ),
    "a site that would go round in a circle": (
        sites({"upstreams": ["127.0.0.1:443"]}),
        "nginx_proxy_sites: 127.0.0.1:443 is nginx itself, so requests would go round in a circle.",
    ),
    "a socket that nginx can't see": (
        sites({"upstreams": ["unix:/tmp/app.sock"]}),
        "nginx_proxy_sites: 'unix:/tmp/app.sock' is invisible to nginx, which has a /tmp of its own.",
    ),
    "a name that would break out of the configuration": (
        sites({"names": ["a; return 200;"]}),
        "nginx_proxy_sites: 'a; return 200;' can't be the name of a site.",
    ),
    "a header that would break out of the configuration": (
        sites({"headers": {"X-Mood": 'calm"; return 200 "'}}),
        """nginx_proxy_sites: headers: 'X-Mood' can't be sent.""",
    ),
    "a header that hsts is for": (
        sites({"headers": {"Strict-Transport-Security": "max-age=1"}}),
        "nginx_proxy_sites: headers: 'Strict-Transport-Security' can't be sent.",
    ),
    "a folder for the CA's certificate": (
        {"nginx_proxy_private_ca_fetch_to": "/tmp"},
        "nginx_proxy_private_ca_fetch_to: '/tmp' is a folder. Give the file that gets the certificate, as",
    ),
    "a network that is none": (
        sites({"access": [{"path": "/admin", "allow": ["10.0.0.0/33"]}]}),
        "nginx_proxy_sites: allow: '10.0.0.0/33' is no network. Give addresses or networks, as 192.0.2.7,",
    ),
    "two rules for one path": (
        sites({"access": [{"path": "/admin", **GUARDED}, {"path": "/admin/", **GUARDED}]}),
        "nginx_proxy_sites: access: www.example.org has two rules for one path (/admin, /admin).",
    ),
    "users that are nowhere": (
        sites({"access": [{"path": "/", "users_file": "/no/such/users"}]}),
        "nginx_proxy_sites: users_file: /no/such/users does not exist on the controller, or has a line",
    ),
    "a maintenance page that is nowhere": (
        sites({"maintenance": {"page": "/no/such.html"}}),
        "nginx_proxy_sites: maintenance: /no/such.html does not exist on the controller",
    ),
    "a limit that is none": (
        {"nginx_proxy_limits": {"header_size": "huge"}},
        "nginx_proxy_limits.header_size: 'huge' is invalid. Give bytes (1000 to 999999), or a number with k.",
    ),
    "a balancer that is none": (
        {"nginx_proxy_trusted_proxies": ["balancer"]},
        "nginx_proxy_trusted_proxies: 'balancer' is no network.",
    ),
    "the PROXY protocol from nobody": (
        {"nginx_proxy_proxy_protocol": True},
        "nginx_proxy_proxy_protocol: true is for balancers that are trusted, and there are none. Give their "
        "addresses or networks in nginx_proxy_trusted_proxies, or false.",
    ),
    "a certificate without its key": (
        sites({"tls": "provided", "certificate": "site.pem"}),
        "With tls: provided give both files",
    ),
    "a certificate that does not exist": (
        sites({"tls": "provided", "certificate": "/no/such.pem", "certificate_key": "/no/such.key"}),
        "nginx_proxy_sites: /no/such.pem does not exist on the controller",
    ),
    "a wildcard from an ACME server": (
        sites({"tls": "acme", "names": ["www.example.org", "*.example.org", "192.0.2.1"]}),
        "nginx_proxy_sites: *.example.org, 192.0.2.1 can't have tls: acme, since wildcards and addresses",
    ),
    "an ACME server without https": (
        {**sites({"tls": "acme"}), "nginx_proxy_acme": {"directory": "http://ca.example.org"}},
        "nginx_proxy_acme: directory: 'http://ca.example.org' is invalid. Give the https URL",
    ),
    "a file of CAs that is not there": (
        {**sites({"tls": "acme"}), "nginx_proxy_acme": {"ca_bundle": "/no/such.pem"}},
        "nginx_proxy_acme: ca_bundle: /no/such.pem is no file on ",
    ),
    "one port for http and https": (
        {"nginx_proxy_http_port": 443},
        "443 and 443 are invalid. Give two different ports from 1 to 65535.",
    ),
    "all that is mistyped, at once": (
        {"tornado_app_ports": "8000,8001", "tornado_app_version": 1.10, "torando_app_main": "x.py"},
        "torando_app_main: nothing reads this variable. Is it tornado_app_main? tornado_app_version: 1.1 is "
        "a number. Write it in quotes, as text. tornado_app_ports: '8000,8001' is no list. Give one",
    ),
    "a variable that is made of nothing": (
        {"tornado_app_name": "{{ chat_name }}"},
        "tornado_app_name: can't be read, 'chat_name' is undefined. Correct what it is made of.",
    ),
    "a port of the host's own": (
        {"tornado_app_ports": [22]},
        "tornado_app_ports: 22 is listened on by ssh.service on ",
    ),
    "a port of nginx's for the app": (
        {"tornado_app_ports": [80, 8001], "nginx_proxy_sites": []},
        "tornado_app_ports: 80 is nginx's or Redis's on ",
    ),
    "a port of another's for nginx": (
        {"nginx_proxy_http_port": 22},
        "nginx_proxy_http_port, nginx_proxy_https_port: 22 is listened on by ssh.service on ",
    ),
    "a port of another's for Redis": (
        {"redis_server_port": 22},
        "redis_server_port: 22 is listened on by ssh.service on ",
    ),
    "a checksum that nobody compares": (
        {"tornado_app_checksum": "sha256:00"},
        "tornado_app_checksum: 'sha256:00' would be of an archive, and ",
    ),
    "a version of a folder": (
        {"tornado_app_version": "v2", "tornado_app_source": "/usr/share"},
        "tornado_app_version: 'v2' says that /usr/share is a git repository, and it is none.",
    ),
    "a name whose folder is another's": (
        {"tornado_app_name": "pictures"},
        "tornado_app_name: 'pictures' would have /srv/pictures on ",
    ),
    "an app to remove that never was one": (
        {"tornado_app_name": "pictures", "tornado_app_state": "absent"},
        "which holds of-the-cat.jpg of somebody else. Take another name, or move that away.",
    ),
    "a folder below one of somebody else": (
        {"tornado_app_sandbox": {"writable_paths": ["/srv/theirs/below"]}},
        "tornado_app_sandbox: /srv/theirs/below lies below /srv/theirs, which others than root may write on ",
    ),
    "a folder below one that everybody may write": (
        {"tornado_app_sandbox": {"writable_paths": ["/var/tmp/below"]}},
        "tornado_app_sandbox: /var/tmp/below lies below /var/tmp, which others than root may write on ",
    ),
    "a folder behind a link": (
        {"tornado_app_sandbox": {"writable_paths": ["/srv/link/below"]}},
        "tornado_app_sandbox: /srv/link/below has a link in it (/srv/link) on ",
    ),
    "a folder that is a link": (
        {"tornado_app_sandbox": {"writable_paths": ["/srv/link"]}},
        "tornado_app_sandbox: /srv/link has a link in it (/srv/link) on ",
    ),
    "a folder by a way back": (
        {"tornado_app_sandbox": {"writable_paths": ["/srv/theirs/../data"]}},
        "tornado_app_sandbox: /srv/theirs/../data is invalid.",
    ),
    "an upstream twice": (
        sites({"upstreams": ["127.0.0.1:8000", "127.0.0.1:8000"]}),
        "nginx_proxy_sites: www.example.org has 127.0.0.1:8000 twice.",
    ),
    "a rule that guards nothing": (
        sites({"access": [{"path": "/admin"}]}),
        "nginx_proxy_sites: access: /admin of www.example.org admits everybody.",
    ),
    "a rule for all the world": (
        sites({"access": [{"path": "/admin", "allow": ["0.0.0.0/0"]}]}),
        "nginx_proxy_sites: access: /admin of www.example.org admits everybody.",
    ),
    "a rule for what no address looks like": (
        sites({"access": [{"path": "/admin/*", **GUARDED}, {"path": "/a/../b", **GUARDED}]}),
        "nginx_proxy_sites: '/admin/*', '/a/../b' matches no address that nginx sees.",
    ),
    "a public CA's certificate for localhost": (
        sites({"tls": "acme", "names": ["localhost", "www.example.org", "shop.internal"]}),
        "nginx_proxy_sites: localhost, shop.internal can't have tls: acme, since no public CA",
    ),
}
