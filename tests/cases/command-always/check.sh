test "$(cat /var/tmp/times)" = again
