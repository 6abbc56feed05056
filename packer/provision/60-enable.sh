# Enables the units. Nothing of the node starts during the bake: its volumes are not here.
# Environment: UNITS (divided by blanks)
set -eu

systemctl enable $UNITS chrony.service

# One program only may set the clock. Ubuntu 18.04 has timesyncd in the package systemd; later ones may not have it.
if [ -e /lib/systemd/system/systemd-timesyncd.service ]; then
    systemctl disable systemd-timesyncd.service
fi

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl stop systemd-timesyncd.service 2>/dev/null || echo "timesyncd was not running"
    systemd-tmpfiles --create transcoder.conf
    systemctl restart chrony.service
fi
