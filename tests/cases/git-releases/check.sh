test "$(cat /srv/app/current/file) $(cat /srv/app/current/inside/file)" = "two new"
test "$(stat -c %U /srv/app /srv/app/releases /srv/app/current /srv/app/current/.git/HEAD | sort -u)" = games
test -z "$(find /srv/app/releases -maxdepth 1 -name '.*')"
