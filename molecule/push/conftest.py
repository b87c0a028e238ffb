"""Visitors of this scenario: many simple ones, and a real browser."""

import contextlib
import subprocess
import time
import urllib.request

import pytest
from client import Site
from ports import free_port
from selenium import webdriver
from selenium.webdriver.common.by import By
from visitor import ROOT, Frames

SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
PICTURES = ROOT / ".cache/screenshots"
TRUST = """
set -e
id visitor > /dev/null 2>&1 || useradd --create-home visitor
home=$(getent passwd visitor | cut -d: -f6)
rm -rf $home/.pki
install --directory --owner=visitor $home/.pki $home/.pki/nssdb
runuser --user visitor -- certutil -d sql:$home/.pki/nssdb -N --empty-password
runuser --user visitor -- certutil -d sql:$home/.pki/nssdb -A -t C,, -n site < /etc/nginx/private-ca/ca.crt
systemd-run --quiet --unit=visitor --uid=visitor --setenv=HOME=$home chromedriver --port=9515
"""


@pytest.fixture(scope="session")
def site(client):
    """site(NAME): a Site."""
    return lambda name="localhost": Site(client, name)


@pytest.fixture(scope="session", autouse=True)
def mute(site):
    """When it was opened, and a WebSocket that never says a word."""
    opened, socket = time.monotonic(), Frames(site())
    return opened, socket


@pytest.fixture(scope="session")
def chromium(host, container):
    """The browser on the host, which trusts the site's CA: the address of its driver, from here."""
    _name, variables = container
    host.check_output("test -f /etc/nginx/private-ca/ca.crt && systemctl stop visitor 2> /dev/null; true")
    host.check_output(TRUST)
    port = free_port()
    tunnel = ["ssh", "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:9515", "-p", str(variables["ansible_port"])]
    tunnel += ["-i", str(ROOT / ".cache/test_hosts_key"), *SSH.split(), "root@127.0.0.1"]
    process = subprocess.Popen(tunnel)
    address = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/status", timeout=5).close()
                break
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()
        host.run("systemctl stop visitor")


class Window:
    """One window of the browser with the app's page.

    address: of the driver. site: where the page is. language: what its visitor reads.
    """

    def __init__(self, address, site, language="en", width=900):
        options = webdriver.ChromeOptions()
        for word in (
            "--headless=new",
            # The host is a container, which has no namespaces of its own to give away.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP *.example.org 127.0.0.1",
            f"--window-size={width},1000",
        ):
            options.add_argument(word)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Remote(address, options=options)
        self.driver.get(f"https://{site.authority}/live")

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def read(self, name):
        """The text of an element of the page."""
        return self.find(name).text

    def texts(self):
        """The messages that it shows, in order."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('#messages li')].map((one) => one.lastChild.textContent)"
        )

    def say(self, text):
        """Type a message and send it."""
        self.find("text").clear()
        self.find("text").send_keys(text)
        self.driver.find_element(By.CSS_SELECTOR, "#form button").click()

    def choose(self, name):
        """Choose a transport."""
        self.driver.find_element(By.CSS_SELECTOR, f"#choice option[value='{name}']").click()

    def picture(self, name):
        """Keep what it looks like, in .cache/screenshots/."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(PICTURES / f"{name}.png"))

    def complaints(self):
        """What the browser has to say against the page, network failures left out."""
        lines = [one["message"] for one in self.driver.execute("getLog", {"type": "browser"})["value"]]
        return [one for one in lines if "Failed to load resource" not in one and "WebSocket" not in one]


@pytest.fixture
def window(chromium, site):
    """window(): another Window; they close with the test."""
    with contextlib.ExitStack() as stack:

        def another(name="localhost", **more):
            made = Window(chromium, site(name), **more)
            stack.callback(made.driver.quit)
            return made

        yield another
