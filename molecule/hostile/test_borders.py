"""A program that somebody else has taken over: what it reaches beyond its own room.

Each attack prints what it could do; all of these have to print nothing.
"""

import re

import pytest
from hostile_app import FOLDERS, PORTS


def test_no_private_file_of_anybody_else_can_be_read(attack, secrets):
    files, folders = secrets
    # The attempt is about something: root's passwords, the CA's key, the neighbour's secret.
    for one in ("/etc/shadow", "/srv/victim/private"):
        assert one in files
    assert any(one.startswith("/etc/nginx/") for one in files + folders)
    assert any(one.startswith("/srv/neighbour/") for one in files + folders)
    code = """
for path in files:
    attempt(path, lambda: open(path, "rb").read(1))
for path in folders:
    attempt(path, os.listdir, path)
"""
    assert attack(code, files=files, folders=folders) == ""


def test_a_program_can_write_nothing_but_what_is_its_own(attack):
    code = """
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders.remove("dev")
    if folder == "/proc":  # its own processes are its own
        folders[:] = [name for name in folders if not name.isdigit() and not name.endswith("self")]
    for path in [folder, *(os.path.join(folder, name) for name in files)]:
        if os.access(path, os.W_OK) and not path.startswith(own):
            found = os.lstat(path)
            # podman puts a null device before what a container may not see.
            null = stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3)
            if not stat.S_ISLNK(found.st_mode) and not stat.S_ISSOCK(found.st_mode) and not null:
                print(path)
"""
    assert attack(code, own=(*FOLDERS, "/tmp", "/var/tmp")) == ""


def test_a_program_changes_nothing_of_the_kernel(attack):
    code = """
for path in (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper", "/dev/kmsg", "/dev/mem", "/proc/1/oom_score_adj", "/proc/kmsg",
):
    attempt(path, lambda: open(path, "r+").close())
for path in glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True):
    attempt(path, lambda: open(path, "w").write(str(os.getpid())))
"""
    assert attack(code) == ""


DOORS = [
    "call('unshare', 0x10000000)",  # CLONE_NEWUSER
    "call('unshare', 0x00020000)",  # CLONE_NEWNS
    "call('setns', os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)",
    "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
    "call('mount', b'/etc', b'/tmp', None, 4096, None)",
    "call('umount2', b'/tmp', 2)",
    "call('chroot', b'/tmp')",
    "call('syscall', 428, -100, b'/', 1)",  # open_tree
    "call('syscall', 430, b'tmpfs', 0)",  # fsopen
    "call('personality', 0x0040000)",  # ADDR_NO_RANDOMIZE
    "call('sethostname', b'mine', 4)",
    "call('swapon', b'/tmp/x', 0)",
    "call('acct', b'/tmp/x')",
    "call('ptrace', 0, 0, None, None)",  # TRACEME
    "os.setuid(0)",
    "os.setgroups([0])",
    "os.setresuid(-1, -1, 0)",
    "os.nice(-5)",
    "os.chown('/tmp', 0, 0)",
    "os.mknod('/tmp/disk', stat.S_IFBLK | 0o666, os.makedev(8, 0))",
    "time.clock_settime(time.CLOCK_REALTIME, time.time() + 60)",
    "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    # RTM_NEWLINK: lo goes down. An answer with an error is one that was refused.
    "netlink(16, struct.pack('=BxHiII', 0, 0, 1, 0, 1))",
    # RTM_NEWADDR: 192.0.2.1 for lo.
    "netlink(20, struct.pack('=BBBBI', 2, 32, 0, 0, 1) + struct.pack('=HH4B', 8, 2, 192, 0, 2, 1))",
    "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9).bind((0, 1))",  # the kernel's audit, to its readers
    "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "socket.socket(40, socket.SOCK_STREAM)",  # AF_VSOCK
    "open('/tmp/x', 'w').close() or os.chmod('/tmp/x', 0o4755)",
    "call('syscall', 425, 8, ctypes.create_string_buffer(120))",  # io_uring_setup
]


def test_no_door_of_the_kernel_is_open(attack):
    assert attack("".join(f"attempt({door!r}, lambda: {door})\n" for door in DOORS)) == ""


