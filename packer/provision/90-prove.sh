# The image proves itself, after the clean-up: every finding is printed, and one finding fails the bake.
# Environment: USERS (name:id ...), UNITS, LIVEPEER_VERSION, GETH_VERSION (empty: this image has no geth)
set -eu

findings=0
found() {
    echo "90-prove: found $*" >&2
    findings=$((findings + 1))
}

# --- nothing of this machine is left ---
for path in /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys /var/lib/cloud/instance \
    /var/lib/cloud/instances/* /var/lib/cloud/data/instance-id /root/.*_history /home/*/.*_history /root/.aws \
    /home/*/.aws /d1/* /d2/* /tmp/transcoder-* /var/lib/apt/lists/*Packages; do
    # -L: a link that leads nowhere is not there for -e.
    if [ -e "$path" ] || [ -L "$path" ]; then found "$path, which belongs to one machine only"; fi
done
if [ -s /etc/machine-id ]; then found "a machine id: $(cat /etc/machine-id)"; fi
if [ ! -e /etc/machine-id ]; then found "no /etc/machine-id: a read-only start would have nowhere to put one"; fi

# --- users ---
for pair in $USERS; do
    entry=$(getent passwd "${pair%%:*}") || entry="no such user"
    case $entry in
    "${pair%%:*}:x:${pair##*:}:${pair##*:}:"*:/nonexistent:/usr/sbin/nologin) ;;
    *) found "user ${pair%%:*} as '$entry', not with uid and gid ${pair##*:}, /nonexistent and nologin" ;;
    esac
done

# --- programs, each as the user that runs it, in a home that is thrown away ---
scratch=$(mktemp -d)
chmod 1777 "$scratch"
as() { # as USER COMMAND...
    user=$1
    shift
    (cd "$scratch" && runuser -u "$user" -- env HOME="$scratch/$user" "$@" 2>&1)
}
says() { # says TEXT USER COMMAND...
    text=$1
    shift
    output=$(as "$@") || { found "'$*' fails with status $?: $output"; return; }
    case $output in
    *"$text"*) ;;
    *) found "'$*' does not say '$text' but: $output" ;;
    esac
}
says "$LIVEPEER_VERSION" livepeer /usr/local/bin/livepeer -version
if [ -n "$GETH_VERSION" ]; then
    says "$GETH_VERSION" geth /usr/local/bin/geth version
    says DataDir geth /usr/local/bin/geth --config /etc/geth/geth.toml --datadir "$scratch/geth/data" dumpconfig
fi
if [ -z "$GETH_VERSION" ]; then
    # A key that is thrown away: its packages are there, and what it writes can be read again.
    says 0x livepeer /usr/local/lib/transcoder/new-account "$scratch/livepeer/keystore"
fi
if [ ! -x /usr/local/bin/livepeer_cli ]; then found "no /usr/local/bin/livepeer_cli"; fi

# --- without its volume a service refuses, with the reason (78 is what the unit does not restart after) ---
for pair in $USERS; do
    role=${pair%%:*}
    status=0
    output=$(as "$role" /usr/local/lib/transcoder/check-volume "$role") || status=$?
    case "$status $output" in
    "78 check-volume: refused: nothing is mounted on "*) ;;
    *) found "check-volume $role without a volume: status $status, $output" ;;
    esac
done

# --- units ---
warnings=$(cd /etc/systemd/system && systemd-analyze verify $UNITS 2>&1) ||
    found "systemd-analyze verify fails with status $?"
# systemd 237 says this of its own temporary directory where /tmp is on a disk.
warnings=$(printf '%s' "$warnings" | grep -v -x 'Attempted to remove disk file system, and we can.t allow that.') || true
if [ -n "$warnings" ]; then found "warnings of systemd-analyze verify: $warnings"; fi
for unit in $UNITS chrony.service; do
    state=$(systemctl is-enabled "$unit" 2>&1) || true
    if [ "$state" != enabled ]; then found "$unit is $state, not enabled"; fi
done

# --- clock: chrony alone, and it accepts its file ---
if [ "$(systemctl is-enabled systemd-timesyncd.service 2>/dev/null)" = enabled ]; then
    found "systemd-timesyncd enabled beside chrony"
fi
# 80-clean.sh has ended chronyd, so that it leaves no drift of this machine's clock. -Q reads the file and asks the
# servers without setting the clock; with a bad file it ends before it asks anybody. It would write a drift file, too.
sed '/^driftfile /d' /etc/chrony/chrony.conf >"$scratch/chrony.conf"
output=$(timeout 20 chronyd -Q -f "$scratch/chrony.conf" 2>&1) || true
case $output in
*"Fatal error"*) found "chronyd refuses its file: $output" ;;
esac
if ! grep -q '^server 169\.254\.169\.123 ' /etc/chrony/chrony.conf; then found "chrony without 169.254.169.123"; fi
if [ -e /var/lib/chrony/chrony.drift ]; then found "the drift of this machine's clock: /var/lib/chrony/chrony.drift"; fi

# --- open files of log-in sessions ---
if ! grep -qs '^root hard nofile 50000$' /etc/security/limits.d/90-transcoder.conf; then
    found "no limit of open files for log-in sessions"
fi

rm -rf "$scratch"
if [ "$findings" -gt 0 ]; then
    echo "90-prove: $findings finding(s): this image is not fit for use" >&2
    exit 1
fi
echo "90-prove: clean; geth ${GETH_VERSION:-none}, livepeer $LIVEPEER_VERSION; units without a warning"
