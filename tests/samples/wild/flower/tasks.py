"""A queue in files, as Celery's documentation shows it for hosts without a broker."""

import os

from celery import Celery

home = os.path.expanduser("~")
options = {}
for folder in ("messages", "control"):
    options[folder] = f"{home}/queue/{folder}"
    os.makedirs(options[folder], exist_ok=True)

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": options["messages"],
    "data_folder_out": options["messages"],
    "control_folder": options["control"],
}


@app.task
def tidy():
    with open(f"{home}/tidied", "a") as file:
        file.write("Tidied\n")