def test_no_process_of_anybody_else_can_be_signalled_or_looked_into(attack, host):
    others = host.check_output("ps -eo pid=,user:40= | awk '$2 != \"tornado-hostile\" {print $1}'").split()
    # The keepers among them, whatever account they have.
    said = host.check_output("systemctl show --property=Id,MainPID 'tornado-*@*.service'")
    keepers = [
        block.split("MainPID=")[1].split()[0]
        for block in said.split("\n\n")
        if "tornado-hostile-worker@" not in block
    ]
    code = """
def read(pid):
    "The first bytes of the memory of a process."
    with open(f"/proc/{pid}/maps") as file:
        begin = int(file.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.seek(begin)
        return file.read(8)

def steal(pid):
    "A descriptor of a process."
    call("syscall", 438, os.pidfd_open(pid), 3, 0)

def copy(pid):
    "Bytes of the memory of a process, by another way."
    room = ctypes.create_string_buffer(8)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(room), 8)
    there = (ctypes.c_void_p * 2)(0x400000, 8)
    done = LIBC.process_vm_readv(pid, here, 1, there, 1, 0)
    if done == -1 and ctypes.get_errno() in (errno.EPERM, errno.ESRCH, errno.ENOSYS):
        raise OSError

for pid in pids:
    attempt(f"signal {pid}", os.kill, pid, 0)
    for name in ("environ", "cmdline", "maps", "fd/0", "cwd/.", "root/.", "task"):
        attempt(f"{name} of {pid}", os.stat if "." in name else os.listdir if name == "task" else
                lambda path: open(path, "rb").read(1), f"/proc/{pid}/{name}")
    attempt(f"memory of {pid}", read, pid)
    attempt(f"copy of {pid}", copy, pid)
    attempt(f"descriptor of {pid}", steal, pid)
    attempt(f"trace {pid}", call, "ptrace", 16, pid, None, None)
    attempt(f"priority of {pid}", os.setpriority, os.PRIO_PROCESS, pid, 19)
"""
    pids = sorted({int(pid) for pid in others + keepers} - {0})
    assert attack(code, pids=pids) == ""


@pytest.mark.parametrize(
    ("make", "look"),
    [
        ("open('/dev/shm/left', 'w').write('x' * 4096)", "ls /dev/shm"),
        ("call('shmget', 0x6c656674, 4096, 0o1666)", "ipcs --shmems"),
        ("call('semget', 0x6c656674, 1, 0o1666)", "ipcs --semaphores"),
        ("call('msgget', 0x6c656674, 0o1666)", "ipcs --queues"),
        ("call('mq_open', b'/left', 66, 0o666, None)", "ls /dev/mqueue"),
    ],
    ids=["shared files", "shared memory", "semaphores", "queues", "POSIX queues"],
)
def test_what_a_program_shares_it_shares_with_nobody_else(attack, host, make, look):
    attack(f"with contextlib.suppress(OSError):\n    {make}")
    said = host.run(look).stdout
    host.run("rm --force /dev/shm/left /dev/mqueue/left; ipcrm --all")
    assert "left" not in said


def test_systemd_takes_no_word_from_a_program(attack, host):
    def state():
        units = "'tornado-hostile*' 'tornado-neighbour*' nginx.service"
        keys = "Id,ActiveState,MemoryMax,TasksMax,Environment,MainPID"
        return host.check_output(f"systemctl show --property={keys} {units}; systemctl show-environment")

    before = state()
    code = """
for words in (
    "systemctl stop tornado-neighbour@8100.service",
    "systemctl stop tornado-hostile@8001.socket",
    "systemctl kill --signal=KILL tornado-neighbour@8100.service",
    "systemctl set-property --runtime tornado-hostile@8000.service MemoryMax=infinity TasksMax=infinity",
    "systemctl set-environment LD_PRELOAD=/tmp/x.so",
    "systemctl daemon-reload",
    "systemctl reset-failed",
    "systemd-run --quiet --wait true",
    "systemd-run --quiet --user --wait true",
    "systemd-run --quiet --scope true",
    "loginctl enable-linger",
    "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "
    "RestartUnit ss nginx.service replace",
    "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "
    "KillUnit ssi nginx.service main 9",
    "sudo -n true",
    "su -c true",
    "crontab -l",
):
    attempt(words, lambda: subprocess.run(words.split(), check=True, timeout=5, capture_output=True))
"""
    assert attack(code, patience=60) == ""
    assert state() == before


