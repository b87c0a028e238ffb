"""What nginx is told of an answer that is sent before it is finished."""

import pytest
import tornado
from port import Port

PROGRAM = '''
import tornado.ioloop
import tornado.web
from tornado.options import define, options, parse_command_line

define("port", type=int)


class Answer(tornado.web.RequestHandler):
    """?say=NAME:VALUE adds a header; /pieces sends its head before it is finished."""

    def get(self, path):
        for one in self.get_arguments("say"):
            self.set_header(*one.split(":"))
        self.write("one, ")
        if path == "pieces":
            self.flush()
        self.write("two.")
        if path == "pieces":
            self.flush()
        self.finish()


parse_command_line()
tornado.web.Application([("/(.*)", Answer)]).listen(options.port, "127.0.0.1")
tornado.ioloop.IOLoop.instance().start()
'''


@pytest.fixture(scope="module", params=["3.1.1", tornado.version])
def answering(request, tmp_path_factory, old_tornado):
    """A port with that program."""
    port = Port(tmp_path_factory.mktemp("port"), path=old_tornado if request.param == "3.1.1" else "")
    port.add("one", PROGRAM, health_path="/")
    port.point("one")
    port.start()
    yield port
    port.stop()
    print(port.log.read_text()[-4000:])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/pieces", "no"),
        ("/pieces?say=Content-Type:text/event-stream&say=Cache-Control:no-cache", "no"),
        ("/pieces?say=Cache-Control:private,%20max-age=0", "no"),
        # Whole at once: nginx may take it from the app for a slow client.
        ("/whole", None),
        ("/pieces?say=Content-Length:9", None),
        # What nginx does not buffer it can't cache.
        ("/pieces?say=Cache-Control:max-age=10", None),
        ("/pieces?say=Cache-Control:s-maxage=10", None),
        ("/pieces?say=Expires:Fri,%2001%20Jan%202100%2000.00.00%20GMT", None),
        ("/pieces?say=X-Accel-Buffering:yes", "yes"),
    ],
)
def test_a_stream_is_not_to_wait_for_its_end(answering, path, told):
    connection = answering.open()
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.read() == b"one, two."
    assert answer.getheader("X-Accel-Buffering") == told
