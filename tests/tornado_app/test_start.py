"""What tornado_app_main starts, how the program hears of its port, and what is refused before it is tried."""

import json
import shutil
import site
import socket
import subprocess
import sys
from importlib import import_module

import pytest
from port import Port
from ports import free_port

UTILS = "ansible_collections.tornadoes.tornadoes.plugins"
STARTABLE = import_module(f"{UTILS}.module_utils.startable")
COMMAND = import_module(f"{UTILS}.plugin_utils.command")
# Says how it was started; listens where PORT says, or its --port.
PROGRAM = """
import json, os, re, sys, tornado.ioloop, tornado.web
told = re.search(r"--port=(\\d+)", " ".join(sys.argv))

class Page(tornado.web.RequestHandler):
    def get(self):
        self.write(json.dumps({
            "who": "%s", "argv": sys.argv, "env": dict(os.environ), "pid": os.getpid(),
            "here": sorted(os.listdir()),
            "main": sys.modules["__main__"].__dict__ is globals() or __spec__.name,
        }))

if __name__ == "__main__":
    tornado.web.Application([("/", Page)]).listen(int(told[1] if told else os.environ["PORT"]))
    tornado.ioloop.IOLoop.current().start()
"""
# Becomes another command, as jupyter does.
HUB = """
import os, sys
bin = os.path.dirname(sys.argv[0])
said = os.spawnv(os.P_WAIT, bin + "/hub-say", ["hub-say", os.environ["HUB_SAID"]])
os.environ["PATH"] = bin + ":" + os.environ["PATH"]
os.execvp("hub-" + sys.argv[1], ["hub-" + sys.argv[1], *sys.argv[2:]])
"""
SAY = "import os, sys\nopen(sys.argv[1], 'w').write(str(os.getpid()))\n"


