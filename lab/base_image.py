"""The stock image: a real Ubuntu or Debian, made from its own packages, that boots as a machine of the lab.

It stands for the vendor's AMI. What differs from the vendor's image is listed here and nowhere else: ``guest/rootfs``
is laid over it, the modules of the User-Mode-Linux kernel and the lab's certificate authority are added, and units that
cost boot time and give nothing are masked. Images are kept in the cache by a digest of everything that goes in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import distribution as distributions
from lab import keyring
from lab.command import check_tools, run
from lab.distribution import Distribution
from lab.exclusive import exclusive
from transcoder.errors import Failed, Refused

# The size of the root volume of Ubuntu's own AMIs; the file is sparse.
SIZE_GIB = 8
ROOT_DEVICE = "/dev/sda1"
# Every change of the recipe makes another image: older ones of the same system go.
KEPT_IMAGES = 3
ROOTFS = Path(__file__).parent / "guest" / "rootfs"
MODULES = Path("/usr/lib/uml/modules")
AUTHORITY = "usr/local/share/ca-certificates/transcoder-lab.crt"
UNITS = ("lab-net.service", "lab-instance-setup.service", "lab-instance-final.service")
# The features of Ubuntu 18.04's mkfs.ext4: a newer host's default could not be resized or checked by the guest's tools.
EXT4_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"
    "huge_file,dir_nlink,extra_isize,metadata_csum"
)
TOOLS = ("mmdebstrap", "mkfs.ext4", "chroot", "dpkg-deb", "linux.uml")
# Its own PATH: Debian's root shell on the host may lack sbin, which useradd and depmod live in.
CHROOT_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BaseImage:
    """A stock image in the cache.

    :param path: raw file system image, to be copied, never to be booted itself.
    :param name: the AMI's name, ``lab/stock/ubuntu-bionic-18.04-amd64-<digest>``.
    :param os: the name in settings, ``ubuntu-18.04``.
    :param user: the user that the key pair's owner logs in as.
    """

    path: Path
    name: str
    os: str
    size_gib: int
    user: str
    root_device: str = ROOT_DEVICE


def ensure(name: str, cache_directory: Path, ca_certificate: bytes, progress: Progress) -> BaseImage:
    """Return the stock image of an operating system; make it when the cache has none of the same ingredients.

    :param name: one of ``lab.distribution.DISTRIBUTIONS``.
    :param ca_certificate: PEM; the machine trusts what this authority signs.
    :param progress: gets one line a step.
    :raises Refused: this host lacks a tool, root, or the archive keyring, or there is no such operating system.
    :raises Unreachable: the keyring's download did not answer.
    :raises Failed: the mirror did not give the packages, or a step of the build failed.
    """
    distribution = distributions.find(name)
    _check_host()
    cache_directory.mkdir(parents=True, exist_ok=True)
    digest = recipe_digest(distribution, ca_certificate, kernel_release())
    image = _describe(distribution, digest, cache_directory)
    with exclusive(cache_directory / f"{name}.lock"):
        if not image.path.exists():
            trusted = keyring.ensure(distribution, cache_directory)
            _make(distribution, trusted, ca_certificate, image, progress)
            forget_old_images(image)
    return image


def recipe_digest(distribution: Distribution, ca_certificate: bytes, kernel: str) -> str:
    """Return a SHA-256 of everything of ours that goes into an image: code, overlay, authority, kernel release.

    The state of the mirror is not in it: an image is as old as its file in the cache.
    """
    sources = [Path(__file__), Path(distributions.__file__)]
    overlay = sorted(path for path in ROOTFS.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    digest = hashlib.sha256(repr((distribution, kernel, SIZE_GIB)).encode() + ca_certificate)
    for path in (*sources, *overlay):
        digest.update(f"{path.name}\0{overlay_mode(path):o}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def overlay_mode(path: Path) -> int:
    """Return the mode of an overlay file in the image: 0755 for programs, else 0644, whatever the checkout's umask."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def kernel_release() -> str:
    """Return the release of the User-Mode-Linux kernel, whose modules the image needs."""
    return run("linux.uml", "--version").strip()


def _describe(distribution: Distribution, digest: str, cache_directory: Path) -> BaseImage:
    return BaseImage(
        path=cache_directory / "images" / f"{distribution.name}-{digest[:16]}.img",
        name=f"lab/stock/{distribution.label}-amd64-{digest[:8]}",
        os=distribution.name,
        size_gib=SIZE_GIB,
        user=distribution.user,
    )


def _check_host() -> None:
    check_tools(TOOLS)
    if os.geteuid() != 0:
        raise Refused("a stock image is made by root only (device nodes, chroot)", hint="run as root, or with sudo")
    modules = MODULES / kernel_release()
    if not modules.is_dir():
        hint = "install the package user-mode-linux of this distribution again"
        raise Refused(f"the modules of the User-Mode-Linux kernel are not in {modules}", hint=hint)


