#!/bin/sh
# User-data of an instance that bootstraps itself: cloud-init runs this once, as root, at the end of the first boot.
# The values between @ signs are filled in by whoever makes the launch template.
set -eu

binary_url='@BINARY_URL@'       # a presigned or public URL of the agent
binary_sha256='@BINARY_SHA256@' # what it must be, whoever answers at that URL
playbook='@PLAYBOOK@'           # s3://bucket/key, or a path

# The agent is the only thing fetched here; everything else is in the playbook.
download=$(mktemp)
trap 'rm -f "$download"' EXIT
curl --fail --silent --show-error --location --retry 5 --retry-all-errors --connect-timeout 5 \
    --output "$download" "$binary_url"
echo "$binary_sha256  $download" | sha256sum --check --quiet
install -m 0755 "$download" /usr/local/bin/agent
rm -f "$download"

# Installs the boot service, starts it and follows it to its verdict. The run belongs to systemd, not to this script.
exec /usr/local/bin/agent install --playbook "$playbook" @OPTIONS@
