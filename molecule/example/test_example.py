"""The ten lines of the README lead to a live HTTPS site, on the ports that browsers ask."""

CURL = "curl --silent --show-error --max-time 10 --cacert /etc/nginx/private-ca/ca.crt"
HERE = "--resolve www.example.org:443:127.0.0.1 --resolve www.example.org:80:127.0.0.1"


def test_the_app_of_ones_own_is_live(host):
    assert host.check_output(f"{CURL} {HERE} https://www.example.org/") == "Chat with us"


def test_http_leads_to_https_without_a_port(host):
    answer = host.check_output(f"{CURL} {HERE} --head http://www.example.org/a?b")
    assert "308" in answer.splitlines()[0]
    assert "Location: https://www.example.org/a?b" in answer


def test_browsers_are_told_to_stay_with_https(host):
    headers = host.check_output(f"{CURL} {HERE} --head https://www.example.org/")
    assert "strict-transport-security: max-age=63072000" in headers
    assert "includesubdomains" not in headers.lower()
