# The image proves itself, after the clean-up: every finding is printed, and one finding fails the bake.
# The checks are in the image: files/rootfs/usr/local/lib/transcoder/proof.
# Environment: USERS (name:id ..., each has a volume), WATCH_USER (name:id), UNITS, RESTING_UNITS, LIVEPEER_VERSION, GETH_VERSION (empty: this image has no geth)
set -eu

exec /usr/local/lib/transcoder/prove-image --users $USERS --watch-user "$WATCH_USER" --units $UNITS --resting-units $RESTING_UNITS \
    --livepeer "$LIVEPEER_VERSION" --geth "$GETH_VERSION"
