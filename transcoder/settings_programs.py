"""What an environment says of its programs: geth and livepeer, their downloads, their GPUs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from transcoder.catalog.geth import stop_budget_seconds

EthereumAddress = Annotated[str, Field(pattern=r"^(0x[0-9a-fA-F]{40})?$")]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class Table(BaseModel):
    """A table of an environment file: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=False)


def _https_or_path(value: str) -> str:
    if value and urlsplit(value).scheme not in ("https", "file", ""):
        raise ValueError(f"{value!r} must be an https URL or a path")
    return value


SECRET_VARIABLES = {"LP_ETHPASSWORD", "LP_ORCHSECRET"}
"""From v0.5.23 on livepeer reads its flags from such variables, too (peterbourgon/ff, prefix LP)."""
PPA = "ppa:ethereum/ethereum"
"""The Ethereum project's package archive on Launchpad, which keeps the newest build of a package only."""
HttpsOrPath = Annotated[str, AfterValidator(_https_or_path)]
SourceOfGeth = Annotated[str, AfterValidator(lambda value: value if value == PPA else _https_or_path(value))]
Fingerprint = Annotated[
    str,
    BeforeValidator(lambda value: value.replace(" ", "").upper() if isinstance(value, str) else value),
    Field(pattern=r"^([0-9A-F]{40})?$"),
]


class Downloads(Table):
    """From where downloads come: ``mirror`` (an https URL or a directory) has ``HOST/PATH`` of every https URL."""

    mirror: HttpsOrPath = ""


class Download(Table):
    """A release archive: a URL or a path. Every proof that is given must hold, and one is needed.

    ``sha256`` is pinned, ``checksums`` a file in sha256sum's format; ``signature`` is a detached one of OpenPGP, by the
    key whose fingerprint is ``signing_key``. ``keyring`` has that key: a path or a URL, by default Ubuntu's key server.
    """

    version: str = Field(pattern=r"^v?\d+\.\d+\.\d+$")
    source: HttpsOrPath
    sha256: Sha256 = ""
    checksums: HttpsOrPath = ""
    signature: HttpsOrPath = ""
    signing_key: Fingerprint = ""
    keyring: HttpsOrPath = ""

    @model_validator(mode="after")
    def _signature_has_its_key(self) -> Self:
        if self.signature and not self.signing_key:
            raise ValueError("a signature proves nothing without signing_key, the fingerprint of whose it must be")
        return self


class Geth(Download):
    """The chain node, where there is one. ``cache_mib`` in MiB; ``sync_mode`` as geth names them.

    ``source`` may be `PPA`: then ``sha256`` is that of the package, and ``signing_key`` that of the package archive.

    ``consensus_client``: one on the same machine drives this geth through 127.0.0.1:8551.
    """

    enabled: bool = True
    version: str = Field(default="", pattern=r"^(v?\d+\.\d+\.\d+)?$")
    source: SourceOfGeth = ""
    sync_mode: Literal["light", "fast", "full", "snap"] = "light"
    consensus_client: bool = False
    cache_mib: int = Field(default=512, ge=16)
    max_peers: int = Field(default=25, ge=1)
    stop_budget_seconds: int = Field(ge=10, description="by default what the sync mode needs")
    in_sync_budget_seconds: int = Field(default=600, ge=1)
    head_age_seconds: int = Field(default=300, ge=1, description="older than this, the head is not in sync")
    environment: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _stops_as_its_sync_mode_needs(cls, data: Any) -> Any:
        if isinstance(data, dict) and "stop_budget_seconds" not in data:
            return {**data, "stop_budget_seconds": stop_budget_seconds(str(data.get("sync_mode", "light")))}
        return data

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.enabled and not (self.version and self.source):
            raise ValueError("give version and source, or enabled = false")
        if self.from_ppa and (self.checksums or self.signature):
            raise ValueError(f"{PPA} has no checksums or signature: apt checks it with the key signing_key")
        return self

    @property
    def from_ppa(self) -> bool:
        """Tell whether apt installs it from the project's package archive."""
        return self.source == PPA


class Livepeer(Download):
    """The transcoder. ``address`` is the account it must run with, empty as long as there is none.

    ``eth_url`` is the RPC address of its chain, where no geth of the machine is; ``service_address`` (host:port) is
    told to others instead of the machine's own address; ``options`` are further flags, without their dash. With
    ``private_options`` it reads those that are secrets from a file on its volume.
    """

    network: Literal["mainnet", "rinkeby", "arbitrum-one-mainnet", "arbitrum-one-rinkeby", "devenv", "offchain"] = (
        "mainnet"
    )
    address: EthereumAddress = ""
    eth_url: str = ""
    service_address: str = ""
    initialize_round: bool = True
    gas_price_wei: int = Field(default=0, ge=0)
    price_per_unit: int | str = ""
    private_options: bool = False
    options: dict[str, bool | int | str] = Field(default_factory=dict)
    healthy_budget_seconds: int = Field(default=120, ge=1)
    environment: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _environment_has_no_secret(self) -> Self:
        found = sorted(set(self.environment) & SECRET_VARIABLES)
        if found:
            raise ValueError(
                f"environment has {', '.join(found)}: it would stand in the AMI and in the environment of the process; "
                "keys.passphrase_store has the machine fetch a passphrase"
            )
        return self


class Gpu(Table):
    """NVIDIA GPUs for livepeer: ``devices`` as its -nvidia names them, empty for none."""

    devices: str = Field(default="", pattern=r"^(all|\d+(,\d+)*)?$")
