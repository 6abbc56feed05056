"""The image proves itself: an ordered list of checks that runs after the clean-up, at the end of a bake.

A check is a function of the machine and of what was wanted. It yields its findings: one line each that says where and
what, and never quotes a secret. All checks run, and one finding fails the bake. Python 3.6, standard library only.
"""

from typing import Callable, Iterator, List, NamedTuple, Tuple

from . import configuration, leftovers, permissions, programs, secrets, units
from .machine import Machine, Wanted


class Check(NamedTuple):
    title: str
    look: Callable[[Machine, Wanted], Iterator[str]]


CHECKS = (
    # Nothing of this one machine is left.
    Check("no host key", leftovers.host_keys),
    Check("machine id empty", leftovers.machine_id),
    Check("no authorized key", leftovers.authorized_keys),
    Check("no state of cloud-init", leftovers.cloud_state),
    Check("no history of a shell", leftovers.histories),
    Check("no name of one machine", leftovers.host_name),
    Check("logs empty", leftovers.logs),
    Check("no list and no archive of apt", leftovers.apt_lists),
    Check("nothing of the bake", leftovers.rest_of_the_bake),
    Check("no secret", secrets.secret_files),
    Check("no password", secrets.passwords),
    # Nobody but root changes what root runs.
    Check("nothing of root's for everybody to write", permissions.writable_by_others),
    Check("what was baked is root's", permissions.owners),
    Check("no surprising set-user-id", permissions.set_user_id),
    Check("free space", units.free_space),
    # The node's programs.
    Check("users have their numbers", programs.users),
    Check("livepeer -version", programs.livepeer_version),
    Check("geth version", programs.geth_version),
    Check("geth dumpconfig", programs.geth_configuration),
    Check("a key can be made without geth", programs.new_account),
    Check("services refuse without their volume", programs.refusals),
    Check("systemd-analyze verify", units.unit_files),
    Check("units enabled", units.enabled),
    # The system.
    Check("chronyd takes its file", configuration.clock),
    Check("sshd does what its file says", configuration.ssh_server),
    Check("sudo takes its files", configuration.sudoers),
    Check("logrotate takes its files", configuration.log_rotation),
    Check("rsyslogd takes its files", configuration.system_log),
    Check("control ports behind the firewall", configuration.firewall),
    Check("security upgrades, no reboot", configuration.upgrades),
    Check("needrestart leaves the services alone", configuration.restarts),
    Check("limit of open files", configuration.open_files),
    Check("settings of the kernel", units.kernel_settings),
    Check("no swap", units.swap),
)


def prove(machine: Machine, wanted: Wanted, checks: "Tuple[Check, ...]" = CHECKS) -> "Iterator[Tuple[str, List[str]]]":
    """Run all checks in their order; yield each one's title and findings. One that breaks has found that it broke."""
    for check in checks:
        try:
            findings = list(check.look(machine, wanted))
        except Exception as error:  # noqa: BLE001 - the checks after it have to run, too, and the bake has to fail
            findings = ["the check itself broke: {!r}".format(error)]
        yield check.title, findings
