"""Settings change as code does: units behind the open socket, ports with the help of nginx."""

import itertools
import json
import re
import time

PORTS = ("8000", "8001", "8002", "8003")
CALM = ["--download", "0", "--polls", "0"]


def test_changed_units_restart_port_by_port_behind_the_open_socket(app, host, load):
    def keepers():
        return host.check_output("pgrep --full 'keeper.py serve 800'").split()

    before, current = keepers(), app.current()
    with load(*CALM) as running:
        code, output = app.deploy("-e", "tornado_app_memory_max=301M")
    assert code == 0, output
    assert running.lost() == []
    assert len(keepers()) == len(PORTS)
    assert not set(before) & set(keepers())
    assert app.current() == current
    limit = host.check_output("systemctl show --property=MemoryMax --value 'tornado-load-worker@8003-*'")
    assert limit == str(301 * 2**20)


def test_who_comes_while_one_instance_follows_another_waits_and_is_answered(app, load):
    words = ["-e", json.dumps({"tornado_app_name": "solo", "tornado_app_overlap": False})]

    def deploy():
        return app.playbook("playbooks/deploy.yml", *words)

    with load(*CALM, "--rate", "50", "--websockets", "10", host="solo.example.test") as running:
        assert deploy()[0] == 0
        name = app.write()
        code, output = deploy()
        assert code == 0
        waited = r"port 8100: \w+ -> \w+, ready after [\d.]+ s.*, clients waited [\d.]+ s"
        assert re.search(waited, " ".join(output.split()))
        code, output = deploy()
        assert (code, "changed=0" in output) == (0, True)
        app.write(lambda _text: "raise SystemExit(3)\n")
        code, output = deploy()
        app.write_back()
        ended = time.time()
        assert code == 2
        assert "exited with status 3 before it answered" in output
        time.sleep(1)
    assert running.lost() == []
    assert running.report["wrong"] == 0
    # The one before answers again.
    assert running.report["releases"][name]["last_start"] > ended


def test_ports_come_and_go_without_a_lost_request(app, capsys, host, load):
    ports = [*map(int, PORTS[1:]), 8004]
    site = {"names": ["localhost"], "upstreams": [f"127.0.0.1:{port}" for port in ports]}
    # The others stay: a site goes only where that is asked for.
    others = [
        {"names": ["solo.example.test"], "upstreams": ["127.0.0.1:8100"]},
        {"names": ["naive.example.test"], "upstreams": ["127.0.0.1:9000", "127.0.0.1:9001"]},
    ]
    words = {
        "tornado_app_ports": ports,
        "nginx_proxy_sites": [site, *others],
        "tornado_app_memory_max": "301M",
    }
    spans = {}
    with load(*CALM) as running:
        for number in range(3):
            spans[f"bare reload {number}"] = time.time()
            host.check_output("systemctl reload nginx")
            time.sleep(1)
        spans["a port that comes and one that goes"] = time.time()
        code, output = app.deploy("-e", json.dumps(words), book="site")
        assert code == 0, output
        spans["the end"] = time.time()
    assert set(app.releases()) == set(map(str, ports))
    lost = [one for found in running.report["kinds"].values() for one in found["failures"]]
    with capsys.disabled():
        for (name, begun), (_next, ended) in itertools.pairwise(spans.items()):
            print(f"\n{name}: {sum(begun <= one['at'] <= ended for one in lost)} lost", end=" ")
    assert running.lost() == []