@pytest.fixture
def environment(tmp_path):
    """An environment with Tornado, a module and some commands."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python3*/site-packages")
    (packages / "distutils-precedence.pth").write_text("\n".join(site.getsitepackages()))
    (packages / "pages").mkdir()
    (packages / "pages/__main__.py").write_text(PROGRAM % "module")
    commands = {"pages": PROGRAM % "command", "hub": HUB, "hub-serve": PROGRAM % "hub", "hub-say": SAY}
    for name, text in commands.items():
        (folder / "bin" / name).write_text(f"#!{folder}/bin/python\n{text}")
        (folder / "bin" / name).chmod(0o755)
    return folder


@pytest.fixture
def ask(tmp_path, environment):
    """Start a release by its settings and swap to another one; what the program says of itself."""
    made = []

    def start(files, **settings):
        port = Port(tmp_path, python=environment / "bin/python")
        made.append(port)
        for release in ("one", "two"):
            port.add(release, files.get("server.py", ""), health_path=None, **settings)
            for name, text in files.items():
                path = port.home / "releases" / release / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        port.point("one")
        port.start()
        port.swap("two")
        return {**json.loads(port.get("/")), "port": port.number, "serves": port.ask(do="status")["pid"]}

    yield start
    for port in made:
        port.stop()
        print(port.log.read_text()[-4000:])


def test_a_command_of_the_environment_runs_as_one_types_it(ask, environment):
    said = ask({}, main="pages serve 'a b'", arguments=["--x={y}"])
    assert said["argv"] == [f"{environment}/bin/pages", "serve", "a b", f"--port={said['port']}", "--x={y}"]
    assert (said["who"], said["main"], said["pid"]) == ("command", True, said["serves"])


def test_a_script_of_the_source_goes_before_a_command_of_its_name(ask):
    said = ask({"pages": PROGRAM % "script"}, main="pages serve")
    assert said["who"] == "script"
    assert said["argv"] == ["pages", "serve", f"--port={said['port']}"]


@pytest.mark.parametrize("main", ["server.py", "-m server"])
def test_a_program_starts_in_the_folder_that_it_wants_to_be_in(ask, main):
    """It opens conf/x.json beside its code, as where one types cd src/app first."""
    files = {"src/app/server.py": PROGRAM % "script", "src/app/conf.json": "{}", "server.py": "exit(1)"}
    said = ask(files, main=main, folder="src/app")
    assert (said["who"], said["here"]) == ("script", ["conf.json", "server.py"])


def test_a_module_may_be_the_environments(ask):
    assert ask({}, main="-m pages serve")["who"] == "module"


def test_a_command_that_becomes_another_one_stays_and_its_children_do_not(ask, tmp_path):
    said = ask({}, main="hub serve", environment={"HUB_SAID": str(tmp_path / "said")})
    assert said["who"] == "hub"
    assert said["pid"] == said["serves"] != int((tmp_path / "said").read_text())


@pytest.mark.parametrize(
    "settings",
    [
        {"arguments": ["--listen.port={port}"]},
        {"arguments": ["serve", "{port}", "{ports}"]},
        {"main": "server.py --at=:{port}"},
        {"environment": {"AT": "127.0.0.1:{port}", "LEVEL": 3}},
    ],
)
def test_the_port_goes_where_it_is_asked_for_and_nowhere_else(ask, settings):
    settings = {"main": "server.py", "arguments": [], **settings}
    settings["environment"] = {"PORT": "{port}", **settings.get("environment", {})}
    said = ask({"server.py": PROGRAM % "script"}, **settings)
    words = [*settings["main"].split(), *settings["arguments"]]
    assert said["argv"] == [word.replace("{port}", str(said["port"])) for word in words]
    for name, value in settings["environment"].items():
        assert said["env"][name] == str(value).replace("{port}", str(said["port"]))


def test_a_program_with_a_port_of_its_own_gets_the_instances(ask):
    asked = free_port()
    source = (PROGRAM % "script").replace('os.environ["PORT"]', str(asked))
    said = ask({"server.py": source}, listens_on=asked)
    assert said["argv"] == ["server.py"]
    assert said["port"] != asked
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", asked)) != 0


def test_the_environments_programs_come_first(ask, tmp_path):
    path = ask({"server.py": PROGRAM % "script"})["env"]["PATH"]
    assert path.startswith(f"{tmp_path}/venv/bin:")
    assert path.count("/usr/bin") >= 1


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("python3 server.py", ["server.py"]),
        ("./bin/run serve", ["bin/run", "serve"]),
        ("python -m package.server 'a b'", ["-m", "package.server", "a b"]),
        ("celery -A x flower", ["celery", "-A", "x", "flower"]),
        ("-m", []),
        ("-m a/b", []),
        ("python3 -u server.py", ["server.py"]),
        ("python -O server.py", []),
        ("a/../b.py", []),
        ("/usr/bin/x", []),
        ("'server.py", []),
        ("", []),
    ],
)
def test_what_is_typed_is_split_as_a_shell_would(typed, words):
    assert COMMAND.command(typed) == words


def missing(release, words):
    """Why the words start nothing, on Debian's own Python."""
    return STARTABLE.missing(str(release), words.split(), "/usr/bin/python3")


def test_what_is_neither_in_the_source_nor_in_the_environment_is_missing(tmp_path, environment):
    release = tmp_path / "release"
    (release / ".release").mkdir(parents=True)
    (release / ".release/venv").symlink_to(environment)
    (release / "server.py").touch()
    shutil.copy("/bin/true", environment / "bin/binary")
    for words in ("server.py", "pages x", "-m pages", "-m server", "-m http.server"):
        assert missing(release, words) == "", words
    assert "there is pages" in missing(release, "page")
    for words in ("nothing", "binary", "-m nothing", "-m pages.nothing"):
        assert missing(release, words), words
    settings = {"main": "pages", "workers": [{"name": "mail", "command": "-m tasks"}], "timers": []}
    [sentence] = STARTABLE.refusals(str(release), settings, "pages", "/usr/bin/python3")
    assert sentence.startswith("tornado_app_workers: mail: '-m tasks' can't be started, neither")
    (release / "app").mkdir()
    (release / "app/tasks.py").touch()
    assert (
        list(STARTABLE.refusals(str(release), {**settings, "folder": "app"}, "pages", "/usr/bin/python3"))
        == []
    )
    # Where folders are that only Python knows, it is left to Python.
    [packages] = environment.glob("lib/python3*/site-packages")
    (packages / "__editable__.pth").touch()
    assert missing(release, "-m nothing") == ""
