"""Headers that nginx sends, hides or looks at."""

import itertools
from dataclasses import dataclass

# What a site sends unless it says otherwise: no guessing of types, no frames on other sites, no
# full address to other sites.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
# What nginx says to the app of its client and of the request's body.
SAID = (
    "X-Real-IP X-Scheme X-Request-ID X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port"
    " X-Forwarded-Server X-Forwarded-Prefix Content-Length Transfer-Encoding"
)
# What clients may say of themselves and some programs believe, besides the names that Tornado looks at.
HEARSAY = (
    "X-Forwarded-Path X-Forwarded-Scheme X-Forwarded-Ssl X-Forwarded-Protocol X-Url-Scheme"
    " X-Original-Host X-Original-URL X-Rewrite-URL X-Host X-Client-IP X-Cluster-Client-IP Front-End-Https"
    " X-Script-Name"
)
# Cached answers (a site's cache): what programs choose an answer by without saying so (Vary), and
# what makes a request personal.
CACHE_KEY = "Accept Accept-Encoding Accept-Language Origin X-Requested-With HX-Request X-PJAX Turbo-Frame"
CACHE_OWN = (
    "Authorization Proxy-Authorization X-Api-Key X-Auth-Token X-Access-Token X-Xsrftoken X-Csrftoken X-Csrf-Token"
    " Content-Type X-HTTP-Method-Override X-HTTP-Method X-Method-Override"
)


@dataclass
class Header:
    """A header. variable: what nginx's variables for it end with."""

    name: str
    variable: str
    value: str = ""


def header(name, value=""):
    """A header by its name."""
    return Header(name, name.lower().replace("-", "_"), value)


def respelt(names):
    """Headers' names as they are spelt with underscores, in all places or in some."""
    found = []
    for name in names.split():
        first, *others = name.split("-")
        for marks in itertools.product("-_", repeat=len(others)):
            if "_" in marks:
                found.append(first + "".join(map("".join, zip(marks, others, strict=True))))
    return found
