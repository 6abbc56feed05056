# Writes down what the image holds: every package, and the sum of every program. Packer carries both out.
# Environment: PROGRAMS (names in /usr/local/bin, divided by blanks)
set -eu

mkdir -p /etc/transcoder
# Not those that were removed and left their configuration.
dpkg-query --show --showformat \
    '${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n' |
    sed -n 's/^installed\t//p' >/etc/transcoder/packages.tsv
(cd /usr/local/bin && sha256sum $PROGRAMS) >/etc/transcoder/programs.sha256
sed -i "s/^{\$/{\n  \"baked\": \"$(date --utc +%Y-%m-%dT%H:%M:%SZ)\",/" /etc/transcoder/release.json
chmod 0644 /etc/transcoder/packages.tsv /etc/transcoder/programs.sha256
