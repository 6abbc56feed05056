# Lays the files of the image over the machine's.
# Environment: ROOTFS (path of the archive), ROOTFS_SHA256
set -eu

echo "$ROOTFS_SHA256  $ROOTFS" | sha256sum --check --quiet -
umask 022
tar --extract --file "$ROOTFS" --directory / --preserve-permissions --no-overwrite-dir
# Which files those are: for the proof, and for whoever wonders where a file has come from.
mkdir -p /etc/transcoder
tar --list --file "$ROOTFS" >/etc/transcoder/files.txt
rm "$ROOTFS"
