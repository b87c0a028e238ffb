"""Which processes an update of the host has left behind, whatever a program says of itself."""

import fcntl
import importlib
import mmap
import os
import subprocess
import sys
import time

import pytest
from port import FILES

SSL = "7f16c0000000-7f16c0100000 r-xp 00021000 08:01 1234   /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)"
KEEPER = ("keeper", "systemd", "commands", "child", "health", "ports", "words", "libraries")


@pytest.fixture
def libraries(monkeypatch):
    """The module, with the keeper's own beside it."""
    monkeypatch.syspath_prepend(str(FILES / "keeper"))
    for name in KEEPER:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("libraries")
    for name in KEEPER:
        sys.modules.pop(name, None)


def test_a_library_that_dpkg_has_replaced_is_found(libraries):
    text = f"{SSL}\n{SSL.replace('r-xp', 'r--p')}\n{SSL}\n".encode()
    assert libraries.deleted(text) == ["/usr/lib/x86_64-linux-gnu/libssl.so.3"]


@pytest.mark.parametrize(
    "line",
    [
        # As it is on the host.
        SSL.removesuffix(" (deleted)"),
        # No code: locales and caches, which come and go.
        SSL.replace("r-xp", "r--p"),
        # What programs make, and what only looks like a library.
        "7f16-7f17 r-xp 00000000 00:01 1 /memfd:/usr/lib/libssl.so.3 (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /SYSV00000000 (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /dev/shm/usr/lib/libssl.so.3 (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /dev/zero (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /tmp/usr/lib/libssl.so.3 (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /var/lib/tornado-app/libssl.so.3 (deleted)",
        "7f16-7f17 r-xp 00000000 00:00 0 [anon:/usr/lib/libssl.so.3 (deleted)]",
        "7f16-7f17 r-xp 00000000 00:00 0",
        # A path that the kernel does not write, and letters for a terminal.
        "7f16-7f17 r-xp 00000000 00:01 1 /usr/lib/../../srv/libssl.so.3 (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /usr/lib/\x1b[2J (deleted)",
        "7f16-7f17 r-xp 00000000 00:01 1 /usr/lib/\r (deleted)",
        "(deleted)",
        "\0",
        "",
    ],
)
def test_what_is_no_library_of_the_host_replaces_nothing(libraries, line):
    assert libraries.deleted(line.encode()) == []


def test_names_that_are_no_text_are_read(libraries):
    assert libraries.deleted(b"7f16-7f17 r-xp 0 00:01 1 /usr/lib/\xff\xfe.so (deleted)") == []


class TestChanged:
    """When root has last changed what is at a path."""

    @pytest.fixture
    def root(self, tmp_path, monkeypatch):
        """A folder that stands for one of root's, with one library."""
        real = os.lstat

        def lstat(path):
            # What is above it is not this test's.
            found = real(path if str(path).startswith(str(tmp_path)) else "/usr")
            return os.stat_result((found.st_mode, *found[1:4], self.owner.get(path, 0), *found[5:]))

        self.owner = {}
        monkeypatch.setattr(os, "lstat", lstat)
        (tmp_path / "lib").mkdir(mode=0o755)
        (tmp_path / "lib/one.so").write_text("")
        return tmp_path / "lib"

    def test_a_new_file_counts_from_when_it_has_its_name(self, libraries, root):
        os.utime(root / "one.so", (0, 0))  # dpkg gives it the time of its package
        assert libraries.changed(f"{root}/one.so") == pytest.approx(time.time(), abs=5)

    def test_one_that_is_gone_counts_from_then(self, libraries, root):
        os.utime(root, (0, 1000))
        assert libraries.changed(f"{root}/two.so") == 1000
        assert libraries.changed(f"{root}/no/such/folder/two.so") == 1000

    @pytest.mark.parametrize("what", ["writable", "owned", "link", "folder"])
    def test_what_others_than_root_can_change_counts_for_nothing(self, libraries, root, what):
        path = root / "one.so"
        if what == "writable":
            root.chmod(0o777)
        elif what == "owned":
            self.owner[str(root)] = 1000
        else:
            path.unlink()
            path.mkdir() if what == "folder" else path.symlink_to("two.so")
        assert libraries.changed(str(path)) == 0


