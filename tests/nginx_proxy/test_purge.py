"""Which cached answers are meant by an address."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.modules import nginx_proxy_purge as purge

KEPT = "https://www.example.org/kept/news?a=%41"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (KEPT, True),
        ("HTTPS://WWW.example.org:443/kept/ne%77s?a=%41", True),
        ("https://www.example.org/kept/*", True),
        ("https://www.example.org/k%65pt/*", True),
        ("*", True),
        ("https://www.example.org/kept/news", False),
        ("https://www.example.org/kept/news?a=A", False),
        ("https://www.example.org:8443/kept/*", False),
        ("http://www.example.org/kept/*", False),
    ],
)
def test_an_address_is_the_same_however_it_is_spelt(given, meant):
    assert purge.meant(KEPT, given) is meant
    assert purge.meant(KEPT.replace("news", "%6eews"), given) is meant


def test_the_address_is_the_first_line_of_a_key(tmp_path):
    file = tmp_path / "kept"
    file.write_bytes(b"\x05binary\nKEY: https://a/b\ntext/html\ngzip\n\nHTTP/1.1 200 OK\r\n")
    assert purge.address_of(file) == "https://a/b"
