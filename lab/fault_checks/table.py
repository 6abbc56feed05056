"""Which check of the node's watch turns red by which fault of the lab: data, and nothing else.

A check is named as ``CHECK`` or ``CHECK/SUBJECT``. The node is that of the lab: geth 1.8.27 as a light client and
livepeer 0.2.4, both stand-ins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Red:
    """A check that must turn red: ``level`` is warn or alarm.

    ``head_ages``: how many times ``[geth] head_age_seconds`` must go by before the watch sees anything bad at all.
    ``share``: the threshold of the environment that says which share of a round must.
    """

    check: str
    level: str = "alarm"
    head_ages: int = 0
    share: str = ""


@dataclass(frozen=True)
class Felt:
    """A fault that the node feels.

    ``also``: checks that may turn red too, because that is what follows from it. ``restart``: the units that somebody
    restarts after it, as the runbook says.
    """

    fault: str
    red: tuple[Red, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The fault as it is typed."""
        return " ".join((self.fault, *(f"--{option} {value}" for option, value in self.options.items())))

    def expects(self, check: str) -> bool:
        """Tell whether a check may be red while it is on."""
        return check in self.also or any(red.check == check for red in self.red)


GETH, LIVEPEER = "geth.service", "livepeer-transcoder.service"
LIVEPEER_IS_GONE = (Red("livepeer-api"), Red("service-port"))
NO_REWARD = ("reward",)
"""A round may begin and go on meanwhile, and nobody calls its reward."""
GETH_RESTARTS = ("restarts/geth", "unit/geth", "geth-rpc", "geth-peers", "geth-head", "geth-advancing")
LIVEPEER_RESTARTS = ("restarts/livepeer", "unit/livepeer", "livepeer-api", "service-port")

FELT = (
    Felt("geth_stall", (Red("geth-head", head_ages=2), Red("geth-advancing", head_ages=2))),
    Felt(
        "geth_no_peers",
        (Red("geth-peers"), Red("geth-head", head_ages=2), Red("geth-advancing", head_ages=2)),
        also=NO_REWARD,
    ),
    Felt("hung_service", (Red("geth-rpc"),), {"unit": "geth"}, also=NO_REWARD),
    Felt("hung_service", (Red("livepeer-api"),), {"unit": "livepeer"}, also=NO_REWARD),
    Felt("stopped_service", (Red("unit/geth"), Red("geth-rpc")), {"unit": "geth"}, also=NO_REWARD),
    Felt(
        "stopped_service",
        (Red("unit/livepeer"), *LIVEPEER_IS_GONE),
        {"unit": "livepeer"},
        also=NO_REWARD,
    ),
    Felt("stopped_service", (Red("unit/chrony"),), {"unit": "chrony"}, also=("clock",)),
    Felt(
        "crashing_service",
        (Red("restarts/geth", "warn"),),
        {"unit": "geth"},
        also=(*GETH_RESTARTS, *NO_REWARD),
        restart=(GETH,),
    ),
    Felt(
        "crashing_service",
        (Red("restarts/livepeer", "warn"),),
        {"unit": "livepeer"},
        also=(*LIVEPEER_RESTARTS, *NO_REWARD),
        restart=(LIVEPEER,),
    ),
    Felt(
        "unmounted_volume",
        (Red("mount/geth"), Red("unit/geth"), Red("geth-rpc")),
        {"volume": "geth"},
        also=NO_REWARD,
    ),
    Felt(
        "unmounted_volume",
        (Red("mount/livepeer"), Red("unit/livepeer"), *LIVEPEER_IS_GONE),
        {"volume": "livepeer"},
        also=NO_REWARD,
    ),
    Felt("readonly_filesystem", (Red("mount/geth"),), {"volume": "geth"}, also=(*GETH_RESTARTS, *NO_REWARD)),
    Felt(
        "readonly_filesystem", (Red("mount/livepeer"),), {"volume": "livepeer"}, also=(*LIVEPEER_RESTARTS, *NO_REWARD)
    ),
    Felt(
        "full_disk",
        (Red("space/geth"),),
        {"volume": "geth"},
        also=(*GETH_RESTARTS, *NO_REWARD),
        restart=(GETH,),
    ),
    Felt(
        "full_disk",
        (Red("space/livepeer"),),
        {"volume": "livepeer"},
        also=(*LIVEPEER_RESTARTS, *NO_REWARD),
        restart=(LIVEPEER,),
    ),
    Felt("clock_skew", (Red("clock"),), {"seconds": "-40"}),
    Felt("lost_elastic_ip", (Red("service-address"),)),
    Felt("drained_account", (Red("eth-balance"),), also=NO_REWARD),
    Felt("lost_registration", (Red("livepeer-registered"),)),
    Felt("uninitialized_round", (Red("round", share="round_alarm_share"),), also=NO_REWARD),
    Felt("missed_reward", (Red("reward", share="reward_alarm_share"),)),
)
"""In the order in which they are tried."""

UNFELT = {
    "power_off": "the watch has no power either: that it says nothing is the alarm (TranscoderWatchDown)",
    "partition": "it is between the operator and the machine, which reaches its gateway, AWS and the world",
    "api_throttle": "it is EC2's API that answers so, and the node does not ask it",
    "api_error": "it is EC2's API that answers so, and the node does not ask it",
    "lagging_reads": "it is EC2's API that answers so, and the node does not ask it",
    "stuck_attaching": "it hits an attachment that an operation waits for, whose plan says so",
    "stuck_detaching": "it hits a detachment that an operation waits for, whose plan says so",
    "slow_stop": "nothing is different until geth is stopped; then `unit` is red if that takes longer than its seconds",
    "kill_operator": "it is the operator's process that dies",
    "wrong_device_order": "volumes are found by their labels, whatever their devices are called",
    "corrupt_filesystem": "it is done while no machine has the volume, and whoever attaches it checks it first",
}
"""Faults that a node does not feel, and why."""

UNTRIED = {
    "cloudwatch": "the lab's node has no role that lets it send",
    "filling": "a trend of six hours",
    "gas-days": "a trend of two days",
    "rpc": "the lab's node has a geth of its own",
    "livepeer-address": "run-livepeer starts livepeer with the address of the volume or not at all",
    "sessions": "livepeer 0.2.4 tells no limit",
    "slashed": "it stays red for event_hours, a day",
    "deactivated": "it stays red for event_hours, a day",
    "tickets": "there are no tickets before livepeer 0.5.9",
    "open-files": "the stand-ins open few",
    "certificate": "the work port speaks no TLS before livepeer 0.3.0",
    "reboot": "it is a matter of days",
    "image-age": "it is a matter of months",
    "watch": "the looks hang where the kernel does",
}
"""Checks that no fault of the lab turns red, and why; the unit tests of the watch do."""
