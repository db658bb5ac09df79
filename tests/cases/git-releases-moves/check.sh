test "$(cat /srv/app/current/file)" = two
test "$(ls -A /srv/app/releases)" = "$(basename "$(readlink /srv/app/current)")"
