touch /srv/leftover
mkdir /srv/games
chown games:games /srv/games
