"""New TLS connections a second, full and resumed, beside the tutorial's own block with the same key."""

import re
import sys

import lab
import tutorial

SECONDS = 1 if lab.SMOKE else 3
CLIENTS = 2
PORTS = {"tutorial": tutorial.HTTPS, "tornadoes": lab.HTTPS}
# With TLS 1.3, whose tickets come with the first answer, each asks for a file that is not
# there, which nginx answers by itself; with 1.2 the handshake is all.
SCRIPT = """
begin=$(date +%s.%N)
for client in $(seq {clients}); do
    openssl s_time -connect 127.0.0.1:{port} -tls1_{minor} {how} -time {seconds} {more} 2>&1 &
done
wait
echo took $begin $(date +%s.%N)
"""


def connections(port, minor, how):
    """Connections a second of some clients at once."""
    more = "-www /static/none" if minor == 3 else ""
    script = SCRIPT.format(clients=CLIENTS, port=port, minor=minor, how=how, seconds=SECONDS, more=more)
    said = lab.on_host(script)
    counts = [int(one) for one in re.findall(r"^(\d+) connections in \d+ real", said, re.MULTILINE)]
    begin, end = re.search(r"took ([\d.]+) ([\d.]+)", said).groups()
    if len(counts) != CLIENTS or not all(counts):
        sys.exit(f"s_time: {said}")
    return sum(counts) / (float(end) - float(begin))


def main():
    """The command."""
    tutorial.start()
    report = lab.Report("handshakes", "the tutorial's", "Tornadoes", "times")
    for minor in (2, 3):
        seen = {}
        for how in ("new", "reuse"):
            kind = f"TLS 1.{minor}, {'full' if how == 'new' else 'resumed'}"
            lab.say(f"{kind}: {lab.ROUNDS} rounds")
            ways = {
                name: lambda port=port, minor=minor, how=how: connections(port, minor, f"-{how}")
                for name, port in PORTS.items()
            }
            seen[how] = lab.rounds(ways)
            for name, values in seen[how].items():
                report.figure(f"{name}, {kind}", "connections/s", values, key="ECDSA P-256")
            times = lab.ratio(seen[how]["tornadoes"], seen[how]["tutorial"])
            report.figure(f"ratio, {kind}", "times the tutorial's", times)
            report.row(
                kind, lab.show(seen[how]["tutorial"]), lab.show(seen[how]["tornadoes"]), lab.show(times)
            )
        gains = {name: lab.ratio(seen["reuse"][name], seen["new"][name]) for name in PORTS}
        for name, values in gains.items():
            report.figure(f"gain {name}, TLS 1.{minor}, resumed", "times full", values)
        report.row(
            f"TLS 1.{minor}, resumed : full", lab.show(gains["tutorial"]), lab.show(gains["tornadoes"]), ""
        )
    report.write()
    tutorial.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
