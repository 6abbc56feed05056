"""geth from the Ethereum project's package archive: its key in a keyring of its own, and nothing else from there."""

from __future__ import annotations

from packer.downloads import Store, read_key
from packer.tarball import File
from transcoder.catalog.geth import PPA_CODENAMES, PPA_SIGNED_BY
from transcoder.errors import Refused
from transcoder.settings import Settings

ARCHIVE = "https://ppa.launchpadcontent.net/ethereum/ethereum/ubuntu"
KEYRING = "usr/share/keyrings/ethereum-ppa.gpg"
SOURCES = "etc/apt/sources.list.d/ethereum-ppa.list"
PREFERENCES = "etc/apt/preferences.d/ethereum-ppa"


def apt_files(settings: Settings, store: Store) -> dict[str, File]:
    """Return what tells apt of the package archive, by path; nothing where geth is not from there.

    :raises Refused: when the key cannot be had, or the machine could not reach the mirror.
    """
    if not settings.geth.from_ppa:
        return {}
    place = store.place(ARCHIVE)
    if not isinstance(place, str):
        hint = "give a mirror with an https URL, or geth's release archive as geth.source"
        raise Refused(
            f"downloads.mirror is a directory here, which apt in the machine cannot reach: {place}", hint=hint
        )
    key = settings.geth.model_copy(update={"signing_key": settings.geth.signing_key or PPA_SIGNED_BY})
    source = f"deb [signed-by=/{KEYRING}] {place} {PPA_CODENAMES[settings.image.os]} main\n"
    return {
        KEYRING: File(read_key(key, store)),
        SOURCES: File(source.encode()),
        PREFERENCES: File(_preferences(settings.geth.version).encode()),
    }


def _preferences(version: str) -> str:
    """Return apt's preferences: of this archive it takes geth, in the pinned version, and no other package.

    By the archive's name in its signed Release file, because a mirror's host may serve other archives, too.
    """
    return (
        "Package: *\nPin: release o=LP-PPA-ethereum-ethereum\nPin-Priority: -1\n\n"
        f"Package: geth\nPin: version {version.removeprefix('v')}+*\nPin-Priority: 1000\n"
    )
