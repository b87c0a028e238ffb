"""What somebody's own nginx has on a host before the role comes, and beside the role's files."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import nginx_paths
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import nginx_unmanaged as unmanaged

# As Debian 12 brings it, without its comments.
DEBIAN = """user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;
events {
\tworker_connections 768;
\t# multi_accept on;
}
http {
\tsendfile on;
\ttcp_nopush on;
\ttypes_hash_max_size 2048;
\tinclude /etc/nginx/mime.types;
\tdefault_type application/octet-stream;
\tssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
\tssl_prefer_server_ciphers on;
\taccess_log /var/log/nginx/access.log;
\tgzip on;
\tinclude /etc/nginx/conf.d/*.conf;
\tinclude /etc/nginx/sites-enabled/*;
}
"""


@pytest.fixture
def nginx(tmp_path, monkeypatch):
    """A folder in the place of /etc/nginx."""
    for name in ("conf.d", "sites-enabled", "tornadoes"):
        (tmp_path / name).mkdir()
    names = {"HOME": "", "RELEASES": "/tornadoes", "LINK": "/nginx.conf", "DIST": "/nginx.conf.dist"}
    for name, path in {**names, "STOCK_SITE": "/sites-enabled/default"}.items():
        monkeypatch.setattr(nginx_paths, name, f"{tmp_path}{path}")
    return tmp_path


def test_settings_that_would_go_are_named_with_their_lines(nginx):
    assert unmanaged.own_settings() == []
    (nginx / "nginx.conf").write_text(DEBIAN)
    assert unmanaged.own_settings() == []
    own = DEBIAN.replace("http {", "http {\n\tclient_max_body_size  100m;  # photos\n\tgzip off;")
    (nginx / "nginx.conf").write_text(own.replace("768", "4096"))
    assert unmanaged.own_settings() == [
        "line 7: worker_connections 4096;",
        "line 11: client_max_body_size 100m;",
        "line 12: gzip off;",
    ]
    # Later it is a file that somebody has put in the link's place, which is undone.
    (nginx / "nginx.conf.dist").touch()
    assert unmanaged.own_settings() == []


def test_a_file_beside_the_role_s_that_came_changed_or_went_is_to_be_loaded(nginx):
    assert not unmanaged.unloaded()
    for text in ("server {}", "server { listen 81; }"):
        (nginx / "sites-enabled/old").write_text(text)
        assert unmanaged.unloaded()
        unmanaged.note(unmanaged.digest())
        assert not unmanaged.unloaded()
    (nginx / "sites-enabled/old").unlink()
    assert unmanaged.unloaded()
