"""What a source may do: to the host while it is built, to other accounts, to a terminal that shows it."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from conftest import ROOT

# Whoever runs this writes down who that is, leaves a process, and tries to leave more than that.
SETUP = """
import os, subprocess, time
from setuptools import setup
ENVIRONMENT = os.environ["TMPDIR"].split("/.build")[0]
for path in ("/root/evil", "/etc/evil", "/srv/load/releases/evil", "/srv/load/venvs/evil", "/var/lib/evil"):
    try:
        open(path, "w").close()
    except OSError:
        pass
WORDS = ["sleep", "4711"]
if not os.path.exists(ENVIRONMENT + "/built-by"):
    subprocess.Popen(WORDS, start_new_session=True)
open(ENVIRONMENT + "/built-by", "w").write(str(os.getuid()))
%s
setup(name="evil", version="1", py_modules=["evil"])
"""
# The program itself may leave what it likes; here it is about the build.
PTH = "import os; os.getuid() or open('/root/evil', 'w')"
PTH += "; 'TMPDIR' in os.environ and os.system('setsid sleep 4711 &')"


@pytest.fixture
def requirement(app):
    """Let the source bring a requirement with a setup.py of its own; it goes again."""
    folder = app.source / "evil"

    def bring(more=""):
        folder.mkdir(exist_ok=True)
        (folder / "setup.py").write_text(SETUP % more)
        (folder / "evil.py").write_text(f"# {time.time()}\n")
        (app.source / "requirements.txt").write_text("tornado==6.6.1\n./evil\n")

    yield bring
    for path in (app.source / "requirements.txt", *folder.glob("*")):
        path.unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()


def evil(host):
    """What a requirement has left on the host, but for what is in its environment."""
    files = host.check_output("find / -xdev -name evil -not -path '/srv/load/*/*/*' -not -path '/proc/*'")
    return files + host.run("pgrep --list-full --exact sleep | grep 4711").stdout


def test_what_a_requirement_runs_is_nobody_and_leaves_nothing(app, host, requirement):
    site = "__import__('glob').glob(ENVIRONMENT + '/lib/python3*/site-packages')[0]"
    requirement(f"open({site} + '/evil.pth', 'w').write({PTH!r})")
    app.write()
    code, output = app.deploy()
    assert code == 0, output
    assert evil(host) == ""
    venv = host.check_output("realpath /srv/load/current/.release/venv")
    assert int(host.file(f"{venv}/built-by").content_string) > 1000
    assert host.check_output(f"find {venv} ! -user root -o -perm /o+w ! -type l") == ""
    assert host.run(f"cd / && runuser --user admin -- ls {venv}").rc != 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            "os.path.exists(ENVIRONMENT + '/x') or os.symlink('/etc/passwd', ENVIRONMENT + '/x')",
            "leads out of it: x",
        ),
        ("raise SystemExit('\\x1b[31mno such\\x1b[0m compiler')", "no such"),
    ],
    ids=["link", "failure"],
)
def test_an_environment_that_can_not_be_roots_is_no_release(app, host, requirement, more, words):
    before = app.current(), host.check_output("ls /srv/load/venvs /srv/load/releases")
    requirement(more)
    code, output = app.deploy()
    assert code == 2
    assert "was not installed, and no port was touched" in output
    assert words in output
    assert "\x1b[31m" not in output
    assert (app.current(), host.check_output("ls /srv/load/venvs /srv/load/releases")) == before
    assert evil(host) == ""


@pytest.mark.long
def test_a_build_ends_with_its_run_and_stops_no_other(app, host, requirement, scenario, eventually):
    requirement("time.sleep(500)")
    inventories = [
        f"--inventory={one}" for one in (scenario / "hosts.yml", ROOT / "molecule/shared/inventory")
    ]
    words = ["ansible-playbook", *inventories, "playbooks/deploy.yml"]
    run = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert eventually(lambda: "4711" in host.run("pgrep --list-full --exact sleep").stdout, 90)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    requirement()
    begun = time.monotonic()
    assert app.deploy()[0] == 0
    assert time.monotonic() - begun < 120
    assert host.check_output("find /srv/load -name '*.partial'") == ""
    assert evil(host) == ""


PYPROJECT = """
[project]
name = "extra"
dynamic = ["version"]
dependencies = ["tornado"]
[build-system]
requires = ["setuptools>=64", "setuptools-scm>=8"]
build-backend = "setuptools.build_meta"
[tool.setuptools_scm]
"""
LOCK = """
version = 1
[[package]]
name = "extra"
source = { editable = "." }
dependencies = [{ name = "tornado" }]
[[package]]
name = "tornado"
version = "6.6.1"
source = { registry = "https://index.example.org/simple" }
wheels = [%s]
"""


def test_a_project_is_installed_as_its_lock_says_and_its_leftovers_are_not(app, host):
    digests = re.findall(
        r"sha256:\w+", (ROOT / "roles/tornado_app/files/release/requirements.txt").read_text()
    )
    locked = LOCK % ", ".join(f'{{ hash = "{one}" }}' for one in digests)
    made = {
        "pyproject.toml": PYPROJECT,
        "uv.lock": locked.replace("sha256:", "sha256:00"),
        "src/extra/__init__.py": "",
        "node_modules/left.js": "",
    }
    before = app.current()
    try:
        for name, text in made.items():
            (app.source / name).parent.mkdir(parents=True, exist_ok=True)
            (app.source / name).write_text(text)
        code, output = app.deploy()
        assert (code, app.current()) == (2, before)
        assert "DO NOT MATCH THE HASHES" in output
        (app.source / "uv.lock").write_text(locked)
        code, output = app.deploy()
        assert code == 0, output
        said = " ".join(output.split())
        assert "Left out, as git ignores it or a build alone needs it: node_modules." in said
        assert not host.file("/srv/load/current/node_modules").exists
        words = "import extra, importlib.metadata as found, tornado"
        words += "; print(extra.__file__, found.version('extra'), tornado.version)"
        said = host.check_output(f'cd / && /srv/load/current/.release/venv/bin/python -c "{words}"')
        assert re.fullmatch(r"/srv/load/.*/site-packages/extra/__init__.py 0\S* 6\.6\.1", said)
        assert "changed=0 " in app.deploy()[1]
    finally:
        for name in made:
            (app.source / name).unlink(missing_ok=True)


INDEX = """
import base64, http.server
class Index(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:t0p s3cret").decode():
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 3141), Index).serve_forever()
"""


@pytest.fixture
def index(app, host):
    """An index on the host that asks for a login, and all that process lists show meanwhile."""
    host.check_output("mkdir --parents /opt/index/simple/evil")
    pip = "/srv/load/current/.release/venv/bin/python -m pip"
    host.check_output(
        f"cd /opt/index && {pip} download --quiet --dest . tornado==6.6.1 setuptools wheel packaging"
    )
    for name in ("tornado", "setuptools", "wheel", "packaging"):
        host.check_output(f"cd /opt/index && mkdir -p simple/{name} && mv {name}-*.whl simple/{name}")
    host.check_output(
        "mkdir /opt/evil-1 && cd /opt && touch evil-1/evil.py && printf %s"
        ' \'from setuptools import setup; setup(name="evil", version="1", py_modules=["evil"])\''
        " > evil-1/setup.py && printf 'Metadata-Version: 2.1\nName: evil\nVersion: 1\n' > evil-1/PKG-INFO"
        " && tar -czf index/simple/evil/evil-1.tar.gz evil-1"
    )
    host.check_output("printf '%%s' %s > /opt/index.py", INDEX)
    host.check_output("systemd-run --unit=index --working-directory=/opt/index python3 /opt/index.py")
    host.check_output(
        "systemd-run --unit=seen sh -c 'while :; do cat /proc/[0-9]*/cmdline; sleep 0.1; done > /run/seen'"
    )
    yield "http://me:t0p%20s3cret@127.0.0.1:3141/simple"
    host.run("systemctl stop index seen; rm -rf /opt/index /opt/index.py /opt/evil-1 /run/seen")
    (app.source / "requirements.txt").unlink(missing_ok=True)


def test_an_index_with_a_password_is_asked_and_nobody_sees_it(app, host, index):
    (app.source / "requirements.txt").write_text("tornado==6.6.1\nevil\n")
    before = app.current()
    wrong = index.replace("t0p", "wr0ng")
    code, output = app.deploy("-e", json.dumps({"tornado_app_index": [wrong]}))
    assert (code, app.current()) == (2, before)
    assert "to take the login there" in " ".join(output.split())
    assert "wr0ng" not in output
    code, output = app.deploy("-vv", "--diff", "-e", json.dumps({"tornado_app_index": [index]}))
    assert code == 0, output
    assert app.current() != before
    assert "t0p" not in output
    seen = host.check_output("tr '\\0' ' ' < /run/seen")
    assert "-m pip " in seen
    assert "t0p" not in seen
    folders = "/etc /root /run /srv /tmp /var /home"
    word = "'[t]0p(.|%20)s3cret'"
    words = "grep --recursive --files-with-matches --devices=skip --extended-regexp"
    assert host.run(f"{words} {word} {folders}").stdout == ""
    assert host.run(f"journalctl --output=verbose | grep --extended-regexp {word}").stdout == ""


def test_nobody_else_reads_a_release_or_opens_its_lock(app, host):
    (app.source / ".env").write_text("KEY=s3cret")
    (app.source / "static").mkdir()
    (app.source / "static/.env").write_text("KEY=s3cret")
    (app.source / "static/style.css").write_text("body {}")
    try:
        assert app.deploy("-e", json.dumps({"tornado_app_secrets": {"key": "s3cret"}}))[0] == 0
        assert "s3cret" not in host.check_output("cat /srv/load/releases.jsonl; tornado-load-status")
        current = "/srv/load/current"
        for path in (".env", "static/.env", ".release/settings.json", ".release/secrets/key", "server.py"):
            assert host.check_output(f"test -s {current}/{path} && echo there") == "there"
            assert host.run(f"cd / && runuser --user admin -- cat {current}/{path}").rc != 0, path
        for path in ("/srv/load/static/style.css", f"{current}/static/style.css"):
            assert host.check_output(f"cd / && runuser --user admin -- cat {path}") == "body {}"
        assert not host.file("/srv/load/static/.env").exists
        for kind in ("lock", "step"):
            path = f"/run/tornado-load.{kind}"
            assert host.file(path).mode == 0o600
            assert host.run(f"cd / && runuser --user admin -- flock --nonblock {path} true").rc != 0
    finally:
        for name in (".env", "static/.env", "static/style.css"):
            (app.source / name).unlink()
        (app.source / "static").rmdir()


def test_links_that_go_in_circles_block_neither_deploys_nor_the_way_back(app):
    links = {"v1": ".", "v2": "."}
    (app.source / "static").mkdir()
    for name, target in links.items():
        (app.source / "static" / name).symlink_to(target)
    try:
        code, output = app.deploy()
        assert code == 2
        assert "the link static/v1 leads to a folder that holds it" in " ".join(output.split())
    finally:
        for name in links:
            (app.source / "static" / name).unlink()
        (app.source / "static").rmdir()
    app.write()
    assert app.deploy()[0] == 0


def test_a_command_that_a_killed_run_has_left_stops_nobody(app, host):
    unit = "tornado-load-hook"
    words = ["-e", json.dumps({"tornado_app_before_activation": ["python -c print(1)"]})]
    host.run(f"systemd-run --quiet --unit={unit} --wait false")
    assert host.check_output(f"systemctl show --property=ActiveState --value {unit}") == "failed"
    app.write()
    assert app.deploy(*words)[0] == 0
    host.check_output(f"systemd-run --quiet --unit={unit} sleep 15")
    app.write()
    code, output = app.deploy(*words)
    assert code == 0, output


def test_what_a_command_says_reaches_no_terminal_as_it_is(app):
    app.write()
    hook = "python -c 'raise SystemExit(chr(27) + \"[31mred\")'"
    code, output = app.deploy("-e", json.dumps({"tornado_app_before_activation": [hook]}))
    assert code == 2
    assert "[31mred" in output
    assert "\x1b[31mred" not in output
    app.write_back()
