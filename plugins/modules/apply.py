#!/usr/bin/python
"""The work of several modules in one, since each that a run uses is packed on the controller."""

DOCUMENTATION = r"""
---
module: apply
short_description: Do the work of another module of this collection
author: The Tornadoes authors (!UNKNOWN)
description:
  - Takes C(work) and all that the module of that name takes, and returns what it returns.
  - The actions of this collection call it, so that what a run needs on its hosts is packed once.
options:
  work:
    type: str
    required: true
    description: Name of the module.
    choices:
      - look
      - nginx_proxy_configuration
      - nginx_proxy_renewal
      - redis_server_configuration
      - redis_server_sentinel
      - tornado_app_release
      - tornado_app_roll
"""

EXAMPLES = r"""
- name: Remove what renews certificates
  tornadoes.tornadoes.apply:
    work: nginx_proxy_renewal
"""

from ansible.module_utils.basic import AnsibleModule, _load_params


def work_of(name):
    """What does the work. Imported here, since a host compiles what is imported, each time."""
    if name == "look":
        from ..module_utils.applied import look as work
    elif name == "nginx_proxy_configuration":
        from ..module_utils.applied import nginx_proxy_configuration as work
    elif name == "nginx_proxy_renewal":
        from ..module_utils.applied import nginx_proxy_renewal as work
    elif name == "redis_server_configuration":
        from ..module_utils.applied import redis_server_configuration as work
    elif name == "redis_server_sentinel":
        from ..module_utils.applied import redis_server_sentinel as work
    elif name == "tornado_app_release":
        from ..module_utils.applied import tornado_app_release as work
    elif name == "tornado_app_roll":
        from ..module_utils.applied import tornado_app_roll as work
    return work


def main():
    """Ansible calls this."""
    # What a module takes has to be known before it can be asked what it was given.
    work = work_of(_load_params()["work"])
    work.main(AnsibleModule({"work": {"type": "str"}, **work.SPEC}, supports_check_mode=True))


if __name__ == "__main__":
    main()
