# Removes what belongs to this one machine. Two instances of the image must not share a key, an id or a secret.
# The connection that this runs over lives on: sshd read its key when it was opened.
set -eu

# journald would write the rest of this boot to the disk anew: it keeps that in memory. It does not start without a
# machine id, so this comes first.
if [ -d /run/systemd/system ]; then
    mkdir -p /run/systemd/journald.conf.d
    printf '[Journal]\nStorage=volatile\n' >/run/systemd/journald.conf.d/90-bake.conf
    systemctl restart systemd-journald.service
fi

apt-get clean
rm -rf /var/lib/apt/lists/*

# The next instance must not be taken for this one.
rm -rf /var/lib/cloud/data /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/sem
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
if [ -d /var/lib/dbus ]; then ln -s /etc/machine-id /var/lib/dbus/machine-id; fi
# chrony's drift file knows how fast the clock of this very machine goes. chronyd writes it when it ends, so it ends now.
if [ -d /run/systemd/system ]; then systemctl stop chrony; fi
rm -f /var/lib/chrony/chrony.drift
# Ended now, it does not write a seed for the next boot when this machine stops: all instances would begin with it.
if [ -d /run/systemd/system ]; then
    systemctl stop systemd-random-seed.service 2>/dev/null || echo "no random seed is kept here"
fi
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dhcp/*.leases /etc/ssh/ssh_host_*
# cloud-init names the new instance, and writes its network anew (the old file names this machine's MAC address).
: >/etc/hostname
sed --in-place '/^127\.0\.1\.1[[:space:]]/d' /etc/hosts
rm -f /etc/netplan/50-cloud-init.yaml

for home in /root /home/*; do
    if [ -d "$home" ]; then
        rm -rf "$home/.ssh" "$home/.cache" "$home/.bash_history" "$home/.python_history" "$home/.lesshst" \
            "$home/.viminfo" "$home/.wget-hsts" "$home/.netrc" "$home/.sudo_as_admin_successful" "$home/.aws"
    fi
done

# Logs: the journal goes, text logs stay as empty files with their owners. rsyslogd would write down what comes now.
if [ -d /run/systemd/system ]; then
    systemctl stop syslog.socket rsyslog.service 2>/dev/null || echo "this image has no rsyslog"
fi
rm -rf /var/log/journal/* /run/log/journal/* /var/crash/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
find /var/log -type f -exec truncate --size 0 {} +

# What this bake itself left behind. Packer's own script of this moment is removed by Packer.
rm -rf /tmp/transcoder-* /var/tmp/*
mkdir -p /run/transcoder
touch /run/transcoder/cleaned
sync
