"""What a run fetches for whoever has to trust the private CA."""

from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_renewal import fetched


def test_the_private_ca_is_fetched_when_it_is_new_and_by_no_dry_run(tmp_path):
    path = tmp_path / "made/ca.crt"
    assert fetched("new\n", path, True)
    assert not path.exists()
    assert fetched("new\n", path, False)
    assert path.read_text() == "new\n"
    assert not fetched("new\n", path, False)
    assert fetched("another\n", path, False)
