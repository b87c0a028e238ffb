"""Tasks for Celery, whose queue is a folder. "python -m tasks" is a nightly job; "send" queues one."""

import os
import sys
import time

from celery import Celery

VERSION = "first"
HOME = os.environ["HOME"]
QUEUE = {name: f"{HOME}/{name}" for name in ("data_folder_in", "data_folder_out", "control_folder")}
QUEUE["data_folder_out"] = QUEUE["data_folder_in"]
for folder in QUEUE.values():
    os.makedirs(folder, exist_ok=True)

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = QUEUE


def note(what):
    """Let the test know."""
    with open(f"{HOME}/notes", "a") as file:
        file.write(f"{VERSION} {what}\n")


@app.task
def work(seconds):
    """Take so much time; where that is any, from the moment on that another release is current."""
    note("begins")
    while seconds and os.path.samefile("/srv/queue/current", os.getcwd()):
        time.sleep(0.1)
    time.sleep(seconds)
    note("ends")


if __name__ == "__main__":
    from tasks import work as task

    if sys.argv[1:2] == ["send"]:
        task.delay(int(sys.argv[2]))
    else:
        note("night begins")
        while not os.path.exists(f"{HOME}/morning"):
            time.sleep(0.1)
        note("night ends")
        sys.exit(int(os.environ.get("RESULT", "0")))
