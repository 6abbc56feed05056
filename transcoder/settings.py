"""The environments: one TOML file is one world. The only reader of ``environments/*.toml`` and of ``os.environ``."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator

from transcoder.errors import BadSettings
from transcoder.settings_image import Image, Region
from transcoder.settings_keys import KeySettings
from transcoder.settings_monitoring import Monitoring
from transcoder.settings_programs import Downloads, Geth, Gpu, Livepeer, Table
from transcoder.settings_restart import Restart
from transcoder.settings_watch import Watch

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "environments"
DEFAULT = "lab"
OWN_TABLES = (
    *("aws", "ssh", "image", "downloads", "geth", "livepeer", "gpu"),
    *("instance", "volumes", "node", "keys", "operator", "watch", "monitoring", "restart"),
)

CARRIED = (
    *("HOME", "PATH", "XDG_STATE_HOME"),
    *("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"),
)
AWS_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

VolumeType = Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"]
DataDevice = Annotated[str, Field(pattern=r"^/dev/(sd[f-p]|xvd[b-c][a-z])$")]


class PortRule(Table):
    """One rule of the node's security group: who may open which port. ``to_port`` defaults to ``port``."""

    port: int = Field(ge=0, le=65535)
    to_port: int = Field(default=-1, ge=-1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: list[str] = Field(min_length=1)
    why: str = ""

    @field_validator("sources")
    @classmethod
    def _are_networks(cls, sources: list[str]) -> list[str]:
        for source in sources:
            ipaddress.ip_network(source)
        return sources


class Aws(Table):
    """Which EC2, and what of it. ``endpoint_url`` names an EC2 that is not Amazon's."""

    region: Region
    availability_zone: str
    profile: str = ""
    endpoint_url: str = ""
    access_key_id: str = ""
    secret_access_key: SecretStr = SecretStr("")
    key_name: str
    subnet_id: str = ""
    security_group: str = "livepeer-node"
    ingress: list[PortRule] = Field(min_length=1)
    instance_profile: str = ""
    kms_key_id: str = ""
    imds_tokens: Literal["required", "optional"] = "required"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.availability_zone.startswith(self.region):
            raise ValueError(f"availability_zone {self.availability_zone!r} is not in region {self.region!r}")
        if self.access_key_id and not self.endpoint_url:
            raise ValueError(
                "access_key_id belongs to an EC2 at endpoint_url; for Amazon's EC2 use a profile, so that no secret "
                "stands in a file of this project"
            )
        if self.endpoint_url and urlsplit(self.endpoint_url).scheme not in ("http", "https"):
            raise ValueError(f"endpoint_url {self.endpoint_url!r} is not an http(s) URL")
        return self


class Ssh(Table):
    """How to reach a machine. ``address`` tells which of its addresses the operator's network routes to."""

    user: str = "ubuntu"
    key_file: str = ""
    address: Literal["public", "private"] = "public"
    port: int = Field(default=22, ge=1, le=65535)
    connect_timeout: float = Field(default=5.0, gt=0, description="seconds")
    known_hosts: str = "~/.local/state/transcoder/known_hosts"


class InstanceSettings(Table):
    """The machine a node runs on."""

    type: str
    ebs_optimized: bool = True
    monitoring: bool = True
    root_size_gib: int = Field(default=32, ge=2)
    root_type: VolumeType = "gp2"
    shutdown_behavior: Literal["stop", "terminate"] = "stop"
    termination_protection: bool = False
    running_budget_seconds: int = Field(default=300, ge=1)
    reachable_budget_seconds: int = Field(default=300, ge=1)
    stop_budget_seconds: int = Field(default=300, ge=1, description="for a stop through EC2, before it is forced")


class VolumeSettings(Table):
    """A data volume. Never deleted on termination: that is not a setting."""

    size_gib: int = Field(ge=1)
    type: VolumeType = "gp2"
    device: DataDevice
    encrypted: bool = True


class Volumes(Table):
    """The node's two data volumes; that of geth only where there is a geth."""

    livepeer: VolumeSettings
    geth_if_any: VolumeSettings | None = Field(default=None, alias="geth")

    @property
    def geth(self) -> VolumeSettings:
        """Return geth's volume.

        :raises BadSettings: when this environment has none.
        """
        if self.geth_if_any is None:
            raise BadSettings("this environment has no volume for geth", hint="give volumes.geth")
        return self.geth_if_any

    @model_validator(mode="after")
    def _devices_differ(self) -> Self:
        if self.geth_if_any and self.livepeer.device == self.geth_if_any.device:
            raise ValueError(f"livepeer and geth both want {self.geth_if_any.device}")
        return self


class NodeSettings(Table):
    """Names. ``default`` is the node meant where none is named; ``domain`` completes a host name."""

    default: str = Field(default="tc001", pattern=r"^[a-z][a-z0-9-]{0,30}$")
    domain: str = ""


class OperatorSettings(Table):
    """The operator's own side. ``journal`` is a file to which every step's begin and end is appended, a line each."""

    journal: str = ""


class Settings(Table):
    """One environment, read and checked."""

    name: str
    path: Path
    description: str
    aws: Aws
    ssh: Ssh = Ssh()
    image: Image
    downloads: Downloads = Downloads()
    geth: Geth
    livepeer: Livepeer
    gpu: Gpu = Gpu()
    instance: InstanceSettings
    volumes: Volumes
    node: NodeSettings = NodeSettings()
    keys: KeySettings = KeySettings()
    operator: OperatorSettings = OperatorSettings()
    watch: Watch = Watch()
    monitoring: Monitoring = Monitoring()
    restart: Restart = Restart()
    extensions: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    """Tables of the file that belong to others, as they stand there."""

    @model_validator(mode="after")
    def _copies_go_elsewhere(self) -> Self:
        if self.aws.region in self.image.copy_to:
            raise ValueError(f"image.copy_to: {self.aws.region} is the region that is baked in")
        return self

    @model_validator(mode="after")
    def _geth_has_its_volume(self) -> Self:
        if self.geth.enabled and self.volumes.geth_if_any is None:
            raise ValueError("volumes.geth: missing, and geth is enabled")
        return self

    @model_validator(mode="after")
    def _readings_are_sent_by_a_role(self) -> Self:
        if self.monitoring.cloudwatch and not self.aws.instance_profile:
            raise ValueError(
                "monitoring.cloudwatch: nodes send their readings as their own role: give aws.instance_profile, whose "
                "role has the policy that `invoke iam --policy instance` prints"
            )
        return self

    @property
    def passphrase_path(self) -> str:
        """How the names of passphrases begin in their store: a machine may read those of its own environment."""
        return f"{self.keys.passphrase_prefix}/{self.name}"

    def in_region(self, region: str) -> Settings:
        """Return the same environment as it acts on another region of the account: for images, not for nodes."""
        aws = {"region": region, "availability_zone": f"{region}a", "subnet_id": "", "kms_key_id": ""}
        return self.model_copy(update={"aws": self.aws.model_copy(update=aws)})

    def extension(self, table: str) -> dict[str, Any]:
        """Return a table of the file that is not one of the library's own.

        :raises BadSettings: when the file has no such table.
        """
        if table not in self.extensions:
            raise BadSettings(
                f"{self.path}: environment {self.name!r} has no [{table}] table",
                hint=f"choose an environment that has one: {', '.join(names())}",
            )
        return dict(self.extensions[table])


def names() -> list[str]:
    """Return the names of the environments that ship with the project, sorted."""
    return sorted(path.stem for path in DIRECTORY.glob("*.toml"))


def chosen(option: str = "") -> str:
    """Return the name or path of the environment: the option, else ``TRANSCODER_ENV``, else ``lab``."""
    return option or os.environ.get("TRANSCODER_ENV", "") or DEFAULT


def child_environment(**extra: str) -> dict[str, str]:
    """Return a copy of this process's environment with ``extra`` in it, for a child process."""
    return {**os.environ, **extra}


def for_a_night() -> dict[str, str]:
    """Return the variables that a run from cron needs as this process has them: where the user's files are, and whose.

    cron gives HOME, LOGNAME, SHELL and a PATH of /usr/bin:/bin. No variable with a secret is among them.
    """
    return {name: os.environ[name] for name in CARRIED if os.environ.get(name)}


def secrets_of_the_shell() -> list[str]:
    """Return the names of the variables with AWS credentials that this process has."""
    return [name for name in AWS_SECRETS if os.environ.get(name)]


def state_directory() -> Path:
    """Return where this user's programs keep what is to outlive them, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "transcoder"


def load(name_or_path: str = "") -> Settings:
    """Read an environment.

    :param name_or_path: a name in ``environments/``, a path to a TOML file, or empty for `chosen`.
    :raises BadSettings: naming the file, the key, what was found and what is allowed.
    """
    path = _locate(chosen(name_or_path))
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: not valid TOML: {error}") from error
    extensions = {key: value for key, value in raw.items() if isinstance(value, dict) and key not in OWN_TABLES}
    own = {key: value for key, value in raw.items() if key not in extensions}
    try:
        return Settings.model_validate({**own, "name": path.stem, "path": path, "extensions": extensions})
    except ValidationError as error:
        raise _explained(path, error) from error


def _locate(wanted: str) -> Path:
    path = Path(wanted).expanduser() if wanted.endswith(".toml") else DIRECTORY / f"{wanted}.toml"
    if not re.fullmatch(r"[\w.-]+", wanted) and not wanted.endswith(".toml"):
        raise BadSettings(f"environment {wanted!r} is neither a name nor a path that ends in .toml")
    if not path.is_file():
        raise BadSettings(
            f"environment {wanted!r} does not exist: no file {path}",
            hint=f"choose one with --env or TRANSCODER_ENV: {', '.join(names())}",
        )
    return path.resolve()


def _explained(path: Path, error: ValidationError) -> BadSettings:
    reasons = [_reason(dict(item)) for item in error.errors(include_url=False)]
    return BadSettings(f"{path}: {len(reasons)} wrong setting(s)", reasons=reasons, hint=f"edit {path}")


def _reason(item: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(file)"
    if item["type"] == "extra_forbidden":
        return f"{key}: no such key; allowed here: {', '.join(_allowed(item['loc']))}"
    if item["type"] == "missing":
        return f"{key}: missing ({item['msg']})"
    found = "" if isinstance(item["input"], dict | BaseModel) else f"found {item['input']!r}; "
    if "secret" in key:
        found = ""
    return f"{key}: {found}{item['msg']}"


def _allowed(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the table around ``location`` knows."""
    model: Any = Settings
    for part in location[:-1]:
        annotation = _fields(model)[part].annotation if isinstance(part, str) else model
        model = annotation if isinstance(annotation, type) else annotation.__args__[0]
    hidden = {"name", "path", "extensions"} if model is Settings else set()
    return sorted(set(_fields(model)) - hidden)


def _fields(model: Any) -> dict[str, Any]:
    """Return the fields of a table by the names that a file gives them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}