class TestOutdated:
    """A process with a library in memory."""

    @pytest.fixture
    def library(self, tmp_path, libraries, monkeypatch):
        """A file that counts as a library of the host."""
        monkeypatch.setattr(libraries, "PLACES", (f"{tmp_path}/",))
        monkeypatch.setattr(libraries, "changed", lambda path: os.lstat(path).st_ctime)
        path = tmp_path / "libssl.so.3"
        path.write_bytes(b"\0" * mmap.PAGESIZE)
        time.sleep(0.05)  # the kernel tells a start by the hundredth of a second
        return path

    @pytest.fixture
    def start(self):
        """Start a process that maps a file as code; then: what it does at the next line that it is told."""
        started = []

        def run(path, then=""):
            code = (
                "import mmap, os, sys, time\n"
                f"file = open({str(path)!r}, 'rb')\n"
                "code = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC)\n"
                f"print(flush=True)\nsys.stdin.readline()\n{then}\nsys.stdin.readline()"
            )
            words = [sys.executable, "-c", code]
            started.append(subprocess.Popen(words, stdin=-1, stdout=-1, text=True, bufsize=1))
            started[-1].stdout.readline()
            return started[-1]

        yield run
        for one in started:
            one.communicate("\n\n")

    def replace(self, path):
        """What dpkg does: another file is renamed to the name."""
        new = path.with_suffix(".dpkg-new")
        new.write_bytes(b"\1" * mmap.PAGESIZE)
        new.rename(path)
        time.sleep(0.05)

    def test_one_that_was_there_before_the_update_is_outdated(self, libraries, library, start):
        before = start(library).pid
        assert libraries.outdated(before, []) == ""
        self.replace(library)
        assert libraries.outdated(before, []) == str(library)
        # The one that follows is not.
        assert libraries.outdated(start(library).pid, []) == ""

    def test_a_child_has_the_age_of_the_first_process(self, libraries, library, start):
        # In one write each: the two lines come from two processes.
        fork = "child = os.fork()\nos.write(1, b'%d\\n' % (child or os.getpid()))\nif child: code.close()"
        first = start(library, fork)
        self.replace(library)
        first.stdin.write("\n")
        child = max(int(first.stdout.readline()), int(first.stdout.readline()))
        # Younger than the update, with what was there before it in memory.
        assert libraries.outdated(child, []) == ""
        assert libraries.outdated(first.pid, [child]) == str(library)

    def test_one_that_makes_it_up_is_replaced_once_for_each_update(
        self, libraries, library, start, monkeypatch
    ):
        monkeypatch.setattr(libraries, "deleted", lambda _text: [str(library)])
        liar = start(library).pid
        assert libraries.outdated(liar, []) == ""
        self.replace(library)
        assert libraries.outdated(liar, []) == str(library)
        assert libraries.outdated(start(library).pid, []) == ""

    def test_a_process_that_is_gone_is_not(self, libraries):
        assert libraries.outdated(2**22 + 1, []) == ""


def test_nothing_is_swapped_while_packages_are_installed(libraries, tmp_path, monkeypatch):
    lock = tmp_path / "lock"
    monkeypatch.setattr(libraries, "LOCKS", (str(tmp_path / "none"), str(lock)))
    assert not libraries.dpkg_runs()
    lock.touch()
    assert not libraries.dpkg_runs()
    code = (
        f"import fcntl; file = open({str(lock)!r}, 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as apt:
        apt.stdout.readline()
        assert libraries.dpkg_runs()
        apt.communicate("\n")
    assert not libraries.dpkg_runs()


@pytest.mark.parametrize("held", ["lock", "step"])
def test_nothing_is_swapped_while_a_run_changes_the_app(libraries, tmp_path, monkeypatch, held):
    monkeypatch.setattr(libraries, "LOCKS", ())
    monkeypatch.setattr(libraries, "RUN", str(tmp_path))
    with libraries.step("tornado-chat"):
        # A run that begins now waits for the end of it.
        with open(tmp_path / "tornado-chat.step") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(tmp_path / "tornado-chat.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(tmp_path / f"tornado-chat.{held}") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(libraries.Later, match="a run changes the app"), libraries.step("tornado-chat"):
            pass
