"""Files of the controller, what the roles take, and where the relative paths of variables lead."""

import functools
import os

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar

from .command_line import ROOT


@functools.cache
def specs(role_path):
    """A role's argument specs, as the file has them."""
    # Not yaml.safe_load: ten times slower, in each process that asks.
    return yaml_load((role_path / "meta/argument_specs.yml").read_text())["argument_specs"]


def options(role_path):
    """Entry of a role's argument specs to its options, by name; C(variables) are those of the role itself."""
    return {name: entry["options"] for name, entry in specs(role_path).items()}


def folders(variables):
    """Where a relative path is looked for: beside the inventory, where the run was started, beside the playbook.

    The last one is the checkout, whose README names paths from there.
    """
    found = [variables.get("inventory_dir"), os.getcwd(), variables.get("playbook_dir"), str(ROOT)]
    return list(dict.fromkeys(os.path.normpath(one) for one in found if one))


def located(variables, path):
    """The absolute path that a variable's path means; the first candidate where there is nothing at any."""
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        return path
    candidates = [os.path.normpath(os.path.join(folder, path)) for folder in folders(variables)]
    return next((one for one in candidates if os.path.exists(one)), candidates[0])


def looked(variables, paths):
    """Half a sentence on where these paths were looked for; empty where each says it itself."""
    relative = any(not os.path.isabs(os.path.expanduser(path)) for path in paths)
    return f" (looked for in {', '.join(folders(variables))})" if relative else ""


def text_of(loader, variables, path):
    """The text of a file, decrypted. AnsibleError: there is none."""
    find = lookup_loader.get("ansible.builtin.file", loader, Templar(loader, variables))
    try:
        return str(find.run([located(variables, path)], variables=variables, rstrip=False)[0])
    except AnsibleError:
        # As a task with these variables finds it: in a folder files/ of the role or the playbook.
        return str(find.run([path], variables=variables, rstrip=False)[0])
