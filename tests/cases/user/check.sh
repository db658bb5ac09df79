id -nG deploy | grep -qw deployers
id -nG deploy | grep -qw www-data
test "$(getent passwd worker | cut -d: -f6,7)" = /srv/worker:/usr/sbin/nologin
# Nobody can log in with a password that was never set.
grep -q '^deploy:!' /etc/shadow
test -e /home/leaver/file
