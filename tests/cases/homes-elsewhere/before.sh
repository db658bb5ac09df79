usermod --home /srv/games games
mkdir -p /srv/games
chown games:games /srv/games
rm /etc/skel/.[a-z]*