# Logs, and names of hosts. Not what systemd itself listens on: a flood there holds it up for all.
PUBLIC = r"/run/systemd/(journal|resolve)/"


@pytest.fixture
def mallory_waits(host):
    """Another user of the host waits on an abstract socket, where a kernel can keep a program from it."""
    major, minor = host.check_output("uname -r").split(".")[:2]
    if (int(major), int(minor)) >= (6, 12):
        code = "import socket; s = socket.socket(1); s.bind(chr(0) + str(4711)); s.listen(9); s.accept()"
        host.check_output(f"nohup runuser --user mallory -- python3 -c '{code}' > /dev/null 2>&1 & sleep 1")
        assert "@4711" in host.check_output("ss --no-header --listening --unix")
    yield
    host.run("pkill --uid mallory")


@pytest.mark.usefixtures("mallory_waits")
def test_no_socket_of_root_or_of_another_app_lets_a_program_in(attack, host):
    found = host.check_output("ss --no-header --listening --unix --all | awk '{print $5}'").split()
    # What the abstract ones are for nobody knows here; they must let nobody in.
    # Where its own processes come to their keeper, which lets in whom it has asked for (test_keeper.py).
    own = re.compile(r"/run/tornado-hostile/\d+\.workers$")
    paths = sorted(
        {one for one in found if one[0] in "/@" and not re.match(PUBLIC, one) and not own.match(one)}
    )
    assert {"/run/systemd/private", "/run/systemd/notify"} <= set(paths)
    assert any(one.startswith("/run/tornado-neighbour/") for one in paths)
    code = """
for path in paths:
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.settimeout(2)
            attempt(path, one.connect, "\\0" + path[1:] if path[0] == "@" else path)
"""
    assert attack(code, paths=paths) == ""


def test_nobody_else_s_port_can_be_taken_over(attack, host):
    said = host.check_output("ss --no-header --listening --tcp --numeric | awk '{print $4}'")
    ports = sorted({int(line.rpartition(":")[2]) for line in said.splitlines()} - set(PORTS))
    assert {8100, 8101, 27443, 22} <= set(ports)
    code = """
def listen(family, address, port):
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind((address, port))
    one.listen(1)
    return one

for port in ports:
    for family, address in (
        (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::ffff:127.0.0.1"), (socket.AF_INET6, "::"),
    ):
        attempt(f"{address} {port}", listen, family, address, port)
"""
    assert attack(code, ports=ports) == ""


def test_a_program_gets_no_client_of_a_service_that_is_stopped(attack, host):
    if "+BPF_FRAMEWORK" not in host.check_output("systemctl --version"):
        pytest.skip("Debian 12's systemd can't keep a program from a port")
    code = """
for port in ports:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError as problem:
            print(port, errno.errorcode[problem.errno])
        else:
            print(port, "bound")
"""
    # nginx's, refused before anybody looks whether it is in use; and one more of the program's own.
    assert attack(code, ports=[27080, 27443, 9123]) == "27080 EPERM\n27443 EPERM\n9123 bound\n"


def test_no_folder_of_root_s_lies_below_one_of_the_program_s(hostile, host):
    pid = min(hostile.served_by())
    mounts = [line.split() for line in host.check_output(f"cat /proc/{pid}/mountinfo").splitlines()]
    disk = host.check_output("stat --format %Hd:%Ld /")
    kept = {host.check_output(f"findmnt --noheadings --output MAJ:MIN --target {path}") for path in FOLDERS}
    kept = {one.strip() for one in kept} | {disk}
    sources = {words[3] for words in mounts if words[2] in kept and words[3] != "/"}
    assert sources
    unsafe = []
    for source in sources:
        parents = [source.rsplit("/", level)[0] or "/" for level in range(1, source.count("/") + 1)]
        for line in host.check_output(f"stat --format '%u %a %n' {' '.join(parents)}").splitlines():
            owner, mode, path = line.split(" ", 2)
            # In a sticky folder, as /tmp, nobody can move what is another's.
            if owner != "0" or (int(mode, 8) & 0o022 and not int(mode, 8) & 0o1000):
                unsafe.append(f"{source}, below {path}")
    assert unsafe == []


