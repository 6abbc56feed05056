# Puts the programs into /usr/local/bin.
# Environment: BINARIES (path of the archive), BINARIES_SHA256
set -eu

echo "$BINARIES_SHA256  $BINARIES" | sha256sum --check --quiet -
tar --extract --file "$BINARIES" --directory /usr/local/bin --preserve-permissions
rm "$BINARIES"
