# Waits until nobody else works with apt: a fresh machine updates itself while Packer is already logged in.
# Environment: APT_BUDGET_SECONDS
set -eu

# Exit status 1 is an error of cloud-init's, 2 is "degraded": in both it has finished, which is all that matters here.
if command -v cloud-init >/dev/null; then
    timeout "$APT_BUDGET_SECONDS" cloud-init status --wait >/dev/null || echo "cloud-init finished with status $?"
fi

# Only the timers: stopping a service would break off dpkg in the middle.
if [ -d /run/systemd/system ]; then
    systemctl stop apt-daily.timer apt-daily-upgrade.timer 2>/dev/null || echo "this image has no apt timers"
fi

# apt before 1.9.11 (Ubuntu 18.04 has 1.6) cannot wait for a lock by itself.
deadline=$(($(date +%s) + APT_BUDGET_SECONDS))
while held=$(lslocks --noheadings --notruncate --output COMMAND,PID,PATH | grep -E '/var/lib/(dpkg|apt/lists)/lock'); do
    if [ "$(date +%s)" -ge "$deadline" ]; then
        echo "10-wait-for-apt: still locked after $APT_BUDGET_SECONDS s: $held" >&2
        exit 1
    fi
    sleep 2
done
