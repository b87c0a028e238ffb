"""Turn a source and the settings of an app into one release, packed as a tar file."""

import json
import os
import tarfile

from ..module_utils.refusal import Refusal
from . import requirements
from .release import Release, digest
from .source import fetch
from .tree import RESERVED, Tree, check_main


def contents(folder, names):
    """Name to content of some files of a folder."""
    found = {}
    for name in sorted(names):
        with open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def pack(params, scratch):
    """Write the tar file C(destination) by the action's options; what it returns. scratch: a folder to use."""
    folder, origin = fetch(params, scratch)
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
