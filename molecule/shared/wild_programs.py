"""What the users of each program do with it, through nginx and TLS."""

import json
import os
import re
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from client import Site
from visitor import Frames

TOKEN = {"Authorization": "token sesame"}
TOLD: set[str] = set()  # luigi


def message(socket):
    """The next text of a WebSocket, from JSON."""
    return json.loads(socket.read()[1])


def notebook(site):
    """Start a kernel, and have it compute."""
    status, _headers, body = site.ask("/api/kernels", "POST", TOKEN, "{}")
    assert status == 201
    socket = Frames(site, f"/api/kernels/{json.loads(body)['id']}/channels", TOKEN.items())
    assert socket.status == 101
    header = {"msg_type": "execute_request", "version": "5.3", "username": ""}
    header |= {name: uuid.uuid4().hex for name in ("msg_id", "session")}
    cell = {"code": "print(6 * 7)", "silent": False}
    asked = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": cell}
    socket.write(1, json.dumps(asked).encode())
    while (said := message(socket))["msg_type"] != "stream":
        pass
    assert said["content"]["text"] == "42\n"


def slider(site):
    """Move the slider as the page's JavaScript does, and read what became of the text beside it."""
    page = site.ask("/page")[2].decode()
    token = re.search(r'"token":"([^"]+)"', page)[1]
    socket = Frames(site, "/page/ws", [("Sec-WebSocket-Protocol", f"bokeh, {token}")])
    assert socket.status == 101

    def hear():
        return [message(socket) for _part in ("header", "metadata", "content")]

    def say(kind, content):
        for part in ({"msgid": uuid.uuid4().hex, "msgtype": kind}, {}, content):
            socket.write(1, json.dumps(part).encode())

    assert hear()[0]["msgtype"] == "ACK"
    say("PULL-DOC-REQ", {})
    models = json.dumps(hear()[2])
    [moved] = set(re.findall(r'"name": "Slider", "id": "([^"]+)"', models))
    event = {"kind": "ModelChanged", "model": {"id": moved}, "attr": "value", "new": 7}
    say("PATCH-DOC", {"events": [event]})
    while (said := hear())[0]["msgtype"] != "PATCH-DOC":
        pass
    assert said[2]["events"][0]["new"] == "7 squared is 49"


def flower(site):
    """The pages are there, drawn from the broker."""
    assert site.ask("/workers")[0] == 200
    assert b"<title>Flower</title>" in site.ask("/broker")[2]


def luigi(site):
    """What a worker told the scheduler is known to it, by releases before as well."""
    task = {"task_id": uuid.uuid4().hex, "worker": "here", "status": "DONE"}
    assert site.ask(f"/api/add_task?data={urllib.parse.quote(json.dumps(task))}")[0] == 200
    TOLD.add(task["task_id"])
    assert set(json.loads(site.ask("/api/task_list?data={}")[2])["response"]) == TOLD


def tutorial(site):
    """Fill in the form."""
    assert b"Enter terms" in site.ask("/")[2]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert b"Two roads diverged in a wood" in site.ask("/poem", "POST", form, "noun1=roads&noun2=wood")[2]


def notes(site):
    """Markdown with all of its plugins comes as HTML."""
    page = site.ask("/today")[2].decode()
    assert "<strong>bread</strong>" in page
    assert '<a href="http://www.example.org">' in page


def weather(site):
    """What one program asks of another, over HTTP/2's client."""
    assert site.ask("/now")[2] == b"It was 21 degrees 3 hours ago"


def blog(site):
    """Write an entry; the first to come is its author."""
    token = re.search(r"_xsrf=([^;]+)", site.ask("/auth/create")[1]["Set-Cookie"])[1]
    headers = {"Cookie": f"_xsrf={token}", "Content-Type": "application/x-www-form-urlencoded"}

    def post(path, **fields):
        return site.ask(path, "POST", headers, urllib.parse.urlencode({"_xsrf": token, **fields}))

    someone = {"email": "a@example.org", "password": "sesame"}
    status, found, _body = post("/auth/login", **someone)
    if status != 302:
        status, found, _body = post("/auth/create", name="Somebody", **someone)
    assert status == 302
    headers["Cookie"] += "; " + re.search(r"blogdemo_user=[^;]+", found["Set-Cookie"])[0]
    title = uuid.uuid4().hex
    status, found, _body = post("/compose", title=title, markdown="It **works**")
    assert (status, found["Location"]) == (302, f"/entry/{title}")
    assert b"<strong>works</strong>" in site.ask(f"/entry/{title}")[2]


def upload(site):
    """Send a file as a body, and one in a form."""
    assert site.ask("/big.bin", "PUT", body=bytes(5 << 20))[2] == b"OK"
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.txt"\r\n\r\nHello\r\n--x--\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert site.ask("/post", "POST", form, part)[2] == b"OK"


def octoprint(site):
    """The page that its set-up begins with, and its API, which wants a key."""
    assert b"OctoPrint" in site.ask("/")[2]
    assert site.ask("/api/version")[0] == 403
    assert site.ask("/sockjs/info")[0] == 200


@dataclass
class Program:
    """One of them. path: what is asked for under load, and answered with status; file, old, new: how its
    next release differs."""

    use: Callable[[Site], None]
    path: str
    file: str
    old: str
    new: str
    status: int = 200


PROGRAMS = {
    "notebook": Program(notebook, "/api", "jupyter_server_config.py", "Read", "Loaded"),
    "flower": Program(flower, "/workers", "tasks.py", "Tidied", "All tidied"),
    "luigi": Program(luigi, "/api/task_list?data={}", "luigi.cfg", "3600", "7200"),
    "tutorial": Program(tutorial, "/", "code/templates/index.html", "below", "here"),
    "notes": Program(notes, "/today", "src/notes/__init__.py", "Milk", "Honey"),
}
if os.environ.get("TORNADOES_LONG"):
    PROGRAMS |= {
        "slider": Program(slider, "/page", "page.py", "Squares", "The squares"),
        "weather": Program(weather, "/now", "weather/__main__.py", "What is it", "What was it"),
        "blog": Program(blog, "/archive", "templates/archive.html", "{% block", "<!-- new -->{% block"),
        "upload": Program(upload, "/", "file_receiver.py", "POST", "Post", 405),
        "octoprint": Program(octoprint, "/robots.txt", "requirements.txt", "Octo", "# Once more\nOcto"),
    }
