test "$(cat /srv/app/file) $(cat /srv/app/untracked)" = "two mine"
test ! -e /srv/app/.git/index.lock
