#!/usr/bin/python
"""Install what issues, renews and watches over certificates, and let it issue what nginx starts with."""

DOCUMENTATION = r"""
---
module: nginx_proxy_renewal
short_description: Install the program that issues certificates, and let the private CA sign
description:
  - Installs the program, with its units and its description. systemd reads the units if it has yet to, a
    run that was killed before that included.
  - Runs it once, for what the private CA has to sign and what is provided. A dry run takes the program along,
    since the host may have another version or none.
  - Without a description, removes all of it but the private CA.
author: The Tornadoes authors (!UNKNOWN)
options:
  description: {type: dict, default: {}, description: "What the sites shall have; empty for no site."}
  provided:
    type: dict
    default: {}
    description: >-
      Name of a site's folder to C(certificate) and C(key), files on the controller whose texts the action
      sends.
  fetch_to:
    type: str
    default: ""
    description: To the action, a file on the controller that gets the certificate of the host's private CA.
  run: {type: bool, default: true, description: "Whether the program runs: it needs its Debian packages."}
  program: {type: dict, default: {}, description: "Its files, name to text. The action has them."}
  units: {type: dict, default: {}, description: "Name of a unit to its text; from the action."}
"""

EXAMPLES = r"""
- name: Install the renewal program
  tornadoes.tornadoes.nginx_proxy_renewal:
    description: "{{ description }}"
"""

RETURN = r"""
issued:
  type: list
  elements: str
  returned: always
  description: A line for each certificate that the private CA has signed, or would.
ca:
  type: str
  returned: always
  description: The certificate of the private CA in PEM; empty where there is none.
due:
  type: list
  elements: str
  returned: always
  description: A line for each certificate that a CA has to be asked for, or would have to be.
status:
  type: dict
  returned: always
  description: >-
    C(table), lines for people, and C(troubles), a sentence each, of all certificates; empty where the program
    did not run.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import nginx_proxy_renewal as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
