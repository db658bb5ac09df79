test "$(cat /srv/app/inside/library/part)" = part
test "$(stat -c %U /srv/app/inside/library/part)" = games
