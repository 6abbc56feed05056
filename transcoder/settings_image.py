"""The table ``[image]`` of an environment: what is baked, from what, and where it goes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from transcoder.settings_programs import Table

Os = Literal["ubuntu-18.04", "ubuntu-22.04", "ubuntu-24.04", "debian-12"]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]


class SourceAmi(Table):
    """Which stock image to start from: the newest whose name matches, of these owners, or one by its id."""

    name: str = ""
    owners: list[str] = Field(default_factory=list)
    id: str = Field(default="", pattern=r"^(ami-[0-9a-f]+)?$")
    include_deprecated: bool = False

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if bool(self.id) == bool(self.name):
            raise ValueError("give either id, or name together with owners")
        if self.name and not self.owners:
            raise ValueError("a name without owners could be anybody's image: give owners")
        return self


class Image(Table):
    """What is baked and from what.

    ``kms_key_id`` encrypts the AMI in the environment's own region (with ``encrypted`` alone it is EBS's own key),
    ``copy_kms_key_ids`` by region its copies in those of ``copy_to``. ``deprecate_after_days``: 0 for never.
    """

    os: Os
    source_ami: SourceAmi
    build_instance_type: str = "c4.large"
    name_prefix: str = Field(default="livepeer-transcoder", pattern=r"^[A-Za-z0-9()\[\] ./'@_-]{3,80}$")
    root_size_gib: int = Field(default=32, ge=2)
    extra_packages: list[str] = Field(default_factory=list)
    bake_timeout_minutes: int = Field(default=30, ge=1)
    encrypted: bool = False
    kms_key_id: str = ""
    copy_to: list[Region] = Field(default_factory=list)
    copy_kms_key_ids: dict[Region, str] = Field(default_factory=dict)
    deprecate_after_days: int = Field(default=0, ge=0, le=3650)

    @model_validator(mode="after")
    def _keys_have_their_use(self) -> Self:
        if self.kms_key_id and not self.encrypted:
            raise ValueError("kms_key_id needs encrypted = true")
        stray = sorted(set(self.copy_kms_key_ids) - set(self.copy_to))
        if stray:
            raise ValueError(f"copy_kms_key_ids has {', '.join(stray)}, which copy_to has not")
        # An encrypted snapshot's copy is encrypted, whether asked for or not, but a key is of one region.
        keyless = sorted(set(self.copy_to) - set(self.copy_kms_key_ids)) if self.kms_key_id else []
        if keyless:
            raise ValueError(f"kms_key_id is a key of one region: give copy_kms_key_ids one for {', '.join(keyless)}")
        return self
