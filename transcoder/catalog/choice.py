"""What an environment chooses among the versions: pure data, of which everything else is a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from transcoder.catalog.history import Version
from transcoder.catalog.livepeer import NETWORKS

LOCAL_GETH = "ws://127.0.0.1:8546"
"""Not geth.ipc: geth makes its socket 0600, and the two run as different users."""
PRIVATE_OPTIONS = "/d1/livepeer/private.conf"
"""Options that are secrets (an RPC address with a key in it), on the volume: they go where the node goes."""


@dataclass(frozen=True)
class GethChoice:
    """``cache_mib`` in MiB; ``consensus_client``: one drives this geth through 127.0.0.1:8551.

    ``from_ppa``: apt installs it from the project's package archive.
    """

    version: Version
    sync_mode: str
    cache_mib: int
    consensus_client: bool = False
    from_ppa: bool = False


@dataclass(frozen=True)
class LivepeerChoice:
    """``options`` are further flags, without their dash; ``private_options``: `PRIVATE_OPTIONS` is read too.

    ``passphrase_store``: where the machine fetches the passphrase of its key, as its IAM role.
    """

    version: Version
    network: str
    eth_url: str = ""
    service_address: str = ""
    initialize_round: bool = True
    gas_price_wei: int = 0
    price_per_unit: str = ""
    private_options: bool = False
    passphrase_store: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The programs of an image and of the machine it is for.

    ``gpus``: as -nvidia names them, empty for none. ``archive``: the name of livepeer's archive, where it has one.
    ``has_role``: new machines get an instance profile.
    """

    os: str
    instance_type: str
    geth: GethChoice | None
    livepeer: LivepeerChoice
    gpus: str = ""
    archive: str = ""
    has_role: bool = False

    @property
    def chain_url(self) -> str:
        """Where livepeer finds its chain, as far as the image knows; empty without a chain."""
        if self.livepeer.eth_url or not self.uses_local_geth:
            return self.livepeer.eth_url
        return LOCAL_GETH

    @property
    def uses_local_geth(self) -> bool:
        """Livepeer talks to the geth of its machine: it is on the same chain, and no other is named."""
        network = NETWORKS.get(self.livepeer.network)
        named = self.livepeer.eth_url or self.livepeer.private_options
        return self.geth is not None and network is not None and network.layer == 1 and not named
