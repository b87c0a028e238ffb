"""What a program can have root do by what it says to have in memory."""

import time

from hostile_app import CONTROL

# As many names as it can find room for, of files that are gone, mapped as a library is.
NAMES = """
import mmap, shutil
def show(number):
    os.ftruncate(number, mmap.PAGESIZE)
    kept.append(mmap.mmap(number, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC))
sys.kept = kept = []
folder = "/var/lib/tornado-hostile/usr/lib/"
line = "7f16-7f17 r-xp 0 08:01 1 /usr/lib/libssl.so.3"
names = ["libssl.so.3", "libssl.so.3 (deleted)", "x\\n" + line, "x\\r" + line]
for name in [*names, "\\x1b]0;owned\\x07", "\\udcff"]:
    os.makedirs(os.path.dirname(folder + name), exist_ok=True)
    show(os.memfd_create("/usr/lib/" + name))
    show(os.open(folder + name, os.O_RDWR | os.O_CREAT, 0o700))
    os.unlink(folder + name)
shutil.rmtree("/var/lib/tornado-hostile/usr")
first = os.memfd_create("/usr/lib/" + 200 * "x")
for _one in range(20000):
    with contextlib.suppress(OSError, ValueError):
        show(first)
# A /usr of its own, where it could give any name.
attempt("made its own /usr", call, "unshare", 0x10000000 | 0x20000)
"""


def test_names_that_a_program_makes_up_replace_nothing(attack, hostile, host):
    assert attack(NAMES, patience=60) == ""
    before = hostile.processes(), hostile.keepers()
    # Something has changed where it says that its libraries are from.
    host.check_output("touch /usr/lib/new && rm /usr/lib/new")
    begun = time.time()
    host.check_output("systemctl start tornado-hostile-libraries.service")
    assert time.time() - begun < 30
    assert (hostile.processes(), hostile.keepers()) == before
    said = host.check_output("journalctl --all --unit=tornado-hostile-libraries --output=cat")
    assert "as it was before an update" not in said
    assert CONTROL.search(said) is None
    attack("sys.kept.clear()")
