test "$(wc -l < /var/tmp/tries)" = 3
