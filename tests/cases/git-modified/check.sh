test "$(cat /srv/app/file)" = "changed by hand"
