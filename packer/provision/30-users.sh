# Makes the service users and the mount points.
# Environment: USERS (name:id, divided by blanks), MOUNT_POINTS (paths, divided by blanks)
set -eu

# The numbers are fixed because a volume travels between images, and its files know their owner by number only.
for pair in $USERS; do
    name=${pair%%:*}
    id=${pair##*:}
    groupadd --gid "$id" "$name"
    useradd --uid "$id" --gid "$id" --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$name"
done

# They stay root's: without its volume a service cannot write a byte here.
for path in $MOUNT_POINTS; do
    mkdir "$path"
    chmod 0755 "$path"
done
