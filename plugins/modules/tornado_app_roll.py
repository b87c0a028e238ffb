#!/usr/bin/python
"""Bring all ports of an app to one release, without a lost request; or leave them as they were."""

DOCUMENTATION = r"""
---
module: tornado_app_roll
short_description: Swap the ports of an app to a release
description:
  - Starts the release beside what runs on each port, waits until every one of these processes
    has proven itself, then lets one after the other take over its port. Only then C(current)
    moves, so that a reboot half-way starts what was proven.
  - The first refusal calls all of them off, turns back the ports that had taken over, and fails
    with the reason and the program's last lines. A release that is itself to blame is marked as bad
    in releases.jsonl.
  - A port that runs the release already is not touched.
  - The release's static files join those of the others in C(/srv/<app>/static) before the first
    port is swapped; where names are the same, the new ones are right. A refusal takes that back.
  - The release's workers and timers follow its ports. A worker that does not stay well is a refusal as
    well, and the former ones come back. A job that runs is left alone.
  - Keeper and units come first, where they are given, as M(tornadoes.tornadoes.tornado_app_units) does it.
  - For a release over several hosts, C(phase) is one step of it, and the service that takes part on the host
    does what is described here; see C(plugins/module_utils/transaction.py). In a task it is only said
    that a step C(switch) or C(conclude) has come, and the action looks at all hosts.
  - What is not needed any more goes last, where it is said how many releases stay. So does what killed runs
    have left, and what older versions of the role let everybody read is closed.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  release: {type: str, required: true, description: "Id of a release that is on the host."}
  ports: {type: list, elements: int, required: true, description: "The ports to run it."}
  units:
    type: dict
    description: >-
      C(keeper), C(files) and C(command) of M(tornadoes.tornadoes.tornado_app_units); in a task, whether the
      action gives them.
  static: {type: str, default: static, description: "Folder of static files inside a release."}
  event: {type: str, choices: [deployed, rolled back], default: deployed, description: "For the history."}
  source: {type: str, default: "", description: "Where the release comes from, for the history."}
  code: {type: str, default: "", description: "Digest of that source's content, for the history."}
  who: {type: str, default: "", description: "Who asked for it, for the history."}
  left_out: {type: list, elements: str, default: [], description: "Paths in the source that are not in it."}
  left_out_settings: {type: dict, default: {}, description: "Files of settings among these, to their names."}
  keep: {type: int, default: 0, description: "How many releases stay; 0 is all of them."}
  phase:
    type: str
    choices: [whole, prepare, switch, watch, confirm, back]
    default: whole
    description: Which step of a release over several hosts; V(whole) is all of them for one host.
  digest: {type: str, default: "", description: "To prepare, digest of the word that confirms the release."}
  patience: {type: dict, default: {}, description: "To prepare, seconds by phase until the host acts alone."}
  address: {type: str, default: "", description: "To prepare, the private address at which other hosts ask."}
  peers:
    type: list
    elements: list
    default: []
    description: To switch, address and port of each other host.
  word: {type: str, default: "", description: "To confirm, the word."}
  reason: {type: str, default: "", description: "To turn back, why another host refuses the release."}
"""

EXAMPLES = r"""
- name: Swap the ports to a release
  tornadoes.tornadoes.tornado_app_roll:
    name: chat
    release: 0123456789ab
    ports: [8000, 8001]
"""

RETURN = r"""
lines:
  type: list
  elements: str
  returned: always
  description: >-
    One line a port: old release, new release, seconds to ready, to drained. One for each worker and
    timer that was started, and for each release and environment that was removed. A task has them as C(msg).
swapped:
  type: list
  elements: dict
  returned: always
  description: Per port C(port), C(old), C(seconds), C(drained), C(forced).
reason:
  type: str
  returned: failure
  description: Why the release was refused.
bad:
  type: bool
  returned: failure
  description: Whether the release itself is to blame.
prepared:
  type: bool
  returned: when this host takes part in a release over several hosts, and has proven it
  description: Whether it waits for the others.
addresses:
  type: list
  elements: list
  returned: when prepared
  description: Where the other hosts may ask it for the word.
log:
  type: list
  elements: str
  returned: when a process was refused
  description: Its last lines.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import tornado_app_roll as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
