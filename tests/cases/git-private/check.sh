grep -q two /srv/app/file
test "$(find /srv/app -printf '%u:%g\n' | sort -u)" = games:users
# The address that git remembers has no token in it, nor has anything else.
grep -q 'url = https://127.0.0.1:8443/team/project.git' /srv/app/.git/config
! grep -rE 'a-token-for-reading-only|eC1hY2Nlc3MtdG9rZW4' /srv/app /var/log /var/tmp /tmp
