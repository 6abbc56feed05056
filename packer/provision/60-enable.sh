# Enables the units. Nothing of the node starts during the bake: its volumes are not here.
# Environment: UNITS (divided by blanks)
set -eu

systemctl enable $UNITS chrony.service

# One program only may set the clock. Ubuntu 18.04 has timesyncd in the package systemd; later ones may not have it.
if [ -e /lib/systemd/system/systemd-timesyncd.service ]; then
    systemctl disable systemd-timesyncd.service
fi

# No swap: a key in memory must not reach a disk. Masked, so that no entry of fstab and no unit brings it back.
swapoff --all
sed --in-place '/^[^#]*[[:space:]]swap[[:space:]]/d' /etc/fstab
systemctl mask swap.target

# Ubuntu's apport sets kernel.core_pattern at its start, which would bring core dumps back.
if [ -e /etc/default/apport ]; then
    sed --in-place 's/^enabled=.*/enabled=0/' /etc/default/apport
    systemctl disable apport.service || echo "apport has no unit"
fi

# A key of the kernel's that this kernel does not have is none to set.
sysctl --quiet --ignore --load=/etc/sysctl.d/60-transcoder.conf

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl stop systemd-timesyncd.service 2>/dev/null || echo "timesyncd was not running"
    systemd-tmpfiles --create transcoder.conf
    systemctl restart chrony.service transcoder-firewall.service
fi
