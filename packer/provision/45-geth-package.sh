# Installs geth from the package archive that /etc/apt/sources.list.d/ethereum-ppa.list names, signed by its key alone.
# Environment: GETH_VERSION, GETH_SHA256 (of the package; empty: the archive's signature is the proof)
set -eu

export DEBIAN_FRONTEND=noninteractive
export NEEDRESTART_SUSPEND=1

apt-get --quiet --quiet update
offered=$(apt-cache madison geth | cut -d '|' -f 2 | tr -d ' ')
version=$(echo "$offered" | grep -m 1 "^$GETH_VERSION+" || true)
if [ -z "$version" ]; then
    echo "45-geth-package: the package archive offers geth" ${offered:-nothing} "and not $GETH_VERSION;" \
        "it keeps the newest build only: set geth.version, or take the release archive as geth.source" >&2
    exit 1
fi

scratch=$(mktemp -d)
cd "$scratch"
apt-get --quiet --quiet download "geth=$version"
if [ -n "$GETH_SHA256" ]; then echo "$GETH_SHA256  $(echo geth_*.deb)" | sha256sum --check --quiet -; fi
apt-get --quiet --quiet --yes --no-install-recommends install "./$(echo geth_*.deb)"
cd /
rm -rf "$scratch"
# Where the unit and the checks look for it.
ln -s /usr/bin/geth /usr/local/bin/geth
