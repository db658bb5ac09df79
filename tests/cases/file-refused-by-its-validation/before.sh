echo '{"a": 0}' > /srv/settings.json
