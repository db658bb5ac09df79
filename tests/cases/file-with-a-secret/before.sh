umask 077
echo "old-password-of-the-database" > /srv/database.ini
echo "old private line" > /srv/private
