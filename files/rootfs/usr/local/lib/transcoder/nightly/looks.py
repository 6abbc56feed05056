"""What a turn goes by: units, holds and mounts; the chain as geth has it; round and sessions as livepeer has them."""

from typing import Dict, Iterator, List, NamedTuple, Optional

from watch import geth, livepeer, rounds, units
from watch.ask import Rpc
from watch.chain import Round
from watch.model import NoAnswer, Node, span

from .model import Night

States = Dict[str, Dict[str, str]]


def states(night: Night) -> States:
    """Return the properties of the services and of the mounts below them, by unit."""
    names = [name for role in night.own["mounts"] for name in (night.node.config["units"][role], mount(night, role))]
    found = units.parse(night.node.run(["systemctl", "show", "--property=" + units.PROPERTIES, "--", *names]))
    missing = [name for name in names if name not in found]
    if missing:
        raise NoAnswer("systemctl says nothing of {}".format(", ".join(missing)))
    return found


def mount(night: Night, role: str) -> str:
    """Return the mount unit of a volume."""
    return str(night.own["mounts"][role])


def age(night: Night, state: Dict[str, str]) -> Optional[float]:
    """Return for how many seconds a unit has been active; None when it is not."""
    if state.get("ActiveState") != "active":
        return None
    return units.seconds_up(night.node) - int(state.get("ActiveEnterTimestampMonotonic") or 0) / 1e6


def reasons(night: Night, roles: List[str], found: States) -> Iterator[str]:
    """Say why these services cannot be restarted."""
    config = night.node.config
    for role in roles:
        unit = config["units"][role]
        held = [name for name in (unit, mount(night, role)) if units.held(night.node, name)]
        if held:
            yield "{} is held: an operation that moves the node has begun".format(" and ".join(held))
        elif found[mount(night, role)].get("ActiveState") != "active":
            yield "{} is not mounted, so {} cannot start".format(config["volumes"][role]["mount"], unit)
        elif role == "livepeer":
            yield from _no_key(night.node)


def _no_key(node: Node) -> Iterator[str]:
    try:
        livepeer.expected_address(node)
    except NoAnswer as error:
        yield str(error)


class Head(NamedTuple):
    """Where geth is: ``born`` is when its newest block was made, in Unix seconds."""

    peers: int
    number: int
    born: int


def head(node: Node) -> Head:
    """Ask geth. Raises NoAnswer."""
    rpc = Rpc(node.config["geth"]["url"])
    return Head(rpc.number("net_peerCount"), *geth.newest(rpc))


def behind(node: Node, found: Head) -> List[str]:
    """Say what is wrong with where geth is; eth_syncing is wrong in both directions, and not asked."""
    old, limit = node.now() - found.born, node.limit("head_age_seconds")
    least = int(node.limit("min_peers"))
    wrong = ["{} peers, at least {} wanted".format(found.peers, least)] if found.peers < least else []
    if not found.number:
        wrong.append("still at the genesis block")
    elif old > limit:
        wrong.append("block {} is {} old, wanted at most {}".format(found.number, span(old), span(limit)))
    return wrong


def chain_is_away(node: Node) -> bool:
    """Tell whether the machine's geth has lost the chain: then no reward can be called before it is restarted."""
    if not node.config["geth"]:
        return False
    try:
        found = head(node)
    except NoAnswer:
        return True
    return not found.peers or node.now() - found.born > node.limit("head_age_seconds")


def pending(node: Node) -> Optional[Round]:
    """Return the round if its reward is still to be called. None also where livepeer does not tell: nobody can know."""
    if not node.config["livepeer"]["on_chain"]:
        return None
    try:
        found = rounds.of_livepeer(node)
    except NoAnswer:
        return None
    return found if found.initialized and found.active and found.last_reward < found.number else None


def sessions(node: Node) -> int:
    """Return how many sessions livepeer serves; none when it does not answer."""
    try:
        return round(livepeer.busy(node.config["livepeer"]))
    except NoAnswer:
        return 0


def account(node: Node) -> str:
    """Return the account that livepeer runs as, lower case; empty while it does not answer."""
    api = node.config["livepeer"]
    try:
        return livepeer.account(api)
    except NoAnswer:
        return ""
