"""What TLS a client sees, judged by programs of others."""


def test_mozillas_intermediate_is_what_a_site_has(judge):
    code, said = judge("private.example.test", "intermediate")
    assert (code, "OK - Compliant" in said) == (0, True)


def test_https_alone_is_asked_for_two_years(client):
    answer = client.ask("/healthz", host="private.example.test")
    assert answer.headers["strict-transport-security"] == "max-age=63072000"


def test_tomorrows_computers_do_not_read_todays_traffic(host):
    ask = "openssl s_client -connect 127.0.0.1:25443 -servername private.example.test < /dev/null 2>/dev/null"
    said = host.run(ask).stdout
    if host.system_info.release.split(".")[0] == "12":
        assert "Server Temp Key: X25519," in said  # the best that its OpenSSL has
    else:
        assert "X25519MLKEM768" in said
