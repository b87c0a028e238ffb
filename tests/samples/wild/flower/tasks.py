"""A queue in files, as Celery's documentation shows it for hosts without a broker."""

import os

from celery import Celery

home = os.path.expanduser("~/queue")
os.makedirs(f"{home}/control", exist_ok=True)
os.makedirs(f"{home}/messages", exist_ok=True)

app = Celery("tasks", broker="filesystem://", backend=f"file://{home}/results")
os.makedirs(f"{home}/results", exist_ok=True)
app.conf.broker_transport_options = {
    "data_folder_in": f"{home}/messages",
    "data_folder_out": f"{home}/messages",
    "control_folder": f"{home}/control",
}


@app.task
def add(one, other):
    return one + other
