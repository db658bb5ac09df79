ln -s /srv/previous /srv/switched
ln -s nowhere /srv/gone
