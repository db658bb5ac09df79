# What was there and what came later, git's own files and links among them.
test "$(find /srv/app -printf '%u:%g\n' | sort -u)" = games:users
test "$(find /srv/app | wc -l)" -gt 20