def _make(distribution: Distribution, trusted: Path, authority: bytes, image: BaseImage, progress: Progress) -> None:
    image.path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=image.path.parent, prefix=f"{distribution.name}.") as work:
        tree = Path(work) / "tree"
        progress(f"{distribution.name}: installing packages from the distribution's mirror")
        _install_packages(distribution, trusted, tree)
        progress(f"{distribution.name}: fitting it for the lab")
        _lay_over(tree)
        _trust(tree, authority)
        _add_kernel_modules(tree)
        _add_user(tree, distribution.user)
        _configure_sshd(tree)
        _tune_boot(tree)
        _make_generic(tree)
        progress(f"{distribution.name}: writing the image")
        _write_image(tree, Path(work) / "root.img", image)


def _install_packages(distribution: Distribution, trusted: Path, tree: Path) -> None:
    packages = ",".join((*distributions.PACKAGES, distribution.keyring_package, *distribution.packages))
    arguments = [f"--components={','.join(distribution.components)}", f"--include={packages}", f"--keyring={trusted}"]
    try:
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", *arguments, distribution.suite, str(tree))
    except Failed as failed:
        hint = "is the distribution's mirror reachable from here? Another operating system can be named in the settings"
        raise Failed(f"{distribution.name} cannot be made: {failed.message}", hint=hint) from failed


def _in_tree(tree: Path, *arguments: str) -> None:
    run("chroot", str(tree), *arguments, environment=CHROOT_ENVIRONMENT)


def _lay_over(tree: Path) -> None:
    for source in ROOTFS.rglob("*"):
        target = tree / source.relative_to(ROOTFS)
        if "__pycache__" in source.parts:
            continue
        if source.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(source.read_bytes())
            target.chmod(overlay_mode(source))
    _in_tree(tree, "systemctl", "enable", *UNITS)


def _trust(tree: Path, authority: bytes) -> None:
    certificate = tree / AUTHORITY
    certificate.parent.mkdir(parents=True, exist_ok=True)
    certificate.write_bytes(authority)
    _in_tree(tree, "update-ca-certificates")


def _add_kernel_modules(tree: Path) -> None:
    release = kernel_release()
    shutil.copytree(MODULES / release, tree / "lib" / "modules" / release)
    _in_tree(tree, "depmod", release)


def _add_user(tree: Path, user: str) -> None:
    _in_tree(tree, "useradd", "--uid", "1000", "--create-home", "--shell", "/bin/bash", "--groups", "adm,sudo", user)
    _in_tree(tree, "passwd", "--quiet", "--lock", "root")
    sudoers = tree / "etc/sudoers.d/90-cloud-init-users"
    sudoers.write_text(f"{user} ALL=(ALL) NOPASSWD:ALL\n")
    sudoers.chmod(0o440)


def _configure_sshd(tree: Path) -> None:
    settings = "\n# As the vendor's image; no wait for a reverse look-up.\nPasswordAuthentication no\nUseDNS no\n"
    with (tree / "etc/ssh/sshd_config").open("a") as configuration:
        configuration.write(settings)
    # Ubuntu 24.04 starts sshd by its socket, which would answer before the host keys are made.
    _in_tree(tree, "systemctl", "disable", "ssh.socket")
    _in_tree(tree, "systemctl", "enable", "ssh.service")


def _tune_boot(tree: Path) -> None:
    units = tree / "etc/systemd/system"
    links = dict.fromkeys(distributions.MASKED_UNITS, "/dev/null")
    # The button that EC2's stop and reboot press is ctrl-alt-del here; both mean an orderly end of this run.
    links |= {"default.target": "/lib/systemd/system/multi-user.target"}
    links |= {"ctrl-alt-del.target": "/lib/systemd/system/poweroff.target"}
    for name, target in links.items():
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to(target)


def _make_generic(tree: Path) -> None:
    """Remove what belongs to one machine: the build host's name and resolver, host keys, machine ids."""
    (tree / "etc/hostname").write_text("localhost\n")
    (tree / "etc/machine-id").write_text("")
    for name in ("etc/resolv.conf", "var/lib/dbus/machine-id"):
        (tree / name).unlink(missing_ok=True)
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # Says that /etc and /var fit /usr: else every first boot rebuilds the linker cache and the catalogue of messages.
    for stamp in ("etc/.updated", "var/.updated"):
        (tree / stamp).touch()


def _write_image(tree: Path, draft: Path, image: BaseImage) -> None:
    arguments = ["-q", "-F", "-L", "cloudimg-rootfs", "-O", EXT4_FEATURES, "-m", "1", "-d", str(tree)]
    run("mkfs.ext4", *arguments, str(draft), f"{image.size_gib}G")
    draft.replace(image.path)


def forget_old_images(image: BaseImage) -> None:
    """Remove all but the newest images of one operating system from the cache."""
    images = sorted(image.path.parent.glob(f"{image.os}-*.img"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in images[KEPT_IMAGES:]:
        old.unlink()
