mkdir /srv/www
