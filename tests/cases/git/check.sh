test "$(stat -c %U /srv/app /srv/app/file /srv/app/.git/HEAD | sort -u)" = games
test "$(readlink /srv/app/link)" = file
