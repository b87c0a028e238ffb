"""A program with a pool of processes, which start by importing it once more."""

import multiprocessing

import tornado.ioloop
from common import make_app, port


def doubled(number):
    return 2 * number


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(doubled, [1, 2]) == [2, 4]
    make_app().listen(port())
    tornado.ioloop.IOLoop.instance().start()
