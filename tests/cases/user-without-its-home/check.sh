test "$(stat -c %U:%G:%a /home/deploy /home/deploy/.profile /home/deploy/.bash_logout | tr '\n' ' ')" = \
  "deploy:deploy:755 deploy:deploy:644 deploy:deploy:644 "
test "$(stat -c %U /srv/worker /srv/worker/.bash_logout | sort -u)" = worker
test "$(cat /srv/worker/.bashrc)" = "# mine"
test ! -e /home/guest
test ! -e /usr/games
test "$(stat -c %U /usr/sbin)" = root
# Nothing of ours is left beside a home.
test "$(ls -A /home | tr '\n' ' ')" = "deploy "
