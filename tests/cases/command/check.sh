test "$(cat /srv/reloads)" = reloaded
test "$(cat /srv/games/who)" = games
