echo precious > /srv/settings
