"""Ask the hosts that have one Redis where theirs stands, decide who is the master, let Sentinel keep it."""

from ansible.plugins.action import ActionBase

from ..module_utils.refusal import Refusal
from ..plugin_utils.apply import apply
from ..plugin_utils.redis_replication import master_of, rekeyed
from .redis_server_configuration import for_host

STANDING = "__redis_server_standing"


class ActionModule(ActionBase):
    """group: C(description) of the role's inputs; then it decides, by what all hosts have registered.

    Else the module's arguments, as those of C(redis_server_configuration).
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = self._task.args
        if "group" in words:
            return {**result, **self.decided(words["group"], words["replication_password"], task_vars)}
        done = apply(self, "redis_server_sentinel", for_host(words), task_vars)
        if did := done.pop("did", ""):
            said = f"Sentinel {'would get' if self._task.check_mode else 'got'} {did}."
            done |= {"msg": said, "_ansible_verbose_always": True}
        return {**result, **done}

    def decided(self, group, password, task_vars):
        """What the module gets as C(replication), but its secret. turn: whether the host is of the first.

        password: of the replication.
        """
        hosts, known = group["hosts"], task_vars["hostvars"]
        left = [name for name in hosts if name in task_vars["ansible_play_hosts"]]
        standings = {name: known[name].get(STANDING, {}).get("standing") for name in left}
        standings = {name: one for name, one in standings.items() if one}
        absent = [name for name in hosts if name not in standings]
        try:
            master, founded = master_of(hosts, standings, absent)
            rekey = rekeyed(standings, password, absent)
        except Refusal as refusal:
            return {"failed": True, "msg": str(refusal)}
        return {
            # Where there is none yet, it has to be there before others can follow it; else it comes last,
            # since another one takes its place when it restarts.
            "turn": (group["address"] == master) is founded,
            "replication": {
                "address": group["address"],
                "master": master,
                "group": sorted(hosts.values()),
                "quorum": group["quorum"],
                "reached": any(hosts[name] == master for name in standings),
                "rekey": rekey,
            },
        }
