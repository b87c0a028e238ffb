"""The hole: POST /hole runs the Python that it is given, with all the rights of the program.

Only for who asks from the host itself: nobody shall meet it by way of nginx.
"""

import contextlib
import io
import traceback

import tornado.ioloop
import tornado.web


def run(code):
    """What it printed, and what broke it."""
    said, problem = io.StringIO(), ""
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(code, "attack", "exec"), {"__name__": "attack"})
        except BaseException:
            problem = traceback.format_exc()
    return {"said": said.getvalue(), "problem": problem}


class Hole(tornado.web.RequestHandler):
    """POST: the answer says what was printed, and what went wrong."""

    async def post(self):
        if self.request.remote_ip != "127.0.0.1":
            raise tornado.web.HTTPError(403)
        # In a thread, so that the program goes on answering meanwhile.
        self.write(await tornado.ioloop.IOLoop.current().run_in_executor(None, run, self.request.body))


HANDLERS = [("/hole", Hole)]
