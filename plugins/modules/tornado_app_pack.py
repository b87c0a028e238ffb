#!/usr/bin/python
"""Turn a source and the settings of an app into one release, packed as a tar file."""

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
  - Called by the action of the same name, which keeps the secrets to itself. With C(remove) alone, the
    action removes the folder of an earlier call.
author: The Tornadoes authors (!UNKNOWN)
options:
  source: {type: str, required: true, description: "Directory, git address, or archive (file or URL)."}
  version: {type: str, default: "", description: "Branch, tag or commit; makes O(source) a git repository."}
  checksum: {type: str, default: "", description: "C(sha256:...) of an archive; required for a URL."}
  destination: {type: path, required: true, description: "The tar file to write."}
  runtime: {type: path, required: true, description: "Directory of launcher and runner."}
  group: {type: str, required: true, description: "Group that may read the release."}
  settings: {type: dict, required: true, description: "What it says of itself."}
  seal: {type: str, default: "", description: "What stands for its secrets in the id."}
  static: {type: str, default: static, description: "Folder of static files in the source."}
  requirements: {type: str, required: true, description: "The requirements file's path in the source."}
  default_requirements: {type: path, required: true, description: "Used where the source has none."}
  wheels: {type: str, default: "", description: "Directory of wheels that the environment is built from."}
  python: {type: str, required: true, description: "The host's interpreter and its version."}
notes:
  - What is wrong with the source comes back as RV(refusal), because the task runs under
    C(no_log), which would hide a failure's message.
"""

EXAMPLES = r"""
- name: Pack a release
  tornadoes.tornadoes.tornado_app_pack:
    source: https://git.example.org/chat.git
    version: v2.1
    destination: /tmp/chat.tar
    runtime: files/release
    group: tornado-chat
    settings: {main: server.py, arguments: []}
    requirements: requirements.txt
    default_requirements: files/release/requirements.txt
    python: /usr/bin/python3 3.13
"""

RETURN = r"""
id: {type: str, returned: success, description: "12 hexadecimal digits, derived from the content."}
venv: {type: str, returned: success, description: "12 hexadecimal digits for requirements and interpreter."}
origin: {type: str, returned: success, description: "The source without passwords, with its git commit."}
editable: {type: bool, returned: success, description: "Whether the environment needs the source for good."}
refusal: {type: str, returned: always, description: "One sentence on what is wrong, or empty."}
"""

import json
import os
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import requirements
from ..module_utils.refusal import Refusal
from ..module_utils.release import Release, digest
from ..module_utils.source import fetch
from ..module_utils.tree import RESERVED, Tree, check_main


def contents(folder, names):
    """Name to content of some files of a folder."""
    found = {}
    for name in sorted(names):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def pack(module, scratch):
    """Write the tar file; what the module returns."""
    params = module.params
    folder, origin = fetch(module, scratch)
    own = {"settings.json": json.dumps(params["settings"], sort_keys=True).encode()}
    own |= contents(params["runtime"], [one for one in os.listdir(params["runtime"]) if one.endswith(".py")])
    try:
        tree = Tree(folder, params["static"])
        check_main(folder, params["settings"]["main"])
        path, name = requirements.find(folder, params["requirements"]), params["requirements"]
        if path is None:
            path, name = params["default_requirements"], f"{RESERVED}/requirements.txt"
            with open(path, "rb") as file:
                own["requirements.txt"] = file.read()
        lines = requirements.lines(folder, path)
        with tarfile.open(params["destination"], "w:gz", compresslevel=1) as packed:
            release = Release(packed, tree, params["group"])
            release.add_folders()
            code = release.add_code()
            local = [release.digest_of(path) for path in requirements.installed(folder, lines)]
            wheels = requirements.wheels(os.path.expanduser(params["wheels"]))
            venv = digest(params["python"], "\n".join(lines), *local, *wheels)
            for file_name, content in own.items():
                release.add_own(file_name, content)
            release.add_link("venv", f"../../../venvs/{venv}")
    except OSError as problem:
        raise Refusal(
            f"tornado_app_source: {origin} can't be read ({problem}). Try again when nothing writes to it."
        ) from problem
    return {
        "id": digest(code, venv, *release.own, params["seal"]),
        "venv": venv,
        "origin": origin,
        "requirements": name,
        "editable": any(map(requirements.EDITABLE.match, lines)),
    }


def main():
    """Ansible calls this."""
    text, needed = {"type": "str", "default": ""}, {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "source": needed,
            "version": text,
            "checksum": text,
            "destination": path,
            "runtime": path,
            "group": needed,
            "settings": {"type": "dict", "required": True},
            "seal": text,
            "static": {"type": "str", "default": "static"},
            "requirements": needed,
            "default_requirements": path,
            "wheels": text,
            "python": needed,
        },
        supports_check_mode=True,
    )
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
        try:
            result = {"refusal": "", **pack(module, scratch)}
        except Refusal as problem:
            result = {"refusal": str(problem)}
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
