"""What is wrong with an nginx configuration that nginx itself accepts: gixy's word."""

import json
import subprocess
import sys
from pathlib import Path


def problems(configuration):
    """Everything that gixy finds, at any level, from the path of nginx.conf on."""
    command = [Path(sys.executable).with_name("gixy"), "--format=json", configuration]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # An include that was not found is a complaint as well.
    assert done.stderr == ""
    return json.loads(done.stdout)
