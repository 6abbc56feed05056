"""Bakes an image: `prepare` writes everything that a bake consumes, `validate` and `build` run Packer on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from packer.digest import image_digest
from packer.document import ssh_sources, write_document
from packer.downloads import CACHE, Archive, Store, fetch, read_programs, sha256_of
from packer.ppa import apt_files
from packer.programs import check_programs
from packer.recipe import (
    BINARIES,
    PACKAGE_LIST,
    PROGRAM_SUMS,
    ROOTFS,
    SCRIPTS,
    archives_of,
    describe_steps,
    image_steps,
)
from packer.release import RELEASE, release_notes
from packer.revision import observe_commit
from packer.rootfs import render_rootfs
from packer.run import run_build, run_quietly
from packer.tarball import File, write_tar
from packer.transfer import Progress, silent
from packer.versions import Packer, observe_packer
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.settings import Settings, child_environment
from transcoder.settings_programs import Download

TEMPLATE = "image.pkr.hcl"
AMI_NAME_LENGTH = 128


@dataclass(frozen=True)
class Start:
    """The stock image that a bake begins with, as EC2 shows it; all empty where EC2 was not asked."""

    id: str = ""
    name: str = ""
    root_device: str = ""


@dataclass(frozen=True)
class Prepared:
    """All that a bake consumes. ``hcl`` is the text of ``template``; ``steps`` are for people.

    ``directory`` holds the template, the scripts, the archives for upload, and in ``rootfs/`` the same files to look
    at. ``obstacles`` say why this could be validated but not built; ``archives`` are the releases that it is made of.
    """

    hcl: str
    digest: str
    directory: Path
    template: Path
    ami_name: str
    steps: tuple[str, ...]
    packer: Packer
    obstacles: tuple[str, ...] = ()
    commit: str = ""
    archives: Mapping[str, Archive] = field(default_factory=dict)


@dataclass(frozen=True)
class _Inputs:
    """What the digest is of, and ``missing``: why some of it could not be had for a preview."""

    rootfs: Mapping[str, File]
    archives: Mapping[str, Archive]
    missing: tuple[str, ...]


def prepare(
    settings: Settings,
    directory: Path,
    *,
    start: Start | None = None,
    packer: Packer | None = None,
    cache: Path = CACHE,
    ami_name_suffix: str = "",
    preview: bool = False,
    progress: Progress = silent,
) -> Prepared:
    """Fetch, prove, render and write everything that the bake consumes into ``directory``.

    :param start: the stock image that the settings' filter found; without it Packer looks for itself, and the
        digest names the filter only.
    :param packer: the version to write for; by default the installed one.
    :param cache: where fetched archives are kept.
    :param ami_name_suffix: makes the name of the AMI differ from that of an image of the same inputs.
    :param preview: an archive that cannot be had is an obstacle, and the document is written all the same.
    :param progress: is told how far a download is.
    :raises Refused: for settings that cannot be baked, or an archive that is not what it should be.
    :raises Unreachable: when a download does not answer.
    """
    check_programs(settings)
    start, packer, commit = start or Start(), packer or observe_packer(), observe_commit()
    store = Store(settings.path.parent, cache, settings.downloads.mirror, progress)
    inputs = _inputs(settings, store, preview=preview)
    digest = image_digest(settings, inputs.rootfs, inputs.archives, start.id)
    release = release_notes(settings, digest, inputs.archives, commit=commit, source_ami=_named(settings, start))
    steps = image_steps(settings, *_write_files(settings, directory, inputs, release))
    name = ami_name(settings, digest, ami_name_suffix)
    words = {"ami_name": name, "digest": digest, "commit": commit}
    hcl = write_document(settings, steps, packer, **words, source_ami_id=start.id, root_device=start.root_device)
    template = directory / TEMPLATE
    template.write_text(hcl, encoding="utf-8")
    obstacles = (*inputs.missing, *_obstacles(settings, packer, start.id))
    shown = describe_steps(steps)
    return Prepared(hcl, digest, directory, template, name, shown, packer, obstacles, commit, inputs.archives)


def validate(prepared: Prepared) -> None:
    """Let Packer check the document; needs neither network nor credentials with Packer 1.6.

    :raises Failed: with what Packer says.
    """
    _init(prepared)
    run_quietly(["packer", "validate", str(prepared.template)], child_environment(**_QUIET))


def build(prepared: Prepared, settings: Settings, on_line: Callable[[str], None]) -> str:
    """Run ``packer build`` and return the id of the AMI.

    A Ctrl-C is passed on to Packer, which then removes what it made; this waits for it.

    :param on_line: gets every line that Packer has for people, as it comes.
    :raises Refused: when `prepare` found an obstacle.
    :raises Failed: with Packer's last words.
    """
    if prepared.obstacles:
        raise Refused("this image cannot be baked like this", reasons=prepared.obstacles)
    _init(prepared)
    environment = child_environment(**_QUIET, **credentials(settings))
    artifact = run_build(prepared.template, environment, settings.image.bake_timeout_minutes * 60.0, on_line)
    region, _, ami = artifact.partition(":")
    if region != settings.aws.region or not ami.startswith("ami-"):
        raise Failed(f"packer finished with the artifact {artifact!r}, not with an AMI in {settings.aws.region}")
    return ami


def credentials(settings: Settings) -> dict[str, str]:
    """Return the environment variables that let Packer act on the environment's EC2; secrets never go into the HCL."""
    aws = settings.aws
    found = {"AWS_PROFILE": aws.profile} if aws.profile else {}
    if aws.access_key_id:
        found |= {"AWS_ACCESS_KEY_ID": aws.access_key_id, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": ""}
        found |= {"AWS_SECRET_ACCESS_KEY": aws.secret_access_key.get_secret_value()}
    return {**found, "AWS_DEFAULT_REGION": aws.region, "AWS_REGION": aws.region}


def ami_name(settings: Settings, digest: str, suffix: str = "") -> str:
    """Return the AMI's name: it carries the digest, so that two bakes of the same inputs cannot both stand."""
    tail = f"-{settings.image.os}-{digest[:12]}{f'-{suffix}' if suffix else ''}"
    return settings.image.name_prefix[: AMI_NAME_LENGTH - len(tail)] + tail


_QUIET = {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}
"""No question to checkpoint.hashicorp.com whether there is a newer Packer."""


def _named(settings: Settings, start: Start) -> dict[str, str]:
    wanted = settings.image.source_ami
    return {"id": start.id or wanted.id, "name": start.name or wanted.name}


def _inputs(settings: Settings, store: Store, *, preview: bool) -> _Inputs:
    """Return the files and archives of the image, and, in a preview, why others are missing."""
    wanted: dict[str, Download] = {"geth": settings.geth, "livepeer": settings.livepeer}
    found: dict[str, Archive] = {}
    missing: list[str] = []
    apt: dict[str, File] = {}
    with _unless(preview, missing):
        apt = apt_files(settings, store)
    for name in archives_of(settings):
        with _unless(preview, missing):
            found[name] = fetch(wanted[name], store)
    return _Inputs(render_rootfs(settings) | apt, found, tuple(missing))


@contextmanager
def _unless(preview: bool, missing: list[str]) -> Iterator[None]:
    try:
        yield
    except TranscoderError as error:
        if not preview:
            raise
        missing.append(f"{error.message} (so the digest and the sums shown are not the final ones)")


def _write_files(settings: Settings, directory: Path, inputs: _Inputs, release: str) -> tuple[str, str]:
    """Write scripts, archives and the readable copy of the rootfs; return the sha256 of the two archives."""
    for old in ("rootfs", "provision"):
        shutil.rmtree(directory / old, ignore_errors=True)
    for carried_out in (PACKAGE_LIST, PROGRAM_SUMS):
        (directory / carried_out).unlink(missing_ok=True)
    shutil.copytree(SCRIPTS, directory / "provision")
    rootfs = {**inputs.rootfs, RELEASE: File(release.encode())}
    for path, file in rootfs.items():
        target = directory / "rootfs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    wanted = archives_of(settings)
    programs = {n: text for key, at in inputs.archives.items() for n, text in read_programs(at, wanted[key]).items()}
    write_tar(directory / ROOTFS, rootfs)
    write_tar(directory / BINARIES, {name: File(content, 0o755) for name, content in programs.items()})
    return sha256_of(directory / ROOTFS), sha256_of(directory / BINARIES)


def _obstacles(settings: Settings, packer: Packer, source_ami_id: str) -> tuple[str, ...]:
    found = []
    wanted = settings.image.source_ami
    if wanted.include_deprecated and not (source_ami_id or wanted.id or packer.finds_deprecated):
        found.append(f"Packer {packer} cannot look for deprecated images: name one, or use Packer 1.11 or later")
    if not ssh_sources(settings):
        found.append(f"no rule in aws.ingress lets anybody in to port {settings.ssh.port}, Packer neither")
    return tuple(found)


def _init(prepared: Prepared) -> None:
    if prepared.packer.needs_plugins:
        run_quietly(["packer", "init", str(prepared.template)], child_environment(**_QUIET))
