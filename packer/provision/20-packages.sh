# Installs the packages.
# Environment: PACKAGES (names, divided by blanks)
set -eu

export DEBIAN_FRONTEND=noninteractive
# Ubuntu 22.04 and later: do not ask, and do not restart services behind our back.
export NEEDRESTART_SUSPEND=1

# A mirror that is being updated gives an index and packages that do not match: fetch the index again.
attempt=1
until apt-get --quiet --quiet update &&
    apt-get --quiet --quiet --yes --no-install-recommends -o Dpkg::Options::=--force-confold install $PACKAGES; do
    if [ "$attempt" -ge 3 ]; then
        echo "20-packages: apt-get failed $attempt times, the reason is above" >&2
        exit 1
    fi
    attempt=$((attempt + 1))
    sleep 5
done
