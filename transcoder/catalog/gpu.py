"""GPUs: the one place that knows drivers and libraries, machines that have one, and which livepeer can use them."""

from __future__ import annotations

PACKAGES = {
    "ubuntu-24.04": (
        # The driver: modules built and signed for the kernel of EC2's images, the tools, the video units.
        *("linux-modules-nvidia-580-server-aws", "nvidia-headless-no-dkms-580-server", "nvidia-utils-580-server"),
        *("libnvidia-decode-580-server", "libnvidia-encode-580-server"),
        # CUDA 12.
        *("libcudart12", "libnppc12", "libnppicc12", "libnppidei12", "libnppif12", "libnppig12"),
    )
}
"""What a GPU takes, by system: components main, restricted, universe and multiverse of the distribution.

Ubuntu 22.04 and Debian 12 have no CUDA 12, which livepeer's archive is linked to.
"""
SINCE = (0, 7, 3)
"""The first livepeer for CUDA 12; what older ones need is CUDA 11, which no system has in this version."""
FAMILIES = ("g4dn", "g5", "g6", "g6e", "gr6", "p3", "p3dn", "p4d", "p4de", "p5")
"""Instance families of EC2 on x86 with NVIDIA GPUs that this driver knows."""


def has_gpu(instance_type: str) -> bool:
    """Tell whether machines of this type have an NVIDIA GPU."""
    return instance_type.partition(".")[0] in FAMILIES


def packages(os: str, gpus: str) -> tuple[str, ...]:
    """Return the packages that a choice of GPUs takes on a system; none without a GPU."""
    return PACKAGES.get(os, ()) if gpus else ()
