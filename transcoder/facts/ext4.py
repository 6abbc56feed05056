"""How many errors ext4 has met since e2fsck was there, by device (kernel documentation, sysfs-fs-ext4: errors_count).

Since 6.12, and in older kernels that got that change (6.1.176), a file system that takes no more writes after an error
is still shown as mounted ``rw``; this count is what tells. Recorded with grep 3.1 on a machine of Ubuntu 18.04.
"""

from __future__ import annotations

import re

from transcoder.facts.reading import unreadable

TOOL = "grep"
COMMAND = (TOOL, "--recursive", "--include=errors_count", ".", "/sys/fs/ext4")
"""One command for all devices, whose names need not be known. It ends with 1 or 2 where no ext4 is mounted."""
LINE = re.compile(r"/sys/fs/ext4/([^/]+)/errors_count:(\d+)")


def parse_ext4(text: str) -> dict[str, int]:
    """Return the errors by the kernel's name of the device (``nvme1n1``).

    :raises Failed: when a line has another form.
    """
    found = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            raise unreadable(TOOL, "expected DEVICE/errors_count:NUMBER", line)
        found[match[1]] = int(match[2])
    return found
