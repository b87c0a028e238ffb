"""Answers that come piece by piece: nginx passes each piece on, as it would come by the port itself."""

from __future__ import annotations

import re
from typing import Any

from tornado import web
from tornado.escape import native_str

BUFFERING = "X-Accel-Buffering"  # of nginx, which takes the header off the answer
# What nginx shall cache has to go through its buffers.
CACHEABLE = re.compile(r"max-?age=[1-9]", re.IGNORECASE)


def is_stream(headers: Any) -> bool:
    """Whether an answer with these headers, sent before it is finished, must not wait for its end.

    Not one whose length is known (a download, whose client may be slow), that is marked to be cached, or
    of which the program itself has said what nginx shall do.
    """
    if "Content-Length" in headers or BUFFERING in headers or "Expires" in headers:
        return False
    # 3.x has bytes there.
    return not CACHEABLE.search(native_str(headers.get("Cache-Control", "")))


def install() -> None:
    """Put our function where Tornado's own stood."""
    real_flush = web.RequestHandler.flush

    # finish() comes here too, and says so.
    def flush(self: Any, include_footers: bool = False, *args: Any, **kwargs: Any) -> Any:
        if not (include_footers or self._headers_written) and is_stream(self._headers):
            self.set_header(BUFFERING, "no")
        return real_flush(self, include_footers, *args, **kwargs)

    web.RequestHandler.flush = flush
