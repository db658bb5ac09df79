test "$(cat /usr/share/tool/version)" = "tool 1.0"
# The key is trusted for its own repository, not for every other one.
test -z "$(ls -A /etc/apt/trusted.gpg.d | grep tool)"
