#!/usr/bin/env bash
# Moves a node the way its operator does by hand: one thing after the other, each awaited with boto3's own waiters.
# An example for `benchmarks/migrate.py --compare benchmarks/by_hand.sh`, which sets all the variables used here.
set -euo pipefail

# boto3 is there where the benchmark is.
root=$(cd "$(dirname "$0")/.." && pwd)
ec2() { "$root/.venv/bin/python" "$root/benchmarks/by_hand_ec2.py" "$@"; }

# Machines come and go on the same few addresses of a lab: their host keys are not remembered.
on() {
    local address=$1
    shift
    ssh -i "$SSH_KEY_FILE" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        "$SSH_USER@$address" sudo "$@"
}
step() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }

# On the source: livepeer first, since it needs geth; then nothing uses the volumes any more.
step "stop livepeer and geth"
on "$SOURCE_ADDRESS" systemctl stop "$LIVEPEER_UNIT"
on "$SOURCE_ADDRESS" systemctl stop "$GETH_UNIT"
step "unmount"
on "$SOURCE_ADDRESS" umount "$LIVEPEER_MOUNT"
on "$SOURCE_ADDRESS" umount "$GETH_MOUNT"

# Volume by volume: away from the source, over to the target.
for volume in "$LIVEPEER_VOLUME_ID:$LIVEPEER_DEVICE" "$GETH_VOLUME_ID:$GETH_DEVICE"; do
    step "detach ${volume%%:*}"
    ec2 detach "${volume%%:*}" "$SOURCE_INSTANCE_ID"
    step "attach ${volume%%:*}"
    ec2 attach "${volume%%:*}" "$TARGET_INSTANCE_ID" "${volume#*:}"
done

# livepeer announces the address that it finds when it starts, so the Elastic IP goes first.
step "Elastic IP"
ec2 associate "$ELASTIC_IP_ALLOCATION_ID" "$TARGET_INSTANCE_ID"

# The image mounts a volume by its label when it arrives, and starts what is on it; an operator makes sure.
step "mount and start"
on "$TARGET_ADDRESS" systemctl start "$(systemd-escape --path --suffix=mount "$GETH_MOUNT")"
on "$TARGET_ADDRESS" systemctl start "$GETH_UNIT"
on "$TARGET_ADDRESS" systemctl start "$(systemd-escape --path --suffix=mount "$LIVEPEER_MOUNT")"
on "$TARGET_ADDRESS" systemctl restart "$LIVEPEER_UNIT"
step "done"
