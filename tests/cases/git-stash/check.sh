test "$(cat /srv/app/file)" = two
test -e /srv/app/.git/refs/stash
