# Makes sshd take our file, whatever else its configuration says.
set -eu

own=/etc/ssh/sshd_config.d/10-transcoder.conf
main=/etc/ssh/sshd_config

# sshd takes the first value that it reads. Since OpenSSH 8.2 the vendor's file begins with an Include of the directory,
# in which 10- comes before cloud-init's 50-. 7.6 (Ubuntu 18.04) has no Include: there our lines go in front of the
# vendor's, and cloud-init may change those below as it likes.
if ! grep -Eiq '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config\.d/\*\.conf' "$main"; then
    cat "$own" "$main" >"$main.new"
    chmod --reference="$main" "$main.new"
    mv "$main.new" "$main"
fi

# A host key may not be there, and sshd does not check its file without one.
scratch=$(mktemp -d)
ssh-keygen -q -t ed25519 -N '' -f "$scratch/key"
mkdir -p /run/sshd
sshd -t -h "$scratch/key"
rm -rf "$scratch"