SWAP = """
def swap():
    "Let each folder that is mounted here be a link to one of root's, again and again."
    sources = [line.split()[3] for line in open("/proc/self/mountinfo")]
    sources = {one for one in sources if one != "/" and os.access(os.path.dirname(one), os.W_OK)}
    end = time.monotonic() + seconds
    while sources:
        for one in sources:
            with contextlib.suppress(OSError):
                os.rename(one, one + ".real")
                os.symlink("/srv/victim", one)
            if seconds:
                time.sleep(0.002)
                with contextlib.suppress(OSError):
                    os.unlink(one)
                    os.rename(one + ".real", one)
        if time.monotonic() > end:
            return
orphan(swap)
time.sleep(min(seconds, 1))
"""


@pytest.mark.parametrize(
    ("seconds", "starts"), [(0, 1), (8, 5)], ids=["left in place", "while systemd looks"]
)
def test_a_folder_turned_into_a_link_gives_a_program_nothing_of_root_s(attack, host, seconds, starts):
    victim = "stat --format '%U %a %n' /srv/victim /srv/victim/private"
    before = host.check_output(victim)
    attack(SWAP, seconds=seconds)
    try:
        for _start in range(starts):
            assert host.run("timeout 30 systemctl restart tornado-hostile@8001.service").rc == 0
            assert host.check_output(victim) == before
            # Nor is it a folder of the program's now, in its own view of the host.
            pids = host.check_output("pgrep --uid tornado-hostile").split()
            mounts = host.run(f"cat {' '.join(f'/proc/{pid}/mountinfo' for pid in pids)} 2> /dev/null").stdout
            assert "/srv/victim" not in mounts
    finally:
        host.run(f"sleep {seconds}")
        host.run(
            "for one in $(find /var -xdev -name '*.real'); do rm ${one%.real}; mv $one ${one%.real}; done"
        )
        host.run("cd /srv/victim && chown root:root . private && chmod 711 . && chmod 600 private")


def test_a_program_that_forks_without_end_meets_its_own_limit(attack, eventually, hostile):
    code = """
count = 0
with contextlib.suppress(OSError):
    while count < 1000:
        orphan(lambda: time.sleep(30))
        count += 1
if count >= 1000:
    print("no limit")
"""
    assert attack(code, PORTS[5], patience=30) == ""


def test_nothing_with_rights_of_root_s_can_be_left_in_a_folder(attack, host, plant):
    plant()
    folders = f"{' '.join(FOLDERS)} /tmp /var/tmp /dev/shm"
    assert host.run(f"find {folders} -perm /6000 ! -type d -user tornado-hostile").stdout == ""
    assert host.run(f"find {folders} -type b -o -type c").stdout == ""
    # No file of root's has a second name there.
    for path in ("/etc/passwd", "/etc/shadow", "/srv/victim/private", "/srv/hostile/current/server.py"):
        assert host.file(path).exists
        assert host.run(f"find {folders} -samefile {path}").stdout == ""


def test_what_lies_in_a_program_s_folders_holds_up_no_chore_of_root_s(host, hostile, plant):
    victim = "stat --format '%U %a %s %n' /srv/victim /srv/victim/private /etc/shadow /etc/passwd"
    before = host.check_output(victim)
    plant()
    for chore in (
        "tornado-hostile-status",
        "tornado-hostile-status --json",
        "systemd-tmpfiles --create --clean",
        "systemctl reload tornado-hostile@8001.service",
        "systemctl restart tornado-hostile@8002.service",
        "systemctl start systemd-tmpfiles-clean.service",
    ):
        done = host.run(f"timeout 60 {chore}")
        assert done.rc in (0, 73), chore  # systemd-tmpfiles: what it refuses to follow is 73
    assert host.check_output(victim) == before
