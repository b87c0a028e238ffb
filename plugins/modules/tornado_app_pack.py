#!/usr/bin/python
"""The description of an action plugin: see plugins/action/tornado_app_pack.py."""

DOCUMENTATION = r"""
---
module: tornado_app_pack
short_description: Pack a source and its settings into a release
description:
  - Runs on the controller. Takes a directory, a git repository or an archive, adds the
    settings, the launcher and the runner below C(.release/), and writes one tar file.
  - The release's id is derived from all that content, so packing the same twice gives
    the same id, and any change of code or settings another one.
  - Modes are normalised, the owner is root. The app's group may read all of it; nobody else may,
    but for the static files, which are for the web server. Hidden ones (C(.env)) are not.
  - Links lead to something in the source. Below the folder of static files, and on the way to it, there
    are none in the release; what they lead to is there instead.
  - Secrets among the settings never leave the process of the run. With O(remove) alone, removes the folder of
    an earlier call.
author: The Tornadoes authors (!UNKNOWN)
options:
  source: {type: str, description: "Directory, git address, or archive (file or URL)."}
  version: {type: str, default: "", description: "Branch, tag or commit; makes O(source) a git repository."}
  checksum: {type: str, default: "", description: "C(sha256:...) of an archive; required for a URL."}
  runtime: {type: path, description: "Directory of launcher and runner."}
  group: {type: str, description: "Group that may read the release."}
  settings: {type: dict, description: "What it says of itself."}
  static: {type: str, default: static, description: "Folder of static files in the source."}
  include: {type: list, elements: str, default: [], description: "Paths that git ignores, to be packed too."}
  requirements: {type: str, description: "Path in the source of its requirements, or of a pyproject.toml."}
  extras: {type: list, elements: str, default: [], description: "Extras and groups of the source's project."}
  default_requirements: {type: path, description: "Used where the source has none."}
  wheels: {type: str, default: "", description: "Directory of wheels that the environment is built from."}
  remove: {type: path, description: "The folder of an earlier call, which goes."}
  python: {type: str, description: "The host's interpreter and its version."}
  known:
    type: list
    elements: str
    default: []
    description: Ids of releases that the host has. Of one of them no file is kept.
notes:
  - What is wrong with the source comes back as RV(refusal), because the task runs under
    C(no_log), which would hide a failure's message.
"""

EXAMPLES = r"""
- name: Pack a release
  tornadoes.tornadoes.tornado_app_pack:
    source: https://git.example.org/chat.git
    version: v2.1
    runtime: files/release
    group: tornado-chat
    settings: {main: server.py, arguments: []}
    requirements: requirements.txt
    default_requirements: files/release/requirements.txt
    python: /usr/bin/python3 3.13
"""

RETURN = r"""
id: {type: str, returned: success, description: "12 hexadecimal digits, derived from the content."}
app: {type: str, returned: success, description: "The app's name."}
code: {type: str, returned: success, description: "12 hexadecimal digits for the source alone."}
asked: {type: str, returned: success, description: "12 hexadecimal digits for what decides on the source."}
venv: {type: str, returned: success, description: "12 hexadecimal digits for requirements and interpreter."}
origin: {type: str, returned: success, description: "The source without passwords, with its git commit."}
editable: {type: bool, returned: success, description: "Whether the environment needs the source for good."}
requirements: {type: str, returned: success, description: "The file in it that says what is installed."}
steps: {type: list, elements: list, returned: success, description: "What pip is told, call by call."}
version: {type: str, returned: success, description: "The version that a build would ask git for, or empty."}
left_out: {type: str, returned: success, description: "A sentence on what somebody may miss, or empty."}
left_out_paths: {type: list, elements: str, returned: success, description: "What that is about."}
left_out_settings: {type: dict, returned: success, description: "Files of settings in it, to their names."}
path: {type: str, returned: success, description: "The tar file; empty for a known release."}
folder: {type: str, returned: always, description: "The folder that it lies in, for O(remove), or empty."}
wheels: {type: str, returned: always, description: "Absolute path of the wheels, or empty."}
refusal: {type: str, returned: always, description: "One sentence on what is wrong, or empty."}
"""
