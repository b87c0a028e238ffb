"""Files of the controller."""

from ansible.plugins.loader import lookup_loader
from ansible.template import Templar


def text_of(loader, variables, path):
    """The text of a file, decrypted, found as a task with these variables finds it. AnsibleError: there is none."""
    find = lookup_loader.get("ansible.builtin.file", loader, Templar(loader, variables))
    return str(find.run([path], variables=variables, rstrip=False)[0])
